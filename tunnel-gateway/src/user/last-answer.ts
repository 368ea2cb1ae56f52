/**
 * The order of what happens on one connection. Node's parser goes on with what came in the same packet after a request
 * that was the last; a server must not (RFC 9112 section 9.6), for it could be anything, the body of a request that was
 * refused above all. And it hands out a socket for another protocol while earlier answers are still to be written to it.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

const ending = new WeakSet<Socket>()
const latest = new WeakMap<Socket, ServerResponse>()

/** Nothing that comes after the present request on this connection is one. */
export function endAfterThis(socket: Socket): void {
  ending.add(socket)
}

/** Whether this is a request: false for what comes after the last one, which is not to be answered. */
export function isInOrder({ socket }: IncomingMessage, response: ServerResponse): boolean {
  if (ending.has(socket)) return false
  if (!response.shouldKeepAlive) ending.add(socket)
  latest.set(socket, response)
  return true
}

/** Whether the connection may change its protocol: nothing before waits for an answer, and it was not the last. */
export function mayUpgrade({ socket }: IncomingMessage): boolean {
  return !ending.has(socket) && (latest.get(socket)?.writableFinished ?? true)
}
