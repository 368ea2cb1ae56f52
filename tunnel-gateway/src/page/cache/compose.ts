/** Puts the cache together: what is kept, what is counted, and its two layers. */
import { randomToken } from '@wmoc/platform/ids'
import type { Logger } from '@wmoc/platform/log'
import type { Metrics } from '@wmoc/platform/metrics'
import type { GatewayConfig } from '#src/config.ts'
import type { Store } from '@wmoc/platform/store'
import type { ControlPlane } from '#src/control-plane/client.ts'
import type { Router } from '#src/core/upstream.ts'
import type { PageLayer } from '#src/page/layers.ts'
import type { LiveRequests } from '#src/user/live.ts'
import { createChanges } from './changes.ts'
import { createCompressLayer } from './compress-answer.ts'
import { createFigures } from './figures.ts'
import { createKeptPages } from './kept-pages.ts'
import { createCacheLayer } from './layer.ts'
import { createCacheMetrics } from './metrics.ts'

export interface CacheParts {
  /** Outside of all that changes answers. */
  readonly compress: PageLayer
  /** Inside of what changes answers, outside of what signs in at devices. */
  readonly cache: PageLayer
  /** In place of both for programs: nothing is kept for them, but what they change is noticed. */
  readonly changes: PageLayer
  /** Something was changed at the device, from any shard. */
  pageChanged(controllerId: string): void
  /** A person's sign-in to a device changed; null: anybody's, any device's. */
  signInsChanged(userId: string | null, controllerId: string | null): void
  /** Tells the API the last figures. */
  stop(): Promise<void>
}

export function composeCache(deps: {
  readonly config: GatewayConfig
  readonly controlPlane: ControlPlane
  readonly router: Router
  readonly store: Store
  readonly live: LiveRequests
  readonly registry: Metrics
  readonly log: Logger
}): CacheParts {
  const { config, router } = deps
  const kept = createKeptPages({
    bytes: config.PAGE_CACHE_BYTES,
    bytesPerController: config.PAGE_CACHE_CONTROLLER_BYTES,
  })
  const figures = createFigures(deps.controlPlane, `${config.SHARD_ID}@${randomToken(6)}`, deps.log)

  /** Only what is known at once: a device on its way need not be waited for to show what is kept of it. */
  function epochOf(controllerId: string): number | null {
    const located = router.locate(controllerId)
    if (!(located instanceof Promise)) return located?.epoch ?? null
    located.catch(() => undefined)
    return null
  }

  const cache = createCacheLayer({
    kept,
    live: deps.live,
    figures,
    metrics: createCacheMetrics(deps.registry, kept),
    epochOf,
    objectBytes: config.PAGE_CACHE_OBJECT_BYTES,
    flightBytes: config.PAGE_CACHE_BYTES,
    now: Date.now,
    announce: createChanges(deps.store, deps.log).announce,
  })
  return {
    compress: createCompressLayer(),
    cache,
    changes: { handle: cache.notice },
    pageChanged: cache.changed,
    signInsChanged: kept.forgetHolder,
    stop: figures.stop,
  }
}
