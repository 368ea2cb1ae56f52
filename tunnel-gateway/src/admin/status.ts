/** `GET /status` for operators: figures of this shard and whether its books are in order. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Membership } from '#src/cluster/members.ts'
import type { Admission } from '#src/core/admission.ts'
import type { Hub } from '#src/core/hub.ts'
import type { Claims } from '#src/device/claims.ts'
import type { Connections } from '#src/device/connections.ts'
import type { Tunnel } from '#src/device/tunnel.ts'
import type { Drain } from '#src/drain.ts'
import type { Dependencies } from './dependencies.ts'

/** Where the books of a part are not in order, in words; empty when all is well. */
export type Invariants = () => readonly string[]

/** Answers `/status` and `POST /drain`; false for everything else. */
export function createStatus(parts: {
  membership: Membership
  hub: Hub<Tunnel>
  connections: Connections
  admission: Admission
  claims: Claims
  drain: Drain
  dependencies: Dependencies
  /** Of the parts besides tunnels, by what they say of themselves. */
  more: { readonly status: () => Readonly<Record<string, unknown>>; readonly invariants: Invariants }
}): (request: IncomingMessage, response: ServerResponse) => boolean {
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

  function status() {
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
    return {
      shard,
      instance,
      state,
      ring: ring(),
      tunnels: hub.size,
      byDialect,
      sockets: connections.size,
      unregistered: admission.unregistered(),
      waitingForClaim: claims.size,
      inFlight,
      queued,
      isDraining: drain.isDraining(),
      drain: drain.progress(),
      dependencies: { store: parts.dependencies.isUp('store'), api: parts.dependencies.isUp('api') },
      ...parts.more.status(),
      invariants: [...new Set(invariants)],
    }
  }

  return (request, response) => {
    const path = (request.url ?? '').split('?', 1)[0]
    if (path === '/drain' && request.method === 'POST') void drain.begin()
    else if (path !== '/status' || request.method !== 'GET') return false
    response.writeHead(path === '/drain' ? 202 : 200, {
      'content-type': 'application/json',
      'cache-control': 'no-store',
    })
    response.end(JSON.stringify(status()))
    return true
  }
}
