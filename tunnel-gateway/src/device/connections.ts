/** Every device socket of this process, and the beat that all of them share. */
import type { Duplex } from 'node:stream'
import type { CloseReason } from '@wmoc/protocol/close-codes'
import type { WebSocket } from 'ws'
import type { Hub } from '#src/core/hub.ts'
import type { FlapDetector } from '#src/core/flapping.ts'
import { Connection } from './connection.ts'
import type { ConnectionDeps } from './connection.ts'
import type { PresenceKeeper } from './presence.ts'
import { createSuspended } from './suspended.ts'
import type { Tunnel } from './tunnel.ts'
import { TunnelV2 } from './tunnel-v2.ts'

export interface ConnectionsDeps extends Omit<ConnectionDeps, 'tunnelClosed' | 'gone'> {
  readonly hub: Hub<Tunnel>
  readonly flaps: FlapDetector
  readonly presence: PresenceKeeper
}

export interface Connections {
  readonly accept: (socket: WebSocket, stream: Duplex, address: string) => void
  /** To be called about every second. */
  tick(): void
  /** Sockets, registered or not. */
  readonly size: number
  /** Registered ones, those that were retired among them. */
  readonly tunnels: number
  closeAll(reason: CloseReason): void
  /** When the last tunnel of a controller closed here, since this process runs. Milliseconds since 1970. */
  readonly lastSeenAt: (controllerId: string) => number | null
  /** A tunnel that waits without a socket is over. */
  readonly ended: (tunnel: Tunnel, reason: CloseReason) => void
}

const MAX_REMEMBERED = 50_000
const STANDSTILL_MS = 5_000
const LOST = { code: 1006, reason: 'connection_lost' }

export function createConnections(deps: ConnectionsDeps): Connections {
  const connections = new Set<Connection>()
  const lastSeen = new Map<string, number>()
  let tickedAt = performance.now()

  function rememberSeen(controllerId: string): void {
    lastSeen.delete(controllerId)
    lastSeen.set(controllerId, Date.now())
    if (lastSeen.size > MAX_REMEMBERED) lastSeen.delete(lastSeen.keys().next().value!)
  }

  /** Out of every list, unless its device may take it up again. */
  function tunnelClosed(tunnel: Tunnel, reason: { code: number; reason: string }): void {
    if (reason.code === 1006 && tunnel instanceof TunnelV2 && tunnel.suspend())
      suspended.add(tunnel, performance.now())
    else over(tunnel, reason)
  }

  function over(tunnel: Tunnel, { code: closeCode, reason }: { code: number; reason: string }): void {
    suspended.delete(tunnel)
    const wasCurrent = deps.hub.detach(tunnel)
    tunnel.closed()
    if (wasCurrent) deps.presence.release(tunnel)
    const { controllerId, epoch, websocketId } = tunnel
    rememberSeen(controllerId)
    deps.metrics.closes.inc({ reason })
    deps.reporter.event({
      type: 'disconnected',
      controllerId,
      epoch,
      websocketId,
      closeCode,
      reason,
      at: Date.now(),
    })
    deps.log.info('tunnel', 'tunnel closed', { controllerId, epoch, closeCode, reason })
  }

  const suspended = createSuspended((tunnel) => over(tunnel, LOST))

  const connectionDeps: ConnectionDeps = {
    ...deps,
    tunnelClosed,
    gone: (connection) => void connections.delete(connection),
  }

  return {
    accept(socket, stream, address) {
      connections.add(new Connection(connectionDeps, socket, stream, address))
    },
    tick() {
      const now = performance.now()
      // After a standstill of this process what devices said is still unread.
      const wasAway = now - tickedAt > STANDSTILL_MS
      tickedAt = now
      for (const connection of connections) connection.tick(now, wasAway)
      suspended.tick(now)
      deps.flaps.sweep(now)
    },
    get size() {
      return connections.size
    },
    get tunnels() {
      let count = 0
      for (const connection of connections) if (connection.tunnel !== null) count += 1
      return count
    },
    closeAll(reason) {
      for (const { session } of connections) session.close(reason)
      suspended.closeAll()
    },
    lastSeenAt: (controllerId) => lastSeen.get(controllerId) ?? null,
    ended: over,
  }
}
