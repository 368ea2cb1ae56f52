/**
 * The order of what happens on one connection. Node's parser goes on with what came in the same packet after a request
 * that was the last; a server must not (RFC 9112 section 9.6), for it could be anything, the body of a request that was
 * refused above all. And it hands out a socket for another protocol while earlier answers are still to be written to it.
 */
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { LeanResponse } from './lean-response.ts'

const LATEST = Symbol('latest answer')
const IS_ENDING = Symbol('is ending')

/** Kept on the socket itself: weak maps with an entry a request cost the garbage collector dearly. */
interface Ordered extends Socket {
  [LATEST]?: LeanResponse
  [IS_ENDING]?: boolean
}

/** Nothing that comes after the present request on this connection is one. */
export function endAfterThis(socket: Ordered): void {
  socket[IS_ENDING] = true
}

/** Whether this is a request: false for what comes after the last one, which is not to be answered. */
export function isInOrder(request: IncomingMessage, response: LeanResponse): boolean {
  const socket: Ordered = request.socket
  if (socket[IS_ENDING] === true) return false
  if (!response.shouldKeepAlive) endAfterThis(socket)
  socket[LATEST] = response
  return true
}

/** Whether the connection may change its protocol: nothing before waits for an answer, and it was not the last. */
export function mayUpgrade(request: IncomingMessage): boolean {
  const socket: Ordered = request.socket
  return socket[IS_ENDING] !== true && (socket[LATEST]?.isOut ?? true)
}

/** Bytes that are no HTTP: answered where they can be, and the connection ends. */
export function refuseBytes(error: Error & { code?: string }, socket: Ordered): void {
  if (socket.writable && mayAnswerBytes(socket[LATEST]))
    socket.write(
      `HTTP/1.1 ${STATUS_LINES[error.code ?? ''] ?? '400 Bad Request'}\r\nConnection: close\r\n\r\n`,
    )
  socket.destroy(error)
}

const STATUS_LINES: Readonly<Record<string, string>> = {
  HPE_CHUNK_EXTENSIONS_OVERFLOW: '413 Payload Too Large',
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
}

/** Only where it can't be taken for the answer to an earlier request, which is still to come. */
function mayAnswerBytes(latest: LeanResponse | undefined): boolean {
  if (latest === undefined || latest.isOut) return true
  // The body of the present request is broken, and nobody has answered it.
  return latest.socket !== null && !latest.req.complete && !latest.headersSent
}
