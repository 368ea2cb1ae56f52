/** The end of an HTTP server that breaks no answer. */
import { Server as NetServer } from 'node:net'
import type { Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/**
 * Watches the server from now on; call it before the first request. The function it returns takes no connection any more,
 * ends those that wait for nothing, and each other one once its answer has gone out; what is left after `drainMs` is cut.
 * (Node's own `close` takes a connection for idle as soon as its answer is complete in memory, and cuts it.)
 */
export function createGentleClose(server: Server, drainMs: number): () => Promise<void> {
  const answers = new Map<Socket, Set<ServerResponse>>()
  let isClosing = false
  server.on('connection', (socket: Socket) => {
    answers.set(socket, new Set())
    socket.once('close', () => answers.delete(socket))
  })
  server.on('request', (request, response) => {
    const open = answers.get(request.socket)
    open?.add(response)
    response.once('close', () => {
      open?.delete(response)
      if (isClosing && open?.size === 0) request.socket.end()
    })
  })
  return async () => {
    isClosing = true
    const closed = new Promise((resolve) => NetServer.prototype.close.call(server, resolve))
    for (const [socket, open] of answers) if (open.size === 0) socket.destroy()
    const cut = setTimeout(() => server.closeAllConnections(), drainMs)
    await closed
    clearTimeout(cut)
    // What is left of it: the interval that looks for slow requests.
    server.close()
  }
}
