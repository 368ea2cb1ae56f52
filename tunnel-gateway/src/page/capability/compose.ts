/** Puts together what opens pages in frames and ends them. */
import { AppError } from '@wmoc/platform/errors'
import { GATEWAY_CHANNEL } from '@wmoc/protocol/control-plane'
import type { GatewayNotice } from '@wmoc/protocol/control-plane'
import type { ByteBudget } from '#src/core/byte-budget.ts'
import type { GatewayMetrics } from '#src/gateway-metrics.ts'
import type { PageDeps } from '#src/page/compose.ts'
import type { LiveEntry } from '#src/user/live.ts'
import type { Gatekeeper } from '#src/user/principal.ts'
import { createCapabilities } from './capabilities.ts'
import type { Capabilities } from './capabilities.ts'
import type { Capability } from './codec.ts'
import { createPageEndpoints } from './endpoints.ts'
import type { PageEndpoints } from './endpoints.ts'
import { createPageStates } from './page-states.ts'

export interface FrameDeps extends PageDeps {
  readonly gatekeeper: Gatekeeper
  readonly bodies: ByteBudget
  readonly metrics: GatewayMetrics
}

export interface FrameParts {
  readonly capabilities: Capabilities
  readonly endpoints: PageEndpoints
  /** Some shard says that this page was closed. */
  pageRevoked(page: string): void
  /** Whether what a page has under way may go on; true where that can't be told now. */
  isGoodPage(page: Capability, needs: LiveEntry['needs']): Promise<boolean>
}

export function composeFrames(deps: FrameDeps): FrameParts {
  const { config, store, gatekeeper, directory, metrics } = deps
  const { PAGE_TTL_MS: ttlMs, PAGE_MAX_AGE_MS: maxAgeMs } = config
  const states = createPageStates(store, { maxAgeMs, freshMs: config.ACCESS_FRESH_MS })
  const key = config.PAGE_COOKIE_KEY
  const capabilities = createCapabilities({ key, states, gatekeeper, directory, ttlMs, maxAgeMs })
  return {
    capabilities,
    endpoints: createPageEndpoints({
      portalOrigin: deps.portalOrigin,
      scheme: deps.scheme,
      deviceDomain: config.DEVICE_DOMAIN,
      ttlMs,
      capabilities,
      gatekeeper,
      directory,
      controlPlane: deps.controlPlane,
      bodies: deps.bodies,
      opened: (kind) => metrics.pagesOpened.inc({ kind }),
      announceRevoked({ controllerId, id }) {
        const notice: GatewayNotice = { type: 'page_revoked', controllerId, page: id }
        return store.publish(GATEWAY_CHANNEL, JSON.stringify(notice))
      },
    }),
    pageRevoked: states.noteRevoked,
    async isGoodPage(page, needs) {
      try {
        await capabilities.admit(page, needs)
        return true
      } catch (error) {
        return !(error instanceof AppError) || error.status >= 500
      }
    },
  }
}
