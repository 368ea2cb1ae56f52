/**
 * `npm run dev`: as `npm start`, with the services restarted when their sources change and the portal served by Vite,
 * changed in the open page. Takes the options of `npm start`.
 */
import { Agent } from 'node:http'
import { createServer } from 'vite'
import { forward } from './start/forward.ts'
import { runStart } from './start/run.ts'
import { ROOT } from './start/root.ts'

const vite = await createServer({
  root: `${ROOT}/web`,
  configFile: `${ROOT}/web/vite.config.ts`,
  server: { host: '127.0.0.1', port: 5173 },
  logLevel: 'warn',
})
await vite.listen()
const address = vite.httpServer?.address()
if (!address || typeof address === 'string') throw new Error('Vite did not open its port')
const agent = new Agent({ keepAlive: true })
const target = { host: '127.0.0.1', port: address.port }
process.exitCode = await runStart(process.argv.slice(2), {
  nodeFlags: ['--watch', '--watch-preserve-output'],
  portal: (request, response) => forward(agent, request, response, { targets: [target] }),
})
await vite.close()
process.exit()
