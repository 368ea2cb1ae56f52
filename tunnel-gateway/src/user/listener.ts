/** The listener of people and their programs: `/c/{id}/…` on the portal's host, and every device's own origin. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { AppError, appError } from '@wmoc/platform/errors'
import type { Logger } from '@wmoc/platform/log'
import type { Tracing } from '@wmoc/platform/tracing'
import type { Directory } from '#src/control-plane/directory.ts'
import { isNavigation, isSameOrigin } from '#src/core/access-rules.ts'
import { deviceCookies } from '#src/core/cookie-rules.ts'
import { keptPath, leadsToPort, parseControllerTarget, parseOwnOriginTarget } from '#src/core/request-path.ts'
import type { FrameParts } from '#src/page/capability/compose.ts'
import type { PageParts } from '#src/page/compose.ts'
import { throughLayers } from '#src/page/layers.ts'
import { serveOwnPath } from '#src/page/own-paths.ts'
import type { Answer } from './answer.ts'
import { plainToken } from './bearer.ts'
import { addressOf, hintsOf, needOf } from './call.ts'
import type { Call } from './call.ts'
import type { CookieJars } from './cookie-jar.ts'
import { createFrame } from './frame.ts'
import type { FrameRefusal } from './frame.ts'
import { guardRequest } from './http-guard.ts'
import type { PageSessions } from './page-sessions.ts'
import type { Admitted, Gatekeeper } from './principal.ts'
import { redirect, sendError, sendProblem } from './problem.ts'
import type { Proxy, ProxyRequest } from './proxy.ts'
import { beginRequest } from './request-spans.ts'
import { checkUpgrade, responseOn } from './upgrade.ts'

export interface UserListenerOptions {
  readonly portalOrigin: string
  /** Empty: devices have no origin of their own. */
  readonly deviceDomain: string
  readonly scheme: 'http' | 'https'
  readonly trustedHops: number
  readonly directory: Directory
  readonly gatekeeper: Gatekeeper
  readonly pages: PageSessions
  readonly jars: CookieJars
  readonly proxy: Proxy
  /** Between people who look at a page and the device. */
  readonly parts: PageParts
  readonly frames: FrameParts
  readonly frameRefused: (reason: FrameRefusal) => void
  readonly tracing: Tracing | null
  readonly log: Logger
}

export interface UserListener {
  handle(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void
  /** A request for another protocol; whatever it is, it is answered. */
  upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void
}

const LOOPBACK = /^(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?$/
const CHALLENGE = ['WWW-Authenticate', 'Bearer'] as const

export function createUserListener(options: UserListenerOptions): UserListener {
  const { gatekeeper, pages, proxy, directory, tracing } = options
  const { layers, ownPaths, vault, changes } = options.parts
  const toDevice = (proxied: ProxyRequest) => proxy.handle(proxied)
  const ofProgram = (proxied: ProxyRequest) => changes.handle(proxied, toDevice)
  const toPage = throughLayers(layers, toDevice)
  const { portalOrigin, scheme, jars } = options
  const { capabilities, endpoints } = options.frames
  const frame = createFrame({
    portalOrigin,
    scheme,
    capabilities,
    jars,
    ownPaths,
    refused: options.frameRefused,
    pass,
    failed,
  })
  const portalHost = new URL(portalOrigin).host
  const suffix = options.deviceDomain === '' ? null : `.${options.deviceDomain}`
  /** On one machine the portal is reached by any of its loopback names. */
  const isPortalHost = (host: string) =>
    host === portalHost || (LOOPBACK.test(portalHost) && LOOPBACK.test(host))

  function route(call: Call): void | Promise<void> {
    const label = labelOf(call.host)
    if (label !== null) return onOwnOrigin(call, label)
    if (!isPortalHost(call.host)) throw appError('misdirected')
    return onPortalHost(call)
  }

  function labelOf(host: string): string | null {
    if (suffix === null || !host.endsWith(suffix)) return null
    const label = host.slice(0, -suffix.length)
    return /^[a-z0-9-]{1,63}$/.test(label) ? label : null
  }

  function onPortalHost(call: Call): void | Promise<void> {
    const { request, response, hints } = call
    const target = parseControllerTarget(call.target)
    if (target.kind === 'malformed') throw appError('malformed')
    if (target.kind === 'redirect') return redirect(response, 308, target.location)
    if (target.kind === 'unknown') throw appError('not_found')
    const { controllerId, path, capability } = target
    if (capability !== null) return frame.handle(call, { ...target, capability })
    const { authorization } = request.headers
    const opensPage = authorization === undefined && isNavigation(hints) && call.upgrade === null
    if (target.kind === 'reserved' && !(opensPage && leadsToPort(path)))
      return endpoints.handle(call, controllerId, path)
    if (authorization === undefined) {
      if (!opensPage) throw appError('unauthenticated')
      if (suffix === null) return redirect(response, 303, `${portalOrigin}/open/${controllerId}${path}`)
      return pages.leavePortal(request, response, controllerId, path)
    }
    const token = plainToken(request)
    const admitted = token === null ? null : gatekeeper.admitAtHand(token, controllerId, needOf(call))
    if (admitted !== null) return asApiClient(call, admitted, path)
    return admit(authorization, controllerId, needOf(call)).then((known) => asApiClient(call, known, path))
  }

  async function admit(authorization: string, controllerId: string, need: string): Promise<Admitted> {
    const principal = await gatekeeper.fromBearer(authorization)
    return { principal, record: await gatekeeper.admit(principal, controllerId, need) }
  }

  function asApiClient(call: Call, { principal, record }: Admitted, path: string): void | Promise<void> {
    const { controllerId } = record
    const go = (cookie: string) =>
      pass(call, {
        ...common(call),
        principal,
        record,
        path,
        surface: 'api',
        prefix: `/c/${controllerId}`,
        port: null,
        deviceAuthorization: null,
        cookie,
        keepCookies: (values) => jars.keep(principal, controllerId, path, values),
        isNavigation: false,
        extraHeaders: [],
      })
    const cookie = jars.cookieHeader(principal, controllerId, path)
    return typeof cookie === 'string' ? go(cookie) : cookie.then(go)
  }

  async function onOwnOrigin(call: Call, label: string): Promise<void> {
    const { request, response, hints, host } = call
    const target = parseOwnOriginTarget(call.target)
    if (target.kind === 'malformed') throw appError('malformed')
    if (target.kind === 'redirect') return redirect(response, 308, target.location)
    const record = await directory.byLabel(label)
    if (record === null || record.state === 'revoked') throw appError('misdirected')
    if (target.path.startsWith('/_wmoc/enter?') && target.port === null && request.method === 'GET')
      return pages.enter(response, target.path, record)
    const isPage = isNavigation(hints) && call.upgrade === null
    const known = await pages.recognise(request, record)
    if (known === null) {
      if (!isPage) throw appError('unauthenticated')
      // What is the gateway's has no address on the portal.
      const path = target.kind === 'device' ? keptPath(target) : '/'
      return redirect(response, 303, `${portalOrigin}/c/${record.controllerId}${path}`)
    }
    const ownOrigin = `${scheme}://${host}`
    // Any site may open a WebSocket with the user's cookie; only `Origin` tells which one it was.
    const isOwn = call.upgrade === null ? isSameOrigin(hints, ownOrigin) : hints.origin === ownOrigin
    if (!isOwn) throw appError('csrf_rejected')
    const isOwnPath = target.kind === 'reserved'
    await gatekeeper.admit(known.principal, record.controllerId, isOwnPath ? 'GET' : needOf(call))
    const proxied: ProxyRequest = {
      ...common(call),
      principal: known.principal,
      record,
      path: target.path,
      surface: 'own_origin',
      prefix: target.prefix,
      port: target.port,
      deviceAuthorization: null,
      cookie: deviceCookies(request.headers.cookie ?? ''),
      isNavigation: isPage,
      extraHeaders: known.setCookie === null ? [] : ['Set-Cookie', known.setCookie],
    }
    await (isOwnPath ? serveOwnPath(ownPaths, proxied) : pass(call, proxied))
  }

  function pass({ upgrade, response }: Call, proxied: ProxyRequest): void | Promise<void> {
    if (upgrade === null)
      return proxied.surface === 'api' ? vault.handle(proxied, ofProgram) : toPage(proxied)
    const open = (signed: ProxyRequest) => proxy.upgrade({ ...signed, response, ...upgrade })
    const signed = vault.authorise(proxied)
    return signed instanceof Promise ? signed.then(open) : open(signed)
  }

  function common({ request, response, host, expectsContinue, clientAddress, span }: Call) {
    return { request, response, host, expectsContinue, clientAddress, span }
  }

  function begin(
    request: IncomingMessage,
    response: ServerResponse,
    expectsContinue: boolean,
    upgrade: Call['upgrade'],
  ): void {
    const guarded = guardRequest(request)
    if (!guarded.ok) {
      sendProblem(response, guarded.code, {}, [...(guarded.headers ?? []), 'Connection', 'close'])
      return
    }
    const { host, target } = guarded
    const span = tracing === null ? null : beginRequest(tracing, request, response)
    const call: Call = {
      request,
      response,
      host,
      target,
      expectsContinue,
      upgrade,
      hints: hintsOf(request),
      clientAddress: addressOf(request, options.trustedHops),
      span,
    }
    try {
      const work = span === null ? route(call) : tracing!.within(span, () => route(call))
      if (work !== undefined) work.catch((error: unknown) => failed(response, error))
    } catch (error) {
      failed(response, error)
    }
  }

  function failed(response: Answer, error: unknown): void {
    if (!(error instanceof AppError)) options.log.error('http', 'request failed', { error })
    const isChallenge = error instanceof AppError && error.status === 401
    sendError(response, error, isChallenge ? CHALLENGE : [])
  }

  return {
    handle: (request, response, expectsContinue) => begin(request, response, expectsContinue, null),
    upgrade(request, socket, head) {
      const response = responseOn(request, socket)
      const checked = checkUpgrade(request)
      if (checked.ok) begin(request, response, false, { socket, head, subprotocols: checked.subprotocols })
      else sendProblem(response, checked.code, {}, checked.headers)
    },
  }
}
