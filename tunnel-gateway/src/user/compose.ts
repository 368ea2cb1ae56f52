/** Puts together what people and their programs meet: who they are, the pages' layers, and the way to the device. */
import { createAccessTokens } from '#src/control-plane/access-tokens.ts'
import { createByteBudget } from '#src/core/byte-budget.ts'
import type { GatewayMetrics } from '#src/gateway-metrics.ts'
import { composeFrames } from '#src/page/capability/compose.ts'
import { composePages } from '#src/page/compose.ts'
import type { PageDeps, PageParts } from '#src/page/compose.ts'
import type { Tracing } from '@wmoc/platform/tracing'
import { createCookieJars } from './cookie-jar.ts'
import { createUserListener } from './listener.ts'
import type { UserListener } from './listener.ts'
import { createPageSessions } from './page-sessions.ts'
import { createGatekeeper } from './principal.ts'
import { createProxy } from './proxy.ts'
import type { Proxy } from './proxy.ts'

export interface PeopleDeps extends Omit<PageDeps, 'portalOrigin' | 'scheme' | 'jars' | 'live'> {
  readonly metrics: GatewayMetrics
  /** Null: nobody asked for traces. */
  readonly tracing: Tracing | null
  readonly isDraining: () => boolean
  /** Too little memory to take more on. */
  readonly isShedding: () => boolean
}

export interface People {
  readonly proxy: Proxy
  readonly users: UserListener
  readonly parts: PageParts
  readonly frames: ReturnType<typeof composeFrames>
}

export function composePeople(deps: PeopleDeps): People {
  const { config, store, controlPlane, directory, metrics, tracing, log } = deps
  const bodies = createByteBudget(config.MAX_BODY_BYTES)
  const portalOrigin = config.PORTAL_ORIGIN ?? config.PUBLIC_URL
  const scheme = portalOrigin.startsWith('https:') ? 'https' : 'http'
  const deviceDomain = config.DEVICE_DOMAIN
  const gatekeeper = createGatekeeper(createAccessTokens(controlPlane), directory)
  const proxy = createProxy({
    router: deps.router,
    isDraining: deps.isDraining,
    bodies,
    bodyTimeoutMs: config.REQUEST_TIMEOUT_MS,
    maxPerUser: config.MAX_REQUESTS_PER_USER,
    maxPerController: config.MAX_REQUESTS_PER_CONTROLLER,
    isShedding: deps.isShedding,
    scheme,
    metrics,
    tracing,
    log,
  })
  const jars = createCookieJars(store)
  const pageDeps: PageDeps = { ...deps, portalOrigin, scheme, jars, live: proxy.register }
  const parts = composePages(pageDeps)
  const frames = composeFrames({ ...pageDeps, gatekeeper, bodies, metrics })
  const users = createUserListener({
    portalOrigin,
    deviceDomain,
    scheme,
    trustedHops: config.TRUSTED_HOPS,
    directory,
    gatekeeper,
    pages: createPageSessions({
      controlPlane,
      gatekeeper,
      store,
      cookieKey: config.PAGE_COOKIE_KEY,
      scheme,
      deviceDomain,
      portalOrigin,
    }),
    jars,
    proxy,
    parts,
    frames,
    frameRefused: (reason) => metrics.pageRefusals.inc({ reason }),
    tracing,
    log,
  })
  return { proxy, users, parts, frames }
}
