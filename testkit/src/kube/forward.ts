/** Connections from this process's network into a cluster, through its supervisor's socket. */
import { request } from 'node:http'
import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'

export interface Forward {
  /** On 127.0.0.1. */
  readonly port: number
  /** `http://127.0.0.1:<port>` */
  readonly url: string
  close(): Promise<void>
}

/** Asks the supervisor; `CONNECT host:port` answers the connection itself. */
export function connectThrough(socketPath: string, target: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, method: 'CONNECT', path: target })
    asked.once('error', reject)
    asked.once('connect', (response, socket: Socket, head) => {
      if (response.statusCode !== 200) {
        socket.destroy()
        return reject(new Error(`${target}: ${response.statusMessage}`))
      }
      if (head.length > 0) socket.unshift(head)
      resolve(socket)
    })
    asked.end()
  })
}

/** Listens on a free port of 127.0.0.1 (or `listenPort`); every connection to it goes to `target` (`host:port`). */
export async function openForward(socketPath: string, target: string, listenPort = 0): Promise<Forward> {
  const open = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    open.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => open.delete(socket))
    connectThrough(socketPath, target).then(
      (upstream) => {
        upstream.on('error', () => socket.destroy())
        upstream.once('close', () => socket.destroy())
        socket.once('close', () => upstream.destroy())
        socket.pipe(upstream).pipe(socket)
      },
      () => socket.resetAndDestroy(),
    )
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(listenPort, '127.0.0.1', resolve)
  })
  // It must not keep a test file alive that is otherwise done.
  server.unref()
  const { port } = server.address() as AddressInfo
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    async close() {
      for (const socket of open) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
