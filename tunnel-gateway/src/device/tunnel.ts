/** A registered controller's tunnel: what the rest of the gateway does with a socket. */
import { CLOSE } from '@wmoc/protocol/close-codes'
import type { CloseReason } from '@wmoc/protocol/close-codes'
import type { ControllerRecord, QueuedCommand } from '@wmoc/protocol/control-plane'
import type { DeviceCredentials, GoAway } from '@wmoc/protocol/messages'
import { V1_LIMITS } from '@wmoc/protocol/messages'
import { encodeBody } from '@wmoc/protocol/v1-body'
import { serialise } from '@wmoc/protocol/v1-codec'
import type { HubEntry } from '#src/core/hub.ts'
import type { Streams } from '#src/core/streams.ts'
import type { TunnelSession } from '#src/core/tunnel-session.ts'
import type { OpenRequest, Upstream, UpstreamRequest } from '#src/core/upstream.ts'
import { requestId } from './request-id.ts'

export interface Tunnel extends HubEntry, Upstream {
  readonly websocketId: string
  /** Tells two devices with one credential apart, as far as they show it. */
  readonly identity: string
  readonly streams: Streams
  /** Scope of `seq` in metrics and logs. */
  readonly ingestStream: string
  readonly session: TunnelSession
  isLeaving: boolean
  command(command: QueuedCommand): void
  commandDone(id: string): void
  goAway(message: GoAway): void
  /** Closes after a `goAway`, once nobody waits for an answer any more. */
  leave(): void
  close(reason: CloseReason): void
}

export interface TunnelOptions {
  readonly record: ControllerRecord
  readonly epoch: number
  readonly websocketId: string
  readonly identity: string
  readonly credentials: DeviceCredentials | undefined
  readonly session: TunnelSession
  readonly streams: Streams
}

/** Names under which firmware tells its own address. */
const ADDRESS_FIELDS = [
  'ip',
  'local_ip',
  'ip_address',
  'lan_ip',
  'hostname',
  'host',
  'mdns',
  'local_address',
] as const
/** Commands that may wait for their results on one tunnel. */
const MAX_SENT_COMMANDS = 1_000

export function createTunnel(options: TunnelOptions): Tunnel {
  const { session, streams, credentials } = options
  /** Ids sent on this tunnel and not answered, so that a repeated fetch does not repeat them. */
  const sentCommands = new Map<string, number>()

  function open(request: UpstreamRequest, sink: Parameters<Upstream['open']>[1]): OpenRequest | 'overloaded' {
    const id = requestId()
    const { method, path, headers } = request
    const message = serialise({
      type: 'http_request',
      id,
      method,
      path,
      headers,
      ...encodeBody(request.body),
    })
    if (!streams.open({ id, message }, sink, performance.now())) return 'overloaded'
    return {
      cancel: () => streams.cancel(id, performance.now()),
      drained: () => streams.drained(),
    }
  }

  return {
    controllerId: options.record.controllerId,
    epoch: options.epoch,
    websocketId: options.websocketId,
    identity: options.identity,
    ingestStream: credentials?.boot_id ?? options.websocketId,
    maxRequestBody: credentials?.max_request_body ?? V1_LIMITS.defaultMaxRequestBody,
    maxRequestHeader: credentials?.max_req_header ?? V1_LIMITS.defaultMaxRequestHeader,
    ownHosts: ownHosts(credentials),
    session,
    streams,
    isLeaving: false,
    open,
    command(command) {
      if (sentCommands.has(command.id) || sentCommands.size >= MAX_SENT_COMMANDS) return
      sentCommands.set(command.id, command.expiresAt)
      const { id, name, params, expiresAt } = command
      session.send({ type: 'command', id, name, params, expiresAt })
    },
    commandDone(id) {
      sentCommands.delete(id)
    },
    goAway(message) {
      session.send(message)
      this.isLeaving = true
      if (streams.pending() === 0) this.leave()
    },
    leave: () => session.close(CLOSE.restart),
    close: (reason) => session.close(reason),
  }
}

function ownHosts(credentials: DeviceCredentials | undefined): string[] {
  const hosts: string[] = []
  for (const field of ADDRESS_FIELDS) {
    const value = credentials?.[field]
    if (typeof value !== 'string' || value.length > 100 || !/^[a-z0-9.:[\]-]+$/i.test(value)) continue
    const host = value.toLowerCase()
    hosts.push(host)
    if (field === 'hostname' || field === 'mdns') hosts.push(`${host}.local`)
  }
  return hosts
}
