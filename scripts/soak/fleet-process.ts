/**
 * A fleet in a process of its own, asked by HTTP on 127.0.0.1 (`remote-fleet.ts`). Arguments: tunnel address, file of JSON
 * lines (`FleetDevice`). Prints its port.
 */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { z } from 'zod'
import { listen } from '@wmoc/platform/listen'
import { createFleet } from './fleet.ts'
import { KINDS } from './kinds.ts'
import type { KindName } from './kinds.ts'

const Device = z.object({
  controller_id: z.uuid(),
  secret: z.string(),
  kind: z.enum(Object.keys(KINDS) as [KindName, ...KindName[]]),
})

const [url, file] = z.tuple([z.url(), z.string()]).parse(process.argv.slice(2))
const lines = readFileSync(file, 'utf8').trim().split('\n')
const fleet = createFleet(
  url,
  lines.map((line) => Device.parse(JSON.parse(line))),
)

const server = createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url!, 'http://fleet')
  const answer = (body: unknown) =>
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  if (pathname === '/start') {
    void fleet.start(Number(searchParams.get('rate')))
    answer({})
  } else if (pathname === '/report') answer(fleet.report())
  else if (pathname === '/arrived') answer([...fleet.arrived])
  else if (pathname === '/close-codes') answer(fleet.closeCodes)
  else if (pathname === '/cut') {
    fleet.find(searchParams.get('id')!)?.cut()
    answer({})
  } else if (pathname === '/freeze') {
    fleet.find(searchParams.get('id')!)?.freeze()
    answer({})
  } else response.writeHead(404).end()
})
console.log(await listen(server, { port: 0, host: '127.0.0.1' }))

process.once('SIGTERM', () => {
  void fleet.stop().then(() => process.exit(0))
})
