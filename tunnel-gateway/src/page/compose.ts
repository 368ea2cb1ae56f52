/** Puts together what stands between people who look at pages and the devices. One line for each part. */
import type { Logger } from '@wmoc/platform/log'
import type { Metrics } from '@wmoc/platform/metrics'
import type { Store } from '@wmoc/platform/store'
import type { GatewayConfig } from '#src/config.ts'
import type { ControlPlane } from '#src/control-plane/client.ts'
import type { Directory } from '#src/control-plane/directory.ts'
import type { Router } from '#src/core/upstream.ts'
import type { CookieJars } from '#src/user/cookie-jar.ts'
import type { PageLayer } from './layers.ts'
import type { OwnPath, OwnPaths } from './own-paths.ts'
import { createShimPaths } from './shim/own-paths.ts'

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
}

export interface PageParts {
  /** Outermost first: rewrite, offline, cache, vault. */
  readonly layers: readonly PageLayer[]
  readonly ownPaths: OwnPaths
  /** A person's sign-in to a device's page was made or forgotten; null: anybody's, any device's. */
  signInsChanged(userId: string | null, controllerId: string | null): void
}

export function composePages(deps: PageDeps): PageParts {
  return {
    layers: [],
    ownPaths: new Map<string, OwnPath>([...createShimPaths(deps.jars)]),
    signInsChanged: () => undefined,
  }
}
