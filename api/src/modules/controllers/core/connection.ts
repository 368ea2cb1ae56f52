/**
 * Is a controller online? Folded from the gateway's events, which come at least once, in order per socket, but out of
 * order between shards. The epoch decides: an event of an older connection changes nothing. Pure.
 */
import type { GatewayEvent } from '@wmoc/protocol/control-plane'

export interface Connection {
  readonly status: 'pending' | 'online' | 'offline'
  /** ms since 1970; null before the first connection. */
  readonly since: number | null
  /** The highest epoch heard of. */
  readonly epoch: number
  readonly lastSeenAt: number | null
}

export interface StatusChange {
  readonly status: 'online' | 'offline'
  readonly at: number
}

/** The connection after one event, and the change of status that it brought, if any. */
export function applyGatewayEvent(
  connection: Connection,
  event: GatewayEvent,
): { connection: Connection; change: StatusChange | null } {
  switch (event.type) {
    case 'connected':
      if (event.epoch <= connection.epoch) return { connection, change: null }
      return turn({ ...seen(connection, event.at), epoch: event.epoch }, 'online', event.at)
    case 'disconnected':
      if (event.epoch < connection.epoch) return { connection, change: null }
      return turn({ ...seen(connection, event.at), epoch: event.epoch }, 'offline', event.at)
    case 'seen':
      return { connection: seen(connection, event.at), change: null }
    default:
      return { connection, change: null }
  }
}

function seen(connection: Connection, at: number): Connection {
  return { ...connection, lastSeenAt: Math.max(connection.lastSeenAt ?? at, at) }
}

function turn(connection: Connection, status: 'online' | 'offline', at: number) {
  if (connection.status === status) return { connection, change: null }
  return { connection: { ...connection, status, since: at }, change: { status, at } }
}
