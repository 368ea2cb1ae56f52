/**
 * The web server behind every tunnel. Prints its port.
 *
 *   /data            1,024 bytes
 *   /bytes/N         N bytes, as fast as they are read
 *   POST /upload     how many bytes came
 */
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { BODY_BYTES } from '../plan.ts'

const body = Buffer.alloc(BODY_BYTES, 'wmoc')
const piece = Buffer.alloc(65_536, 'wmoc')

const server = createServer((request, response) => {
  const size = /^\/bytes\/(\d+)$/.exec(request.url ?? '')?.[1]
  if (size !== undefined) return sendBytes(response, Number(size))
  if (request.url === '/upload') return void count(request, response)
  response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': body.length })
  response.end(body)
})

function sendBytes(response: ServerResponse, total: number): void {
  response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': total })
  let left = total
  const more = () => {
    while (left > 0) {
      const part = left < piece.length ? piece.subarray(0, left) : piece
      left -= part.length
      if (!response.write(part)) return
    }
    response.off('drain', more)
    response.end()
  }
  response.on('drain', more)
  more()
}

async function count(request: IncomingMessage, response: ServerResponse): Promise<void> {
  let bytes = 0
  try {
    for await (const chunk of request) bytes += (chunk as Buffer).length
  } catch {
    return
  }
  const text = String(bytes)
  response.writeHead(200, { 'content-type': 'text/plain', 'content-length': text.length })
  response.end(text)
}

server.keepAliveTimeout = 60_000
server.requestTimeout = 0
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port))
