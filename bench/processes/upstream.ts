/** The web server behind every tunnel: 1,024 bytes for any request. Prints its port. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { BODY_BYTES } from '../plan.ts'

const body = Buffer.alloc(BODY_BYTES, 'wmoc')
const server = createServer((_request, response) => {
  response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': body.length })
  response.end(body)
})
server.keepAliveTimeout = 60_000
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port))
