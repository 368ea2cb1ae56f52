/** The Events of the TunnelGateway, as `kubectl describe` shows them. */
import type { TestCluster } from '@wmoc/testkit/kube/cluster'

export interface GatewayEvent {
  readonly reason: string
  readonly message: string
}

interface Item {
  readonly reason: string
  readonly note?: string
  readonly regarding: { readonly kind: string }
  readonly series?: { readonly count: number }
}

/** Answers a function that tells what happened since it was last called, each as often as it happened. */
export function createEventLog(cluster: TestCluster, namespace: string): () => Promise<GatewayEvent[]> {
  const known = new Map<string, number>()
  return async () => {
    const { items } = await cluster.get<{ items: Item[] }>('events.events.k8s.io', '-n', namespace)
    const counts = new Map<string, { event: GatewayEvent; count: number }>()
    for (const { reason, note = '', regarding, series } of items) {
      if (regarding.kind !== 'TunnelGateway') continue
      const key = `${reason} ${note}`
      const before = counts.get(key)?.count ?? 0
      counts.set(key, { event: { reason, message: note }, count: before + (series?.count ?? 1) })
    }
    return [...counts].flatMap(([key, { event, count }]) => {
      const news = count - (known.get(key) ?? 0)
      known.set(key, count)
      return Array.from({ length: Math.max(0, news) }, () => event)
    })
  }
}

/** Messages of one reason. */
export function told(events: readonly GatewayEvent[], reason: string): string[] {
  return events.filter((event) => event.reason === reason).map(({ message }) => message)
}
