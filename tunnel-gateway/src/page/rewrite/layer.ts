/**
 * Rewrites pages and style sheets on their way to a person's browser, so that what a device believes to be its root lies below
 * the page's prefix; everything else passes untouched. On a device's own origin only pages change whose device has other
 * ports: they get the shim.
 */
import { createHash, createHmac } from 'node:crypto'
import type { Logger } from '@wmoc/platform/log'
import { createByteBudget } from '#src/core/byte-budget.ts'
import { isOwnPage, watchedBy } from '#src/page/layers.ts'
import type { PageLayer } from '#src/page/layers.ts'
import { SHIM_ADDRESS, SHIM_PATH } from '#src/page/shim/script.ts'
import { headersOf, placeOf } from '#src/user/outgoing.ts'
import type { ProxyRequest } from '#src/user/proxy.ts'
import { RewriteAnswer } from './answer.ts'
import type { AnswerPlan } from './answer.ts'
import { createBodyRewriter } from './core/body.ts'
import { accepts, changedHead, codingOf, headerOf, rewrittenType } from './core/head.ts'
import type { HtmlPage } from './core/html.ts'
import { PageAddresses } from './core/page-addresses.ts'
import { shimElement } from './core/shim-element.ts'
import { deviceRequest, tagOf } from './core/validators.ts'
import { createKnownFacts } from './facts.ts'
import type { DeviceFacts } from './facts.ts'

export interface RewriteDeps {
  readonly scheme: 'http' | 'https'
  /** Secret of the gateways: the nonces of a page stay the same, because browsers keep pages, and nobody else can tell them. */
  readonly nonceKey: string
  readonly log: Logger
}

/** Goes up with every change of what is written: what browsers keep is asked for anew. */
const VERSION = 1
/** Of the windows of all decoders, however many pages of however many devices are read slowly. */
const MAX_WINDOW_BYTES = 268_435_456
const NOT_BODIES: ReadonlySet<number> = new Set([204, 205, 206, 304])
const DOCUMENTS = /^(?:document|iframe|frame|embed|object|fencedframe)$/

export function createRewriteLayer(deps: RewriteDeps): PageLayer {
  const facts = createKnownFacts()
  const windows = createByteBudget(MAX_WINDOW_BYTES)

  function nameOf({ ports, ownHosts }: DeviceFacts, isDocument: boolean): string {
    const parts = JSON.stringify([VERSION, SHIM_ADDRESS, isDocument, ports, ownHosts])
    return createHash('sha256').update(parts).digest('hex').slice(0, 8)
  }

  function nonceOf({ record, prefix }: ProxyRequest): string {
    return createHmac('sha256', deps.nonceKey)
      .update(`page-nonce\0${record.controllerId}\0${prefix}`)
      .digest('base64url')
      .slice(0, 22)
  }

  function pageOf(proxied: ProxyRequest, known: DeviceFacts): HtmlPage {
    const place = placeOf(proxied, known)
    const nonce = nonceOf(proxied)
    return {
      place,
      origin: `${deps.scheme}://${proxied.host}`,
      path: proxied.path,
      shim: shimElement(place, SHIM_ADDRESS, nonce),
      shimPath: place.prefix + SHIM_PATH,
      nonce,
      isSandboxed: proxied.surface === 'frame',
    }
  }

  function plan(
    proxied: ProxyRequest,
    isConditional: boolean,
    status: number,
    headers: string[],
  ): AnswerPlan {
    const untouched = { headers, body: null }
    if (isOwnPage(headers)) return untouched
    const { request, record } = proxied
    const isDocument = isDocumentRequest(proxied)
    const type = rewrittenType(headerOf(headers, 'content-type') ?? '')
    const coding = codingOf(headerOf(headers, 'content-encoding'))
    const isKept = type === null && !isDocument && status !== 304 && headerOf(headers, 'link') === undefined
    if (isKept) return untouched
    const known = facts.get(record.controllerId)
    if (!isBelowPrefix(proxied) && (known.ports.length === 0 || !isDocument || type?.kind === 'css'))
      return untouched
    const page = pageOf(proxied, known)
    const isRewritten = type !== null && coding !== null && status !== 206
    const keepsCoding = coding !== null && accepts(one(request.headers['accept-encoding']), coding)
    const { map } = new PageAddresses(page.place, page.origin, page.path)
    const name = nameOf(known, isDocument)
    const changed = changedHead(headers, {
      isRewritten,
      keepsCoding,
      map,
      tag: isRewritten || (status === 304 && isConditional) ? (tag) => tagOf(tag, name) : null,
      policy: isDocument ? { map, origin: page.origin, nonce: page.nonce, shimPath: page.shimPath } : null,
    })
    if (!isRewritten || NOT_BODIES.has(status) || request.method === 'HEAD')
      return { headers: changed, body: null }
    const rewriter = createBodyRewriter({ ...type, page, isDocument })
    return { headers: changed, body: { rewriter, coding, keepsCoding } }
  }

  return {
    handle(proxied, next) {
      if (proxied.surface === 'api') return next(proxied)
      const { record } = proxied
      const isDocument = isDocumentRequest(proxied)
      const name = nameOf(facts.get(record.controllerId), isDocument)
      const isWhole = isBelowPrefix(proxied) && (isDocument || destinationOf(proxied) === 'style')
      const asked = deviceRequest(headersOf(proxied), name, isWhole)
      const response = new RewriteAnswer(
        proxied.response,
        (status, headers) => plan(proxied, asked.isConditional, status, headers),
        windows,
        (reason) => deps.log.warn('proxy', 'a page was cut', { controllerId: record.controllerId, reason }),
      )
      const watcher = watchedBy(
        { opening: (_asked, upstream) => facts.learn(upstream), answered: () => undefined },
        proxied,
      )
      return next({ ...proxied, response, requestHeaders: asked.headers, watcher })
    },
  }
}

/** Where the page is not at the root of its origin. */
function isBelowPrefix({ surface, port }: ProxyRequest): boolean {
  return surface === 'frame' || port !== null
}

/** A document is shown of the answer, rather than a script or a style sheet reading it. */
function isDocumentRequest(proxied: ProxyRequest): boolean {
  const destination = destinationOf(proxied)
  if (destination !== undefined) return DOCUMENTS.test(destination)
  const { headers } = proxied.request
  return headers['x-requested-with'] === undefined && /\btext\/html\b/i.test(headers.accept ?? '')
}

function destinationOf({ request }: ProxyRequest): string | undefined {
  return one(request.headers['sec-fetch-dest'])
}

function one(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value
}
