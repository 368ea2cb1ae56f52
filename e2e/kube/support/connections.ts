/** Who connects to whom in the cluster, by pods, while it is watched. */
import type { NetworkPolicyList } from 'kubernetes-types/networking/v1.d.ts'
import type { NamespaceList, PodList } from 'kubernetes-types/core/v1.d.ts'
import type { Installation } from './installation.ts'
import { isAllowed, mayCall } from './policies.ts'
import type { Cluster, Peer, Policy } from './policies.ts'
import { connectionsNow } from './sockets.ts'

export interface SeenConnection {
  readonly from: Peer
  readonly to: Peer
  readonly port: number
}

export interface ConnectionWatch {
  /** Ends the watch. `calls`: of one pod to another, each once; `outside`: pods that called what is no pod. */
  stop(): Promise<{ readonly calls: SeenConnection[]; readonly outside: Peer[] }>
}

const LOOK_MS = 300
const PODS_MS = 2_000

/** Calls of the nodes themselves (probes, the test's own ways in) are nobody's business: no policy keeps them out. */
export function watchConnections({ cluster }: Installation): ConnectionWatch {
  const pods = new Map<string, Peer>()
  const calls = new Map<string, SeenConnection>()
  const outside = new Map<string, Peer>()
  const ending = new AbortController()

  async function readPods(): Promise<void> {
    const { items } = await cluster.get<PodList>('pods', '-A')
    for (const { metadata, spec, status } of items) {
      if (status?.podIP === undefined || spec?.hostNetwork === true) continue
      const ports = spec!.containers.flatMap((container) => container.ports ?? [])
      pods.set(status.podIP, {
        name: metadata!.name!,
        namespace: metadata!.namespace!,
        labels: metadata!.labels ?? {},
        ports: Object.fromEntries(ports.map(({ name = '', containerPort }) => [name, containerPort])),
      })
    }
  }

  function look(): void {
    for (const { local, localPort, remote, isServer } of connectionsNow()) {
      const [own, other] = [pods.get(local), pods.get(remote)]
      if (own === undefined || local === remote) continue
      if (isServer && other !== undefined)
        calls.set(`${other.namespace}/${other.name} ${own.namespace}/${own.name} ${localPort}`, {
          from: other,
          to: own,
          port: localPort,
        })
      if (!isServer) outside.set(`${own.namespace}/${own.name}`, own)
    }
  }

  async function work(): Promise<void> {
    let readAt = -Infinity
    while (!ending.signal.aborted) {
      if (performance.now() - readAt > PODS_MS) {
        // The API server is restarted now and then.
        await readPods().catch(() => undefined)
        readAt = performance.now()
      }
      look()
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    }
  }
  const working = work()

  return {
    async stop() {
      ending.abort()
      await working
      return { calls: [...calls.values()], outside: [...outside.values()] }
    },
  }
}

/** The policies and namespaces of the cluster as it is. */
export async function readPolicies({ cluster }: Installation): Promise<Cluster> {
  const policies = await cluster.get<NetworkPolicyList>('networkpolicies', '-A')
  const namespaces = await cluster.get<NamespaceList>('namespaces')
  return {
    policies: policies.items as unknown as Policy[],
    namespaces: Object.fromEntries(
      namespaces.items.map(({ metadata }) => [metadata!.name!, metadata!.labels ?? {}]),
    ),
  }
}

/** Those that no policy lets through, in words. */
export function forbidden(
  cluster: Cluster,
  { calls, outside }: { readonly calls: readonly SeenConnection[]; readonly outside: readonly Peer[] },
): string[] {
  return [
    ...calls
      .filter(({ from, to, port }) => !isAllowed(cluster, from, to, port))
      .map(({ from, to, port }) => `${from.name} calls ${to.name}:${port}`),
    ...outside.filter((pod) => !mayCall(cluster, pod)).map(({ name }) => `${name} calls somebody`),
  ]
}
