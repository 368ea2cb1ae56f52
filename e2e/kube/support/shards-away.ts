/** Watches how many shards that should serve are away at once. */
import { GATEWAY } from './installation.ts'
import type { Installation } from './installation.ts'

export interface ShardsAway {
  /** Most at once so far, or since `forgive`. */
  most(): number
  /** Forgets what happened so far: it was nobody's plan. */
  forgive(): void
  stop(): Promise<void>
}

interface Item {
  readonly kind: string
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string }
  readonly spec: { readonly replicas?: number }
  readonly status?: { readonly conditions?: readonly { type: string; status: string }[] }
}

const EVERY_MS = 500

/** Away is one that served before, that the TunnelGateway still asks for, and that is gone, going or not ready. */
export function watchShardsAway({ kubectl }: Installation): ShardsAway {
  const served = new Set<string>()
  const ending = new AbortController()
  let most = 0

  async function look(): Promise<void> {
    // While the API server is away nobody can see more.
    const text = await kubectl('get', 'pods,tgw', '--output=json').catch(() => null)
    if (text === null) return
    const { items } = JSON.parse(text) as { items: Item[] }
    const wanted = items.find(({ kind }) => kind === 'TunnelGateway')?.spec.replicas ?? 0
    const ready = new Set(items.filter(isReady).map(({ metadata }) => metadata.name))
    const names = Array.from({ length: wanted }, (_, ordinal) => `${GATEWAY}-${ordinal}`)
    most = Math.max(most, names.filter((name) => served.has(name) && !ready.has(name)).length)
    for (const name of names) if (ready.has(name)) served.add(name)
    for (const name of served) if (!names.includes(name)) served.delete(name)
  }

  async function watch(): Promise<void> {
    while (!ending.signal.aborted) {
      await look()
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS))
    }
  }
  const watching = watch()
  return {
    most: () => most,
    forgive() {
      most = 0
    },
    async stop() {
      ending.abort()
      await watching
    },
  }
}

function isReady({ kind, metadata, status }: Item): boolean {
  if (kind !== 'Pod' || metadata.deletionTimestamp !== undefined) return false
  return status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') === true
}
