/** `GET /status` for operators: figures of this shard and whether its books are in order. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Admission } from '#src/core/admission.ts'
import type { Hub } from '#src/core/hub.ts'
import type { Claims } from '#src/device/claims.ts'
import type { Connections } from '#src/device/connections.ts'
import type { Tunnel } from '#src/device/tunnel.ts'
import type { Drain } from '#src/drain.ts'
import type { Dependencies } from './dependencies.ts'

/** Answers `/status` and `POST /drain`; false for everything else. */
export function createStatus(parts: {
  shard: string
  hub: Hub<Tunnel>
  connections: Connections
  admission: Admission
  claims: Claims
  drain: Drain
  dependencies: Dependencies
}): (request: IncomingMessage, response: ServerResponse) => boolean {
  const { hub, connections, admission, claims, drain } = parts

  function status() {
    let inFlight = 0
    let queued = 0
    const invariants = hub.invariants()
    for (const tunnel of hub.all()) {
      inFlight += tunnel.inFlight()
      queued += tunnel.queued()
      invariants.push(...tunnel.invariants())
    }
    return {
      shard: parts.shard,
      tunnels: hub.size,
      sockets: connections.size,
      unregistered: admission.unregistered(),
      waitingForClaim: claims.size,
      inFlight,
      queued,
      isDraining: drain.isDraining(),
      dependencies: { store: parts.dependencies.isUp('store'), api: parts.dependencies.isUp('api') },
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
