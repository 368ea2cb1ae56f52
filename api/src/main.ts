/** One process of the API, in the role that ROLE names: `api` answers requests, `worker` does what they left to do. */
import { ConfigError, handleHelp } from '@wmoc/platform/config'
import { captureConsole, createLogger } from '@wmoc/platform/log'
import { openTracing } from '@wmoc/platform/tracing'
import { compose } from './compose.ts'
import { apiConfig } from './config.ts'

handleHelp(apiConfig)
const { config, tracing } = await load()
const log = createLogger({
  process: config.ROLE,
  level: config.LOG_LEVEL,
  format: config.LOG_FORMAT ?? (config.NODE_ENV === 'production' ? 'json' : 'pretty'),
})
captureConsole(log)
const composition = compose(config, { log, tracing })
if (config.ROLE === 'api') composition.addApi()
else composition.addWorker()
composition.lifecycle.add('announcement', {
  start: () => log.info('lifecycle', `${config.ROLE} is up`, composition.ports()),
})
await composition.lifecycle.runUntilSignal()

async function load() {
  try {
    const loaded = apiConfig.load()
    return { config: loaded, tracing: await openTracing(loaded.ROLE) }
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    process.stderr.write(`${error.message}\n`)
    return process.exit(2)
  }
}
