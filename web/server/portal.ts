/** The portal as its server hands it out: hashed files for ever, the page itself never cached, nothing else. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { appError, toProblem } from '@wmoc/platform/errors'
import type { AppError } from '@wmoc/platform/errors'
import { isFramed, STRAYED_HEADERS, STRAYED_PAGE } from '@wmoc/platform/strayed-page'
import headers from '../headers.json' with { type: 'json' }
import { CODINGS, readPortal } from './files.ts'
import type { Coding, Form, StaticFile } from './files.ts'

/** Security headers of every portal answer. */
export const PORTAL_HEADERS: Readonly<Record<string, string>> = headers

/** Paths of other processes and of operators. One that gets here was sent wrong, and the page would hide it. */
const NO_PAGE = /^\/(?:api|assets|c|debug|healthz|internal|metrics|readyz|status|tunnel)(?:\/|$)/

/** Around a device's page, which may well be called `/setup.html`. */
const DEVICE_PAGE = /^\/open\//

/**
 * A handler for what is in `folder` now: kept in memory, so that building the portal anew disturbs nobody. Paths are looked up, never resolved, so nothing outside can be reached; a path
 * without a file name gets the page, which routes by itself. `extra` headers go on every answer. A range is answered with the whole.
 */
export function createPortal(
  folder: string,
  extra: Readonly<Record<string, string>>,
): (request: IncomingMessage, response: ServerResponse) => void {
  const files = readPortal(folder)
  const index = files.get('/index.html')

  return (request, response) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return refuse(response, appError('method_not_allowed'), { ...extra, allow: 'GET, HEAD' })
    }
    if (isFramed(request.headers['sec-fetch-dest'])) {
      response.writeHead(200, { ...extra, ...STRAYED_HEADERS, 'content-length': STRAYED_PAGE.length })
      return void response.end(request.method === 'HEAD' ? undefined : STRAYED_PAGE)
    }
    const path = request.url!.split('?', 1)[0]!
    const isPage =
      DEVICE_PAGE.test(path) || (path.startsWith('/') && !/\.[a-z0-9]+$/i.test(path) && !NO_PAGE.test(path))
    const file = files.get(path) ?? (isPage ? index : undefined)
    if (!file) return refuse(response, appError('not_found'), extra)
    const { form, coding } = choose(file, request.headers['accept-encoding'])
    const common = {
      ...extra,
      etag: form.etag,
      'cache-control': file.isImmutable ? 'public, max-age=31536000, immutable' : 'no-cache',
      ...(Object.keys(file.compressed).length > 0 ? { vary: 'accept-encoding' } : {}),
    }
    if (isKnown(form.etag, request.headers['if-none-match']))
      return void response.writeHead(304, common).end()
    response.writeHead(200, {
      ...common,
      'content-type': file.type,
      'content-length': form.bytes.length,
      ...(coding ? { 'content-encoding': coding } : {}),
    })
    response.end(request.method === 'HEAD' ? undefined : form.bytes)
  }
}

/** The best form that the client names and there is. A coding is taken only where it is named: `*` may come from anybody. */
function choose(
  { plain, compressed }: StaticFile,
  accepted: string | string[] | undefined,
): { form: Form; coding: Coding | null } {
  const wanted = new Set(
    String(accepted ?? '')
      .toLowerCase()
      .split(',')
      .map((part) => part.split(';').map((piece) => piece.trim()))
      .filter(([, ...parameters]) => !parameters.some((text) => /^q=0(?:\.0*)?$/.test(text)))
      .map(([name]) => name),
  )
  for (const { name } of CODINGS) {
    const form = compressed[name]
    if (form && wanted.has(name)) return { form, coding: name }
  }
  return { form: plain, coding: null }
}

/** Whether `If-None-Match` names the tag; proxies that compress make tags weak. */
function isKnown(etag: string, header: string | undefined): boolean {
  if (header === undefined) return false
  if (header.trim() === '*') return true
  return header.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag)
}

function refuse(
  response: ServerResponse,
  error: AppError,
  extraHeaders: Readonly<Record<string, string>>,
): void {
  const problem = toProblem(error)
  response.writeHead(problem.status, { ...problem.headers, ...extraHeaders })
  response.end(JSON.stringify(problem.body))
}
