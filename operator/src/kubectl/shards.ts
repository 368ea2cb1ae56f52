/** Gateways, their pods, and what the shards say over the API server's proxy to their admin port. */
import type { Pod } from 'kubernetes-types/core/v1.d.ts'
import { z } from 'zod'
import { APP, PORTS, TunnelGateways, ordinalOf, selectorText } from '#src/kinds/tunnel-gateway/names.ts'
import type { TunnelGatewaySpec, TunnelGatewayStatus } from '#src/kinds/tunnel-gateway/schema.ts'
import { isKubeError } from '#src/runtime/errors.ts'
import type { Stored } from '#src/runtime/objects.ts'
import { Pods } from '#src/runtime/resources.ts'
import { UsageError } from './options.ts'
import type { Session } from './session.ts'

export type Gateway = Stored<{ spec: TunnelGatewaySpec; status?: TunnelGatewayStatus }>

/** Those of the namespace, or the one that is meant. */
export async function listGateways(session: Session): Promise<readonly Gateway[]> {
  const { client, namespace, options } = session
  const scope = options.areAllNamespaces ? {} : { namespace }
  const { items } = await client.list(TunnelGateways, scope).catch((error: unknown) => {
    if (!isKubeError(error, 'NotFound')) throw error
    throw new UsageError('this cluster has no kind TunnelGateway: install the chart wmoc-operator')
  })
  const { gateway } = options
  const found = gateway === undefined ? items : items.filter(({ metadata }) => metadata.name === gateway)
  if (found.length === 0) {
    const where = options.areAllNamespaces ? 'in this cluster' : `in the namespace ${namespace}`
    const what = `there is no TunnelGateway ${gateway === undefined ? '' : `"${gateway}" `}${where}`
    throw new UsageError(`${what}; ${await whereElse(session, items)}`)
  }
  return found.toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
}

/** What to do about it. @param here The gateways that there are, though not the one that is meant. */
async function whereElse({ client, options }: Session, here: readonly Gateway[]): Promise<string> {
  if (here.length > 0) return `there is ${here.map(({ metadata }) => metadata.name).join(', ')}`
  if (options.areAllNamespaces) return 'install the chart wmoc'
  // Not everybody may look there.
  const { items } = await client.list(TunnelGateways, {}).catch(() => ({ items: [] }))
  const places = [...new Set(items.map(({ metadata }) => metadata.namespace))]
  return places.length === 0
    ? 'name another by -n, or install the chart wmoc'
    : `there is one in ${places.join(', ')}: say so by -n`
}

/** The one that is meant. */
export async function theGateway(session: Session): Promise<Gateway> {
  const found = await listGateways(session)
  if (found.length === 1) return found[0]!
  const names = found.map(({ metadata }) => metadata.name).join(', ')
  throw new UsageError(`there are several gateways (${names}): say which by --gateway NAME`)
}

/** Its pods, by their number. */
export async function podsOf({ client }: Session, gateway: Gateway): Promise<readonly Stored<Pod>[]> {
  const { name, namespace } = gateway.metadata
  const { items } = await client.list(Pods, { namespace, labelSelector: selectorText(name) })
  const number = (pod: Stored<Pod>) => ordinalOf(name, pod.metadata.name) ?? -1
  return items.filter((pod) => number(pod) >= 0).toSorted((a, b) => number(a) - number(b))
}

/** The pod of a shard by its name; refuses every other pod. */
export async function shardPod({ client, namespace }: Session, name: string): Promise<Stored<Pod>> {
  const pod = await client.get(Pods, { namespace, name })
  if (pod === null)
    throw new UsageError(
      `there is no pod "${name}" in the namespace ${namespace}; see kubectl wmoc shards -A`,
    )
  if (pod.metadata.labels?.['app.kubernetes.io/name'] !== APP) {
    throw new UsageError(`${name} is no shard of a gateway; see kubectl wmoc shards`)
  }
  return pod
}

const count = z.number().min(0)
const ShardStatus = z.object({
  shard: z.string(),
  state: z.string(),
  version: z.string().optional(),
  tunnels: count,
  inFlight: count,
  isDraining: z.boolean(),
  drainedAt: z.string().nullish(),
  ring: z.object({ epoch: count, members: z.array(z.object({ shard: z.string(), state: z.string() })) }),
  invariants: z.array(z.string()).default([]),
})
export type ShardStatus = z.output<typeof ShardStatus>

/** The shard's own word; null where it does not answer. */
export async function shardStatus(session: Session, pod: Stored<Pod>): Promise<ShardStatus | null> {
  const text = await askShard(session, pod, '/status')
  if (text === null) return null
  const parsed = ShardStatus.safeParse(JSON.parse(text))
  return parsed.success ? parsed.data : null
}

/** `GET` of the admin listener by way of the API server; null where the shard does not answer. */
export async function askShard({ client }: Session, pod: Stored<Pod>, path: string): Promise<string | null> {
  if (pod.status?.phase !== 'Running') return null
  const ports = pod.spec?.containers.flatMap((container) => container.ports ?? []) ?? []
  const port = ports.find(({ name }) => name === 'admin')?.containerPort ?? PORTS.admin
  const { namespace, name } = pod.metadata
  try {
    return await client.raw({
      path: `/api/v1/namespaces/${namespace}/pods/${name}:${port}/proxy${path}`,
      timeoutMs: 5_000,
    })
  } catch (error) {
    // The proxy's own refusal is the caller's business; that the shard is away is an answer.
    if (isKubeError(error, 'Forbidden', 'Unauthorized', 'Aborted')) throw error
    return null
  }
}
