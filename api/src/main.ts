/** One process of the API, in the role that ROLE names: `api` answers requests, `worker` does what they left to do. */
import { ConfigError, handleHelp } from '@wmoc/platform/config'
import { captureConsole, createLogger } from '@wmoc/platform/log'
import { compose } from './compose.ts'
import { apiConfig } from './config.ts'

handleHelp(apiConfig)
const config = loadConfig()
const log = createLogger({
  process: config.ROLE,
  level: config.LOG_LEVEL,
  format: config.LOG_FORMAT ?? (config.NODE_ENV === 'production' ? 'json' : 'pretty'),
})
captureConsole(log)
const composition = compose(config, { log })
if (config.ROLE === 'api') composition.addApi()
else composition.addWorker()
composition.lifecycle.add('announcement', {
  start: () => log.info('lifecycle', `${config.ROLE} is up`, composition.ports()),
})
await composition.lifecycle.runUntilSignal()

function loadConfig() {
  try {
    return apiConfig.load()
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    process.stderr.write(`${error.message}\n`)
    return process.exit(2)
  }
}
