/** Puts together what stands between people who look at pages and the devices. One line for each part. */
import type { Logger } from '@wmoc/platform/log'
import type { Metrics } from '@wmoc/platform/metrics'
import type { Store } from '@wmoc/platform/store'
import type { GatewayConfig } from '#src/config.ts'
import type { ControlPlane } from '#src/control-plane/client.ts'
import type { Directory } from '#src/control-plane/directory.ts'
import type { Router } from '#src/core/upstream.ts'
import type { CookieJars } from '#src/user/cookie-jar.ts'
import type { LiveRequests } from '#src/user/live.ts'
import { composeCache } from './cache/compose.ts'
import type { PageLayer } from './layers.ts'
import { composeOffline } from './offline/compose.ts'
import type { OwnPath, OwnPaths } from './own-paths.ts'
import { createRewriteLayer } from './rewrite/layer.ts'
import { createShimPaths } from './shim/own-paths.ts'
import { composeVault } from './vault/compose.ts'
import type { Vault } from './vault/layer.ts'

export interface PageDeps {
  readonly config: GatewayConfig
  readonly store: Store
  readonly controlPlane: ControlPlane
  readonly directory: Directory
  readonly router: Router
  readonly registry: Metrics
  readonly log: Logger
  readonly portalOrigin: string
  readonly scheme: 'http' | 'https'
  readonly jars: CookieJars
  /** Milliseconds since 1970; null: not since this shard started. */
  lastSeenAt(controllerId: string): number | null
  /** All that is under way. */
  readonly live: LiveRequests
}

export interface PageParts {
  /** Outermost first: compress, rewrite, offline, cache, vault. */
  readonly layers: readonly PageLayer[]
  readonly ownPaths: OwnPaths
  /** The one that programs meet too. */
  readonly vault: Vault
  /** Of programs, beside the layers: what they change is noticed. */
  readonly changes: PageLayer
  /** Something was changed at the device, from any shard. */
  pageChanged(controllerId: string): void
  /** A person's sign-in to a device's page was made or forgotten. */
  signInsChanged(userId: string, controllerId: string): void
  /** Whose access, to what; null: anybody's, anything. */
  accessChanged(userId: string | null, controllerId: string | null): void
  /** Tells the API what was counted, and writes what waits. */
  stop(): Promise<void>
}

export function composePages(deps: PageDeps): PageParts {
  const vault = composeVault(deps)
  const cache = composeCache(deps)
  const rewrite = createRewriteLayer({ ...deps, nonceKey: deps.config.PAGE_COOKIE_KEY })
  const offline = composeOffline(deps)
  return {
    layers: [cache.compress, rewrite, offline.layer, cache.cache, vault.layer],
    ownPaths: new Map<string, OwnPath>([vault.ownPath, offline.ownPath, ...createShimPaths(deps.jars)]),
    vault: vault.layer,
    changes: cache.changes,
    pageChanged: cache.pageChanged,
    signInsChanged(userId, controllerId) {
      vault.signIns.changed(userId, controllerId)
      cache.signInsChanged(userId, controllerId)
    },
    accessChanged(userId, controllerId) {
      vault.signIns.accessChanged(userId, controllerId)
      cache.signInsChanged(userId, controllerId)
    },
    async stop() {
      await Promise.all([cache.stop(), offline.stop()])
    },
  }
}
