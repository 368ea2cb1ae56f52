/** Answers that the gateway gives itself: problem+json, redirects, and a page for people. */
import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { appError, toProblem } from '@wmoc/platform/errors'
import type { ErrorCode, ErrorDetails } from '@wmoc/platform/errors'
import type { StreamFailure } from '#src/core/upstream.ts'
import { OWN_PAGE } from '#src/page/layers.ts'
import type { Answer } from './answer.ts'
import { endAfterThis } from './connection-order.ts'

const COMMON = [
  'X-Content-Type-Options',
  'nosniff',
  'Referrer-Policy',
  'no-referrer',
  'Cache-Control',
  'no-store',
]

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
      return sendProblem(response, failure, { retryAfterMs: 5_000 })
    case 'device_disconnected':
      if (isDraining) return sendProblem(response, 'draining', { retryAfterMs: 1_000 })
      return sendProblem(response, failure)
    default:
      return sendProblem(response, failure)
  }
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
  status: 303 | 308,
  location: string,
  headers: readonly string[] = [],
): void {
  response.writeHead(status, [...COMMON, ...headers, 'Location', location, 'Content-Length', '0'])
  response.end()
}

const TEXTS = {
  en: {
    title: 'The controller is offline',
    text: 'It is not connected right now. This page opens by itself as soon as it is back.',
    seen: 'Last seen: ',
  },
  ru: {
    title: 'Контроллер не в сети',
    text: 'Сейчас он не подключён. Страница откроется сама, как только он вернётся.',
    seen: 'Был в сети: ',
  },
} as const

const STYLE =
  'body{font:16px/1.5 system-ui,sans-serif;max-width:32rem;margin:20vh auto;padding:0 1rem;color:#1c1f23;background:#fff}' +
  '@media(prefers-color-scheme:dark){body{color:#e8eaed;background:#15181c}}'
const STYLE_HASH = createHash('sha256').update(STYLE).digest('base64')
const RELOAD_SEC = 5

/** A person opened the page of a device that is away: the page tries again by itself. */
export function sendOfflinePage(
  response: Answer,
  acceptLanguage: string | undefined,
  lastSeenAt: number | null,
): void {
  const language = /^\s*ru\b/i.test(acceptLanguage ?? '') ? 'ru' : 'en'
  const text = TEXTS[language]
  const iso = lastSeenAt === null ? null : new Date(lastSeenAt).toISOString()
  const seen =
    iso === null
      ? ''
      : `<p>${text.seen}<time datetime="${iso}">${iso.slice(0, 19).replace('T', ' ')} UTC</time></p>`
  const html =
    `<!doctype html><html lang="${language}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">` +
    `<meta http-equiv="refresh" content="${RELOAD_SEC}"><title>${text.title}</title><style>${STYLE}</style></head>` +
    `<body><main><h1>${text.title}</h1><p>${text.text}</p>${seen}</main></body></html>`
  response.writeHead(503, [
    ...COMMON,
    ...OWN_PAGE,
    'Content-Type',
    'text/html; charset=utf-8',
    'Content-Security-Policy',
    `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
    'Retry-After',
    String(RELOAD_SEC),
    'Content-Length',
    String(Buffer.byteLength(html)),
  ])
  response.end(html)
}
