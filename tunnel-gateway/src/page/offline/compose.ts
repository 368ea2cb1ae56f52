/** What is shown of devices that are away, and all that it is made of. */
import type { ProxyRequest } from '#src/user/proxy.ts'
import { createCache } from '#src/control-plane/cache.ts'
import type { PageDeps } from '../compose.ts'
import type { PageLayer } from '../layers.ts'
import type { OwnPath } from '../own-paths.ts'
import { ALIVE_PATH, createAlivePath } from './alive.ts'
import { createCopies } from './copies.ts'
import { createOfflineLayer } from './layer.ts'
import type { AwayFacts } from './offline-page.ts'

export interface OfflineParts {
  readonly layer: PageLayer
  readonly ownPath: readonly [path: string, handler: OwnPath]
  /** Writes what waits. */
  stop(): Promise<void>
}

const FACTS_TIMEOUT_MS = 2_000

export function composeOffline(deps: PageDeps): OfflineParts {
  const { store, controlPlane, scheme, registry, log, config } = deps
  const copies = createCopies(store, config.FROZEN_PAGES_BYTES, log)
  const answers = registry.counter(
    'wmoc_gateway_page_away_total',
    'What was answered for a device that is away: its last good copy, a page of ours, or a problem.',
    ['shown'],
  )
  const facts = createCache<AwayFacts>({
    max: 10_000,
    freshMs: 5_000,
    staleMs: 60_000,
    ask: (controllerId) => controlPlane.call('controllers/away', { controllerId }),
  })

  /** Without the API, what this shard knows itself. */
  async function factsOf({ record, principal }: ProxyRequest): Promise<AwayFacts> {
    const { controllerId } = record
    const own = { lastSeenAt: deps.lastSeenAt(controllerId), queuedCommands: null }
    const late = new Promise<AwayFacts>((resolve) => setTimeout(() => resolve(own), FACTS_TIMEOUT_MS).unref())
    const told = await Promise.race([facts.get(controllerId).catch(() => own), late])
    // What is queued is for who may command it, of whom a guest is none.
    const queuedCommands = principal.linkId === undefined ? told.queuedCommands : null
    return { lastSeenAt: Math.max(told.lastSeenAt ?? 0, own.lastSeenAt ?? 0) || null, queuedCommands }
  }

  return {
    layer: createOfflineLayer({
      copies,
      scheme,
      factsOf,
      shown: (shown) => answers.inc({ shown }),
      log,
    }),
    ownPath: [ALIVE_PATH, createAlivePath(deps.router)],
    stop: () => copies.flush(),
  }
}
