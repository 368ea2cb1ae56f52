/** What `GET /status` says to operators: figures of this shard and whether its books are in order. */
import type { Membership } from '#src/cluster/members.ts'
import type { ControlPlane } from '#src/control-plane/client.ts'
import type { Admission } from '#src/core/admission.ts'
import type { Hub } from '#src/core/hub.ts'
import type { Claims } from '#src/device/claims.ts'
import type { Connections } from '#src/device/connections.ts'
import type { Tunnel } from '#src/device/tunnel.ts'
import type { Drain } from '#src/drain.ts'
import type { Dependencies } from './dependencies.ts'
import type { ReadTotals } from './totals.ts'

/** Where the books of a part are not in order, in words; empty when all is well. */
export type Invariants = () => readonly string[]

/** Makes the status of this moment. */
export function createStatus(parts: {
  /** Of the gateway's package. */
  readonly version: string
  readonly totals: ReadTotals
  membership: Membership
  hub: Hub<Tunnel>
  connections: Connections
  admission: Admission
  claims: Claims
  drain: Drain
  dependencies: Dependencies
  controlPlane: Pick<ControlPlane, 'recent'>
  /** Of the parts besides tunnels, by what they say of themselves. */
  more: { readonly status: () => Readonly<Record<string, unknown>>; readonly invariants: Invariants }
}): () => Promise<Readonly<Record<string, unknown>>> {
  const startedAt = new Date().toISOString()
  const { hub, connections, admission, claims, drain, membership } = parts

  function ring() {
    const current = membership.ring()
    return {
      epoch: current.epoch,
      members: membership.members().map(({ shard, instance, state, weight }) => ({
        shard,
        instance,
        state,
        weight,
        ownership: state === 'serving' ? Number(current.ownershipOf(shard).toFixed(4)) : 0,
      })),
    }
  }

  return async () => {
    const totals = await parts.totals()
    let inFlight = 0
    let queued = 0
    const byDialect: Record<string, number> = {}
    const invariants = [...hub.invariants(), ...parts.more.invariants()]
    for (const tunnel of hub.all()) {
      inFlight += tunnel.inFlight()
      queued += tunnel.queued()
      byDialect[tunnel.dialect] = (byDialect[tunnel.dialect] ?? 0) + 1
      invariants.push(...tunnel.invariants())
    }
    const { shard, instance, state } = membership.self
    const drainedAt = drain.drainedAt()
    return {
      shard,
      instance,
      state,
      version: parts.version,
      startedAt,
      ring: ring(),
      tunnels: hub.size,
      byDialect,
      sockets: connections.size,
      unregistered: admission.unregistered(),
      waitingForClaim: claims.size,
      inFlight,
      queued,
      isDraining: drain.isDraining(),
      isEnding: drain.isFinal(),
      drain: drain.progress(),
      drainedAt: drainedAt === null ? null : new Date(drainedAt).toISOString(),
      totals,
      apiCalls: parts.controlPlane.recent(),
      dependencies: { store: parts.dependencies.isUp('store'), api: parts.dependencies.isUp('api') },
      ...parts.more.status(),
      invariants: [...new Set(invariants)],
    }
  }
}
