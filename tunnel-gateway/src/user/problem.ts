/** Answers that the gateway gives itself: problem+json and redirects. */
import type { IncomingMessage } from 'node:http'
import { appError, toProblem } from '@wmoc/platform/errors'
import type { ErrorCode, ErrorDetails } from '@wmoc/platform/errors'
import { isRetrieval } from '#src/core/access-rules.ts'
import type { StreamFailure } from '#src/core/upstream.ts'
import { AWAY } from '#src/page/layers.ts'
import type { Answer } from './answer.ts'
import { endAfterThis } from './connection-order.ts'

const OWN = ['X-Content-Type-Options', 'nosniff', 'Cache-Control', 'no-store'] as const
const COMMON = [...OWN, 'Referrer-Policy', 'no-referrer'] as const

const AWAY_RETRY_MS = 5_000

/** Ends the response with a problem; where its head is out already, cuts the connection instead. */
export function sendProblem(
  response: Answer,
  code: ErrorCode,
  details: ErrorDetails = {},
  headers: readonly string[] = [],
): void {
  sendError(response, appError(code, details), headers)
}

export function sendError(response: Answer, error: unknown, headers: readonly string[] = []): void {
  if (response.headersSent || response.destroyed) {
    response.destroy()
    return
  }
  const problem = toProblem(error)
  const body = JSON.stringify(problem.body)
  const own = Object.entries(problem.headers).filter(([name]) => name !== 'cache-control')
  const isLast = headers.includes('Connection')
  if (isLast || isBodyUnread(response.req)) endAfterThis(response.req.socket)
  response.writeHead(problem.status, [
    ...COMMON,
    ...own.flat(),
    ...headers,
    ...(!isLast && isBodyUnread(response.req) ? ['Connection', 'close'] : []),
    'Content-Length',
    String(Buffer.byteLength(body)),
  ])
  response.end(body)
}

/** Headers of a page of ours, with those that all of them have; to be called when the head is about to go out. */
export function withOwnHeaders(response: Answer, headers: readonly string[]): string[] {
  const { req } = response
  const isLast = isBodyUnread(req)
  if (isLast) endAfterThis(req.socket)
  return [...OWN, ...headers, ...(isLast ? ['Connection', 'close'] : [])]
}

/** A body that nobody will read ends the connection, so that it can't be taken for the next request. */
function isBodyUnread({ complete, headers }: IncomingMessage): boolean {
  if (complete) return false
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

/** What a stream's failure is to the user. An answer that has begun can only be cut, never ended as if it were whole. */
export function sendFailure(response: Answer, failure: StreamFailure, isDraining: boolean): void {
  if (response.headersSent) {
    // HTTP/1.0 knows no chunks: there only a reset shows that something is missing.
    if (response.req.httpVersion === '1.0') response.socket?.resetAndDestroy()
    else response.destroy()
    return
  }
  switch (failure) {
    case 'overloaded':
      return sendProblem(response, 'overloaded', { retryAfterMs: 2_000 })
    case 'access_ended':
      return sendProblem(response, 'not_found')
    case 'slow_reader':
      response.destroy()
      return
    case 'not_supported':
      return sendUnsupported(response)
    case 'device_offline':
      return sendAway(response)
    case 'device_disconnected':
      if (isDraining) return sendProblem(response, 'draining', { retryAfterMs: 1_000 })
      // Whatever it has done of it, reading changed nothing: a person may see what is shown of a device that is away.
      return sendProblem(response, failure, {}, isRetrieval(response.req.method) ? AWAY : [])
    default:
      return sendProblem(response, failure)
  }
}

/** Nobody knows where the device is; what a person is shown of it then is a layer's to decide. */
export function sendAway(response: Answer): void {
  sendProblem(response, 'device_offline', { retryAfterMs: AWAY_RETRY_MS }, AWAY)
}

/** Of an ordinary request it is only its length that a device may not support. */
function sendUnsupported(response: Answer): void {
  const { headers } = response.req
  if (headers.upgrade !== undefined) sendProblem(response, 'not_implemented', { detail: NO_WEBSOCKETS })
  else if (headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined)
    sendProblem(response, 'payload_too_large')
  else sendProblem(response, 'headers_too_large')
}

const NO_WEBSOCKETS =
  'The controller’s firmware passes no WebSockets through; that takes dialect v2 of the tunnel protocol'

export function redirect(
  response: Answer,
  status: 303 | 307 | 308,
  location: string,
  headers: readonly string[] = [],
): void {
  response.writeHead(
    status,
    withOwnHeaders(response, [
      'Referrer-Policy',
      'no-referrer',
      ...headers,
      'Location',
      location,
      'Content-Length',
      '0',
    ]),
  )
  response.end()
}
