/**
 * An upstream in the benchmark's own process, so that what happens at both ends of a tunnel is read from one clock.
 *
 *   /data      ok
 *   /events    an event at once, and no end
 *   /endless   bytes as fast as they are read
 */
import { createServer } from 'node:http'
import type { ServerResponse } from 'node:http'
import { connect } from 'node:net'
import type { AddressInfo } from 'node:net'
import { sleep } from './children.ts'
import type { Target } from './plan.ts'

export interface Probe {
  readonly url: string
  /** Milliseconds from a request for an event stream to its first event. */
  firstEventMs(target: Target): Promise<number>
  /** Milliseconds from a user's leaving in the middle of an endless answer until the upstream knows; infinite after 10 s. */
  cancelMs(target: Target): Promise<number>
  stop(): void
}

const LIMIT_MS = 10_000
const piece = Buffer.alloc(16_384, 'wmoc')

export async function startProbe(): Promise<Probe> {
  let closed: (() => void) | null = null
  const server = createServer((request, response) => {
    if (request.url === '/events') {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('data: first\n\n')
      return
    }
    if (request.url !== '/endless') {
      response.end('ok')
      return
    }
    response.once('close', () => closed?.())
    response.writeHead(200, { 'content-type': 'application/octet-stream' })
    pour(response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    firstEventMs: (target) =>
      ask(target, '/events', (received) => received.includes('data: first')).then(({ socket, tookMs }) => {
        socket.destroy()
        return tookMs
      }),
    async cancelMs(target) {
      const { promise, resolve } = Promise.withResolvers<number>()
      const { socket } = await ask(target, '/endless', (received) => received.length > 256)
      socket.resume()
      // The stream runs at full speed by now.
      await sleep(50)
      const leftAt = performance.now()
      closed = () => resolve(performance.now() - leftAt)
      socket.destroy()
      const timer = setTimeout(() => resolve(Infinity), LIMIT_MS)
      const tookMs = await promise
      clearTimeout(timer)
      closed = null
      return tookMs
    },
    stop() {
      server.close()
      server.closeAllConnections()
    },
  }
}

/** About 3 MB a second: a camera's pace, which fills no buffer on the way. */
function pour(response: ServerResponse): void {
  const timer = setInterval(() => response.write(piece), 5)
  response.once('close', () => clearInterval(timer))
}

/** Sends a request on a connection of its own and waits until what came satisfies `isEnough`. */
function ask(target: Target, path: string, isEnough: (received: string) => boolean) {
  const { host, port, prefix, headers } = target
  const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  const socket = connect({ host, port, noDelay: true })
  const { promise, resolve, reject } = Promise.withResolvers<{ socket: typeof socket; tookMs: number }>()
  let received = ''
  let startedAt = 0
  const take = (chunk: Buffer) => {
    received += chunk.toString('latin1')
    if (!isEnough(received)) return
    socket.off('data', take)
    resolve({ socket, tookMs: performance.now() - startedAt })
  }
  socket.on('connect', () => {
    startedAt = performance.now()
    socket.write(`GET ${prefix}${path} HTTP/1.1\r\n${head.join('')}\r\n`)
  })
  socket.on('data', take)
  socket.on('error', reject)
  socket.on('close', () => reject(new Error(`cut after ${received.length} bytes: ${received.slice(0, 60)}`)))
  return promise
}
