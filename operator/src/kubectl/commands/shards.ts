import { POD } from '#src/kinds/tunnel-gateway/names.ts'
import { noArguments } from '../options.ts'
import { print, table } from '../output.ts'
import type { Session } from '../session.ts'
import { listGateways, podsOf, shardStatus } from '../shards.ts'

/** `shards`: what each shard says of itself at this moment. */
export async function shards(session: Session): Promise<void> {
  noArguments(session.options)
  const gateways = await listGateways(session)
  const pods = (await Promise.all(gateways.map((gateway) => podsOf(session, gateway)))).flat()
  const found = await Promise.all(
    pods.map(async (pod) => {
      const own = await shardStatus(session, pod)
      return {
        pod: pod.metadata.name,
        namespace: pod.metadata.namespace!,
        node: pod.spec?.nodeName ?? null,
        phase: pod.status?.phase ?? 'Unknown',
        isReady:
          pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false,
        isDrainAsked: pod.metadata.annotations?.[POD.drain] === 'true',
        status: own,
      }
    }),
  )
  print(session, found, () => {
    if (found.length === 0) return 'no shard has a pod; see kubectl wmoc status\n'
    return table(
      ['POD', 'READY', 'STATE', 'VERSION', 'TUNNELS', 'IN-FLIGHT', 'EPOCH', 'MEMBERS', 'NODE', 'REMARK'],
      found.map(({ pod, isReady, phase, node, isDrainAsked, status: own }) => [
        pod,
        isReady ? 'yes' : 'no',
        own === null ? phase : own.isDraining ? (own.drainedAt ? 'drained' : 'draining') : own.state,
        own?.version ?? null,
        own?.tunnels ?? null,
        own?.inFlight ?? null,
        own?.ring.epoch ?? null,
        own?.ring.members.filter(({ state }) => state === 'serving').length ?? null,
        node,
        remark(own, isDrainAsked),
      ]),
    )
  })
}

function remark(own: { readonly invariants: readonly string[] } | null, isDrainAsked: boolean): string {
  const parts = [
    ...(own === null ? ['does not answer: kubectl wmoc status says more'] : own.invariants),
    ...(isDrainAsked ? ['drain asked for by annotation'] : []),
  ]
  return parts.join('; ')
}
