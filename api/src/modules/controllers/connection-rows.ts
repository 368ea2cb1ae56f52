/** The rows behind connections: what is known of controllers before a batch of events, and what stands after it. */
import { uuidv7 } from '@wmoc/platform/ids'
import type { GatewayEvent } from '@wmoc/protocol/control-plane'
import type { Sequelize, Transaction } from 'sequelize'
import { cleanText } from '#src/kernel/clean-text.ts'
import { rows } from '#src/kernel/rows.ts'
import type { Connection, StatusChange } from './core/connection.ts'
import { cleanDevice } from './core/device.ts'

type Connected = Extract<GatewayEvent, { type: 'connected' }>

export interface Known extends Connection {
  readonly id: string
  readonly workspaceId: string
}

export interface Folded {
  state: Known
  readonly changes: StatusChange[]
  /** What the device said of itself at its newest connection. */
  device: Connected['device'] | null
  /** When that was; sessions below its epoch ended then. */
  connectedAt: number | null
}

/** The active ones among `ids`, locked in the order of their ids, so that two batches never wait for each other. */
export async function lockKnown(
  db: Sequelize,
  ids: readonly string[],
  transaction: Transaction,
): Promise<Map<string, Known>> {
  const found = await rows<Known>(
    db,
    `SELECT id, workspace_id AS "workspaceId", status, session_epoch::float8 AS epoch,
       floor(extract(epoch FROM status_since) * 1000)::float8 AS since,
       floor(extract(epoch FROM last_seen_at) * 1000)::float8 AS "lastSeenAt"
     FROM controllers WHERE id = ANY($ids::uuid[]) AND is_active AND deleted_at IS NULL
     ORDER BY id FOR NO KEY UPDATE`,
    { ids },
    transaction,
  )
  return new Map(found.map((row) => [row.id, row]))
}

/** History: one row per socket; a newer epoch ends whatever was still open below it. */
export async function writeSessions(
  db: Sequelize,
  events: readonly GatewayEvent[],
  folded: ReadonlyMap<string, Folded>,
  transaction: Transaction,
): Promise<void> {
  const opened = events.filter((event) => event.type === 'connected')
  const closed = events.filter((event) => event.type === 'disconnected')
  if (opened.length > 0) {
    await rows(
      db,
      `INSERT INTO controller_sessions
         (id, controller_id, websocket_id, connected_at, epoch, shard, remote_address, firmware_version)
       SELECT id, controller_id, websocket_id, to_timestamp(at / 1000.0), epoch, shard, address, firmware
       FROM jsonb_to_recordset($opened::jsonb) AS e (id uuid, controller_id uuid, websocket_id text, at float8,
         epoch bigint, shard text, address text, firmware text)
       ON CONFLICT (websocket_id) DO NOTHING`,
      { opened: JSON.stringify(opened.map(sessionRow)) },
      transaction,
    )
  }
  if (closed.length > 0) {
    await rows(
      db,
      `UPDATE controller_sessions s SET disconnected_at = to_timestamp(e.at / 1000.0), reason = e.reason
       FROM jsonb_to_recordset($closed::jsonb) AS e (controller_id uuid, websocket_id text, at float8, reason text)
       WHERE s.websocket_id = e.websocket_id AND s.controller_id = e.controller_id AND s.disconnected_at IS NULL`,
      {
        closed: JSON.stringify(
          closed.map((event) => ({
            controller_id: event.controllerId,
            websocket_id: cleanText(event.websocketId, 255),
            at: event.at,
            reason: cleanText(event.reason, 100),
          })),
        ),
      },
      transaction,
    )
  }
  if (opened.length > 0) {
    await rows(
      db,
      `UPDATE controller_sessions s SET disconnected_at = greatest(s.connected_at, to_timestamp(e.at / 1000.0)),
         reason = 'superseded'
       FROM jsonb_to_recordset($newest::jsonb) AS e (controller_id uuid, epoch bigint, at float8)
       WHERE s.controller_id = e.controller_id AND s.epoch < e.epoch AND s.disconnected_at IS NULL`,
      {
        newest: JSON.stringify(
          [...folded.values()].map(({ state, connectedAt }) => ({
            controller_id: state.id,
            epoch: state.epoch,
            at: connectedAt ?? state.since,
          })),
        ),
      },
      transaction,
    )
  }
}

function sessionRow(event: Connected) {
  const device = cleanDevice(event.device)
  return {
    id: uuidv7(),
    controller_id: event.controllerId,
    websocket_id: cleanText(event.websocketId, 255),
    at: event.at,
    epoch: event.epoch,
    shard: cleanText(event.shard, 100),
    address: device.remoteAddress,
    firmware: device.firmwareVersion,
  }
}

/** Status, sign of life and description of each controller of the batch, in one statement. */
export async function writeConnections(
  db: Sequelize,
  folded: ReadonlyMap<string, Folded>,
  transaction: Transaction,
): Promise<void> {
  if (folded.size === 0) return
  const states = [...folded.values()].map(({ state, device }) => {
    const clean = device === null ? null : cleanDevice(device)
    return {
      id: state.id,
      status: state.status,
      since: state.since,
      epoch: state.epoch,
      seen: state.lastSeenAt,
      firmware: clean?.firmwareVersion ?? null,
      model: clean?.model ?? null,
      metadata: clean?.metadata ?? null,
    }
  })
  await rows(
    db,
    `UPDATE controllers c SET status = e.status, status_since = to_timestamp(e.since / 1000.0),
       session_epoch = e.epoch, last_seen_at = to_timestamp(e.seen / 1000.0),
       firmware_version = coalesce(e.firmware, c.firmware_version), model = coalesce(e.model, c.model),
       device_metadata = coalesce(e.metadata, c.device_metadata)
     FROM jsonb_to_recordset($states::jsonb) AS e (id uuid, status text, since float8, epoch bigint, seen float8,
       firmware text, model text, metadata jsonb)
     WHERE c.id = e.id`,
    { states: JSON.stringify(states) },
    transaction,
  )
}

/** Ends sessions of controllers that were lost without a word, at the last sign of life. */
export async function closeLost(
  db: Sequelize,
  lost: readonly Known[],
  transaction: Transaction,
): Promise<void> {
  await rows(
    db,
    `UPDATE controller_sessions s SET reason = 'lost',
       disconnected_at = greatest(s.connected_at, coalesce(c.last_seen_at, s.connected_at))
     FROM controllers c
     WHERE c.id = s.controller_id AND s.controller_id = ANY($ids::uuid[]) AND s.disconnected_at IS NULL`,
    { ids: lost.map((row) => row.id) },
    transaction,
  )
}
