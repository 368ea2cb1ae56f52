/**
 * Surface B: `/c/{id}~{capability}/…`, a device's page in the sandboxed frame of the portal's shell. The capability in the
 * address authorises everything, since a page of an opaque origin has no cookies; what it is worth nobody else may learn
 * by it, so that it is shown inside the shell only.
 */
import { appError } from '@wmoc/platform/errors'
import { isNavigation, opensDocument } from '#src/core/access-rules.ts'
import { HEADER_NAME, namesIn } from '#src/core/header-names.ts'
import { keptPath } from '#src/core/request-path.ts'
import type { Target } from '#src/core/request-path.ts'
import type { Capabilities } from '#src/page/capability/capabilities.ts'
import type { OwnPaths } from '#src/page/own-paths.ts'
import { serveOwnPath } from '#src/page/own-paths.ts'
import { needOf } from './call.ts'
import type { Call } from './call.ts'
import type { Answer } from './answer.ts'
import type { CookieJars } from './cookie-jar.ts'
import { FrameAnswer } from './frame-answer.ts'
import { redirect } from './problem.ts'
import type { ProxyRequest } from './proxy.ts'

export type FrameTarget = Extract<Target, { kind: 'device' | 'reserved' }> & { readonly capability: string }

export interface Frame {
  /** Answers by itself, errors too. */
  handle(call: Call, target: FrameTarget): Promise<void>
}

export interface FrameOptions {
  readonly portalOrigin: string
  readonly scheme: 'http' | 'https'
  readonly capabilities: Capabilities
  readonly jars: CookieJars
  readonly ownPaths: OwnPaths
  readonly refused: (reason: FrameRefusal) => void
  readonly pass: (call: Call, proxied: ProxyRequest) => void | Promise<void>
  readonly failed: (answer: Answer, error: unknown) => void
}

/** Closed: a metric's label. */
export type FrameRefusal = 'unknown' | 'top_level' | 'worker' | 'origin' | 'ended'

const MAX_PREFLIGHT_CHARS = 2_048

export function createFrame(options: FrameOptions): Frame {
  const { capabilities, jars, refused } = options

  async function serve(call: Call, target: FrameTarget, answer: Answer): Promise<void> {
    const { controllerId, port } = target
    const { request, hints, upgrade } = call
    if (upgrade === null && opensDocument(hints)) {
      refused('top_level')
      return redirect(answer, 303, addressInShell(target))
    }
    guard(call)
    if (isPreflight(call)) return sendPreflight(call, answer)
    const capability = capabilities.read(controllerId, target.capability)
    if (capability === null) {
      refused('unknown')
      throw appError('unauthenticated', { detail: 'The address of this page is not valid; open it again' })
    }
    const need = target.kind === 'reserved' ? 'GET' : needOf(call)
    const { principal, record } = await capabilities.admit(capability, need).catch((error: unknown) => {
      refused('ended')
      throw error
    })
    const proxied: ProxyRequest = {
      request,
      response: answer,
      host: call.host,
      expectsContinue: call.expectsContinue,
      clientAddress: call.clientAddress,
      span: call.span,
      principal,
      record,
      path: target.path,
      surface: 'frame',
      prefix: target.prefix,
      port,
      deviceAuthorization: null,
      // Another shard may have kept some a moment ago.
      cookie: await jars.latestHeader(principal, controllerId, target.path),
      keepCookies: (values) => jars.keep(principal, controllerId, target.path, values),
      isNavigation: isNavigation(hints) && upgrade === null,
      extraHeaders: [],
    }
    if (target.kind === 'reserved') return serveOwnPath(options.ownPaths, proxied)
    await options.pass(call, proxied)
  }

  function guard({ hints, host, upgrade }: Call): void {
    if (hints.fetchDest === 'serviceworker' || hints.fetchDest === 'sharedworker') {
      refused('worker')
      throw appError('forbidden', { detail: 'A page in a frame has no workers that outlive it' })
    }
    // The frame's own origin is opaque; the shell is what loads it.
    const ours = ['null', options.portalOrigin, `${options.scheme}://${host}`]
    if (hints.origin === undefined ? upgrade !== null : !ours.includes(hints.origin)) {
      refused('origin')
      throw appError('csrf_rejected')
    }
  }

  return {
    async handle(call, target) {
      const { response, upgrade, hints } = call
      const answer =
        upgrade === null ? new FrameAnswer(response, hints.fetchSite === 'same-origin') : response
      try {
        await serve(call, target, answer)
      } catch (error) {
        options.failed(answer, error)
      }
    },
  }
}

/** Where the shell shows the same. */
function addressInShell(target: FrameTarget): string {
  return `/c/${target.controllerId}${target.kind === 'device' ? keptPath(target) : '/'}`
}

function isPreflight({ request, upgrade }: Call): boolean {
  const { origin, 'access-control-request-method': method } = request.headers
  return upgrade === null && request.method === 'OPTIONS' && origin !== undefined && method !== undefined
}

/** Whatever the page asks for: what it may do is decided when it does it. */
function sendPreflight({ request }: Call, answer: Answer): void {
  const asked = request.headers['access-control-request-headers'] ?? ''
  const names = asked.length > MAX_PREFLIGHT_CHARS ? [] : namesIn(asked)
  const allowed = names.filter((name) => HEADER_NAME.test(name)).join(', ')
  answer.writeHead(204, [
    'Access-Control-Allow-Methods',
    `GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS`,
    ...(allowed === '' ? [] : ['Access-Control-Allow-Headers', allowed]),
    'Access-Control-Max-Age',
    '600',
    'Cache-Control',
    'no-store',
  ])
  answer.end()
}
