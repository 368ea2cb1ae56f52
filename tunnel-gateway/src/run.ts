/** Configures and runs the gateway until a signal. */
import { ConfigError, handleHelp } from '@wmoc/platform/config'
import { captureConsole, createLogger } from '@wmoc/platform/log'
import { openTracing } from '@wmoc/platform/tracing'
import { composeGateway } from './compose.ts'
import { config } from './config.ts'

handleHelp(config)

try {
  const settings = config.load()
  const format = settings.LOG_FORMAT ?? (settings.NODE_ENV === 'production' ? 'json' : 'pretty')
  const log = createLogger({ process: 'gateway', level: settings.LOG_LEVEL, format })
  captureConsole(log)
  log.debug('config', 'configuration', config.redact(settings))
  const gateway = composeGateway(settings, log, await openTracing('gateway'))
  gateway.lifecycle.add('ready line', {
    start: () => log.info('lifecycle', 'ready', { port: gateway.port, adminPort: gateway.adminPort }),
  })
  await gateway.lifecycle.runUntilSignal()
} catch (error) {
  process.stderr.write(`${error instanceof ConfigError ? error.message : String(error)}\n`)
  process.exit(1)
}
