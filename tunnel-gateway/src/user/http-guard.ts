/** What Node's parser lets through and we don't, before a request is looked at any further. */
import type { IncomingMessage } from 'node:http'
import type { ErrorCode } from '@wmoc/platform/errors'

const HOST = /^(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::\d{1,5})?$/
const MAX_TARGET_CHARS = 8_192

export type Guarded =
  | { readonly ok: true; readonly host: string; readonly target: string }
  | { readonly ok: false; readonly code: ErrorCode; readonly headers?: readonly string[] }

/** The host and the target of a sound request. */
export function guardRequest(request: IncomingMessage): Guarded {
  const { method, rawHeaders } = request
  if (method === 'TRACE' || method === 'CONNECT') {
    return {
      ok: false,
      code: 'method_not_allowed',
      headers: ['Allow', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'],
    }
  }
  // `HTTP/2.0` on a plain connection is nobody's protocol.
  if (request.httpVersionMajor !== 1) return malformed
  const transferEncoding = request.headers['transfer-encoding']
  if (transferEncoding !== undefined) {
    // Any other coding would leave its end to be guessed (RFC 9112 section 6.1).
    if (request.httpVersion === '1.0' || transferEncoding.toLowerCase() !== 'chunked') return malformed
    if (request.headers['content-length'] !== undefined) return malformed
  }
  let hosts = 0
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]!
    if (name.length === 4 && name.toLowerCase() === 'host') hosts += 1
  }
  const host = request.headers.host?.toLowerCase()
  if (hosts !== 1 || host === undefined || !HOST.test(host)) return malformed
  const target = originForm(request.url ?? '', host)
  if (target === null) return malformed
  if (target.length > MAX_TARGET_CHARS) return { ok: false, code: 'uri_too_long' }
  return { ok: true, host, target }
}

const malformed = { ok: false, code: 'malformed' } as const

/** `/path` as it is; `http://host/path` only for the host that the request names as well. */
function originForm(target: string, host: string): string | null {
  if (target.startsWith('/')) return target
  const absolute = /^https?:\/\/([^/?#]*)(.*)$/is.exec(target)
  if (absolute === null || absolute[1]!.toLowerCase() !== host) return null
  const rest = absolute[2]!
  return rest.startsWith('/') ? rest : `/${rest}`
}
