/**
 * A device that is away still has a page: the last good copy of it, or a page of ours that opens the real one as soon as
 * it is back. Programs, and whatever a page's script asks for, get a problem and never a page.
 */
import { promisify } from 'node:util'
import { brotliDecompress, gunzip, inflate } from 'node:zlib'
import type { Logger } from '@wmoc/platform/log'
import { isRetrieval } from '#src/core/access-rules.ts'
import { sendError, sendProblem } from '#src/user/problem.ts'
import type { ProxyRequest } from '#src/user/proxy.ts'
import { watchedBy } from '../layers.ts'
import type { PageLayer } from '../layers.ts'
import { ALIVE_PATH } from './alive.ts'
import { OfflineAnswer } from './answer.ts'
import type { Passing } from './answer.ts'
import { EVERYBODY } from './copies.ts'
import type { Copies, CopyScope, WholeCopy } from './copies.ts'
import { MAX_COPY_BYTES } from './core/frozen-page.ts'
import { sendFrozenPage, sendFrozenPart } from './frozen.ts'
import { sendOfflinePage, sendSuspendedPage } from './offline-page.ts'
import type { AwayFacts } from './offline-page.ts'

/** What was shown of a device that is away. */
export type Shown = 'frozen' | 'page' | 'problem'

const RETRY_AFTER_MS = 5_000
const MAX_KEY_CHARS = 1_024
const DECODERS: Readonly<
  Record<string, (bytes: Buffer, limit: { maxOutputLength: number }) => Promise<Buffer>>
> = { gzip: promisify(gunzip), br: promisify(brotliDecompress), deflate: promisify(inflate) }

export function createOfflineLayer(deps: {
  copies: Copies
  scheme: 'http' | 'https'
  factsOf(proxied: ProxyRequest): Promise<AwayFacts>
  shown(what: Shown): void
  log: Logger
}): PageLayer {
  const { copies, shown, log } = deps

  async function keep(proxied: ProxyRequest, { type, encoding, body, isPersonal }: Passing): Promise<void> {
    // Guests of one link see the same copies.
    if (isPersonal && proxied.principal.linkId !== undefined) return
    const decode = DECODERS[encoding]
    if (encoding !== '' && encoding !== 'identity' && decode === undefined) return
    const plain = decode === undefined ? body : await decode(body, { maxOutputLength: MAX_COPY_BYTES })
    const copy = {
      key: keyOf(proxied),
      type,
      at: Date.now(),
      isDocument: proxied.isNavigation,
      body: plain,
    }
    // What was told to one person is that person's, also where the owner lets pages be shared.
    const isOpen = proxied.record.pageCache === 'public' && proxied.surface === 'own_origin' && !isPersonal
    copies.keep(scopeOf(proxied, isOpen ? EVERYBODY : viewersOf(proxied)), copy)
  }

  /** Asked when nothing can be kept or found without the store: then there is no copy. */
  async function find(proxied: ProxyRequest): Promise<WholeCopy | null> {
    const own = scopeOf(proxied, viewersOf(proxied))
    const key = keyOf(proxied)
    if (!proxied.isNavigation && !(await copies.isViewer(own))) return null
    const found = await copies.find(own, key)
    if (found !== null || proxied.record.pageCache !== 'public') return found
    return copies.find(scopeOf(proxied, EVERYBODY), key)
  }

  async function away(proxied: ProxyRequest): Promise<void> {
    const { response, isNavigation, request, record } = proxied
    const copy = isRetrieval(request.method)
      ? await find(proxied).catch((error: unknown) => {
          log.debug('proxy', 'no copy of the page can be had', { error })
          return null
        })
      : null
    if (response.destroyed) return
    if (copy !== null && isNavigation) {
      await copies.noteViewer(scopeOf(proxied, viewersOf(proxied))).catch(() => undefined)
      sendFrozenPage(proxied, copy)
    } else if (copy !== null) sendFrozenPart(proxied, copy)
    else if (isNavigation) {
      const { host, prefix } = proxied
      const acceptLanguage = request.headers['accept-language']
      const origin = `${deps.scheme}://${host}`
      const page = { name: record.name, acceptLanguage, origin, alive: `${prefix}${ALIVE_PATH}` }
      sendOfflinePage(response, page, await deps.factsOf(proxied))
    } else sendProblem(response, 'device_offline', { retryAfterMs: RETRY_AFTER_MS })
    shown(copy !== null ? 'frozen' : isNavigation ? 'page' : 'problem')
  }

  return {
    handle(proxied, next) {
      const { response, request, record, isNavigation } = proxied
      if (record.state === 'suspended') return sendSuspended(proxied, deps.scheme)
      const layer = new OfflineAnswer(response, {
        mayKeep: request.method === 'GET' && proxied.path.length <= MAX_KEY_CHARS,
        isNavigation,
        isPersonal: proxied.cookie !== '' || request.headers.authorization !== undefined,
        kept(passing) {
          // A coding that lies is the browser's to complain of.
          keep(proxied, passing).catch(() => undefined)
        },
        away() {
          away(proxied).catch((error: unknown) => sendError(response, error))
        },
      })
      return next({ ...proxied, response: layer, watcher: watchedBy(layer, proxied) })
    },
  }
}

function sendSuspended(
  { response, request, record, host, isNavigation }: ProxyRequest,
  scheme: string,
): void {
  const page = {
    name: record.name,
    acceptLanguage: request.headers['accept-language'],
    origin: `${scheme}://${host}`,
  }
  if (isNavigation) sendSuspendedPage(response, page)
  else sendProblem(response, 'device_offline', { detail: 'The controller is suspended by its operator' })
}

function scopeOf({ record }: ProxyRequest, holder: string): CopyScope {
  return { controllerId: record.controllerId, accessEpoch: record.accessEpoch, holder }
}

/** Who sees one copy: a person, or all guests of a link, who see the same page by the same right. */
function viewersOf({ principal }: ProxyRequest): string {
  return principal.userId
}

function keyOf({ surface, port, path }: ProxyRequest): string {
  return `${surface} ${port ?? ''} ${path}`
}
