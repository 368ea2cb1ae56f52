/** Configures and runs the operator until a signal. */
import { ConfigError, handleHelp } from '@wmoc/platform/config'
import { captureConsole, createLogger } from '@wmoc/platform/log'
import { composeOperator } from './compose.ts'
import { checkLease, config } from './config.ts'
import { KubeconfigError } from './runtime/errors.ts'
import { loadClusterAccess } from './runtime/kubeconfig.ts'

handleHelp(config)

try {
  const settings = config.load()
  checkLease(settings)
  const format = settings.LOG_FORMAT ?? (settings.NODE_ENV === 'production' ? 'json' : 'pretty')
  const log = createLogger({ process: 'operator', level: settings.LOG_LEVEL, format })
  captureConsole(log)
  log.debug('config', 'configuration', config.redact(settings))
  const access = await loadClusterAccess(process.env, { kubeconfig: settings.KUBECONFIG })
  const operator = composeOperator(settings, access, log)
  operator.lifecycle.add('ready line', {
    start: () => log.info('lifecycle', 'ready', { adminPort: operator.adminPort, server: access.server }),
  })
  await operator.lifecycle.runUntilSignal()
} catch (error) {
  const isExpected = error instanceof ConfigError || error instanceof KubeconfigError
  process.stderr.write(`${isExpected ? error.message : String(error)}\n`)
  process.exit(1)
}
