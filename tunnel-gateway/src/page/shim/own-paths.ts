/** What the shim needs of the gateway: itself, and the cookies that a page in a frame can't have (`document.cookie`). */
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { appError } from '@wmoc/platform/errors'
import { createByteBudget } from '#src/core/byte-budget.ts'
import type { OwnPath } from '#src/page/own-paths.ts'
import { collectBody, UserLeft } from '#src/user/body.ts'
import type { CookieJars } from '#src/user/cookie-jar.ts'
import type { ProxyRequest } from '#src/user/proxy.ts'
import { SHIM, SHIM_ADDRESS, SHIM_PATH } from './script.ts'

const FORMS = new Map([
  ['br', brotliCompressSync(SHIM)],
  ['gzip', gzipSync(SHIM, { level: 9 })],
])
/** Name, value and attributes; what RFC 6265bis allows a browser to refuse above. */
const MAX_COOKIE_BYTES = 4_096
const COOKIE_TIMEOUT_MS = 10_000
/** Of all that are being read. */
const MAX_READING_BYTES = 1_048_576

export const COOKIE_PATH = '/_wmoc/cookie'

export function createShimPaths(jars: CookieJars): [path: string, own: OwnPath][] {
  return [
    [SHIM_PATH, { methods: ['GET', 'HEAD'], handle: sendShim }],
    [COOKIE_PATH, { methods: ['GET', 'POST'], handle: cookiePath(jars) }],
  ]
}

function sendShim({ request, response, path }: ProxyRequest): void {
  const accepted = request.headers['accept-encoding'] ?? ''
  const [coding, bytes] = [...FORMS].find(([name]) =>
    new RegExp(`\\b${name}\\b(?!\\s*;\\s*q=0)`).test(accepted),
  ) ?? [null, SHIM]
  // During an update another shard may be asked for a version that this one doesn't have.
  const isAsked = path === SHIM_ADDRESS
  response.writeHead(200, [
    'Content-Type',
    'text/javascript; charset=utf-8',
    'Cache-Control',
    isAsked ? 'private, max-age=31536000, immutable' : 'no-store',
    'Vary',
    'Accept-Encoding',
    'X-Content-Type-Options',
    'nosniff',
    'Cross-Origin-Resource-Policy',
    'same-origin',
    ...(coding === null ? [] : ['Content-Encoding', coding]),
    'Content-Length',
    String(bytes.length),
  ])
  response.end(request.method === 'HEAD' ? undefined : bytes)
}

/** `GET /_wmoc/cookie?/page` answers what a script of that page may read; `POST` takes what it sets. */
function cookiePath(jars: CookieJars): OwnPath['handle'] {
  const budget = createByteBudget(MAX_READING_BYTES)

  async function read({ request, response, expectsContinue }: ProxyRequest): Promise<string> {
    let taken = 0
    try {
      const body = await collectBody(request, {
        maxBytes: MAX_COOKIE_BYTES,
        timeoutMs: COOKIE_TIMEOUT_MS,
        budget,
        onTaken: (bytes) => (taken += bytes),
        allow: () => expectsContinue && response.writeContinue(),
      })
      // As headers come: a character for each byte.
      return Buffer.from(body).toString('latin1')
    } finally {
      budget.give(taken)
    }
  }

  async function answer(proxied: ProxyRequest): Promise<void> {
    const { surface, path, request, response, principal, record } = proxied
    // On its own origin a page has cookies of its own.
    if (surface !== 'frame') throw appError('not_found')
    const page = /^[^?]*\?(\/.*)$/.exec(path)?.[1] ?? '/'
    if (request.method === 'POST')
      await jars.setByScript(principal, record.controllerId, page, await read(proxied))
    const body = Buffer.from(await jars.readByScript(principal, record.controllerId, page), 'latin1')
    response.writeHead(200, [
      'Content-Type',
      'text/plain; charset=utf-8',
      'Cache-Control',
      'no-store',
      'Content-Length',
      String(body.length),
    ])
    response.end(body)
  }

  return (proxied) =>
    answer(proxied).catch((error: unknown) => {
      if (!(error instanceof UserLeft)) throw error
    })
}
