/** Who is connected, and the history of it: written from the gateway's events, healed from presence in the store. */
import type { ControlPlaneInput, ControlPlaneOutput, GatewayEvent } from '@wmoc/protocol/control-plane'
import type { Transaction } from 'sequelize'
import { cleanText } from '#src/kernel/clean-text.ts'
import type { DomainEvent } from '#src/kernel/domain-events.ts'
import type { Kernel } from '#src/kernel/module.ts'
import { rows } from '#src/kernel/rows.ts'
import { applyGatewayEvent } from './core/connection.ts'
import type { StatusChange } from './core/connection.ts'
import { closeLost, lockKnown, writeConnections, writeSessions } from './connection-rows.ts'
import type { Folded, Known } from './connection-rows.ts'

/** No presence and not a sign of life for this long: offline, whatever the last event said. */
export const LOST_AFTER_MS = 90_000
/** One failed login of a controller in this time is told. */
const AUTH_FAILED_EVERY_MS = 60_000
const PRESENCE_BATCH = 500

type AuthFailed = Extract<GatewayEvent, { type: 'auth_failed' }>

export interface Connections {
  /** Takes a batch of events; repeats change nothing. Counts those of controllers that are known. */
  accept(input: ControlPlaneInput<'events'>): Promise<ControlPlaneOutput<'events'>>
  /**
   * Sets right what a crash left behind, both ways, from presence in the store: a controller marked online that
   * nobody holds goes offline, one marked offline that a shard holds comes online. Answers how many changed.
   */
  reconcile(): Promise<number>
}

/** Session history and status. */
export function createConnections(kernel: Kernel): Connections {
  const { db, store } = kernel

  async function accept(events: readonly GatewayEvent[], transaction: Transaction): Promise<number> {
    const known = await lockKnown(db, [...new Set(events.map((event) => event.controllerId))], transaction)
    const accepted = events.filter((event) => known.has(event.controllerId))
    const folded = fold(known, accepted)
    await writeSessions(db, accepted, folded, transaction)
    await writeConnections(db, folded, transaction)
    const told = accepted.filter((event) => event.type === 'auth_failed')
    await kernel.events.emit(
      [
        ...[...folded.values()].flatMap(({ state, changes }) =>
          changes.map((change) => statusEvent(state, change)),
        ),
        ...(await firstOfTheirMinute(told)).map((event) =>
          authFailedEvent(known.get(event.controllerId)!, event),
        ),
      ],
      transaction,
    )
    return accepted.length
  }

  /** A stranger who guesses must not fill the outbox. An event that comes again after a rollback is still the first. */
  async function firstOfTheirMinute(events: readonly AuthFailed[]): Promise<AuthFailed[]> {
    const first: AuthFailed[] = []
    for (const event of new Map(
      events.map((each) => [`${each.controllerId}:${each.reason}`, each]),
    ).values()) {
      const key = `controller:auth_failed:${event.controllerId}:${event.reason}`
      const value = String(event.at)
      const isFirst = await store
        .set(key, value, { ttlMs: AUTH_FAILED_EVERY_MS, ifAbsent: true })
        .then(async (isNew) => isNew || (await store.get(key)) === value)
        .catch(() => true)
      if (isFirst) first.push(event)
    }
    return first
  }

  /** Those among `ids` whose presence in the store is (or is not) there. */
  async function withPresence(ids: string[], isThere: boolean): Promise<string[]> {
    const found: string[] = []
    for (let from = 0; from < ids.length; from += PRESENCE_BATCH) {
      const batch = ids.slice(from, from + PRESENCE_BATCH)
      const presences = await store.getPresence(batch)
      found.push(...batch.filter((_, index) => (presences[index] !== null) === isThere))
    }
    return found
  }

  async function turn(
    ids: string[],
    status: 'online' | 'offline',
    where: string,
    quietSince: Date,
  ): Promise<number> {
    if (ids.length === 0) return 0
    return db.transaction(async (transaction) => {
      const turned = await rows<Known>(
        db,
        `UPDATE controllers c SET status = $status, status_since = $now
         WHERE id = ANY($ids::uuid[]) AND is_active AND deleted_at IS NULL AND ${where}
         RETURNING id, workspace_id AS "workspaceId"`,
        { ids, status, now: kernel.clock(), quietSince },
        transaction,
      )
      if (status === 'offline') await closeLost(db, turned, transaction)
      const at = kernel.clock().getTime()
      await kernel.events.emit(
        turned.map((state) => statusEvent(state, { status, at })),
        transaction,
      )
      return turned.length
    })
  }

  return {
    async accept({ events }) {
      return { accepted: await db.transaction((transaction) => accept(events, transaction)) }
    },

    async reconcile() {
      const quietSince = new Date(kernel.clock().getTime() - LOST_AFTER_MS)
      const silent = await rows<{ id: string }>(db, `SELECT id FROM controllers WHERE ${SILENT}`, {
        quietSince,
      })
      const lost = await withPresence(
        silent.map((row) => row.id),
        false,
      )
      const alive = await rows<{ id: string }>(db, `SELECT id FROM controllers WHERE ${HEARD}`, {})
      const back = await withPresence(
        alive.map((row) => row.id),
        true,
      )
      const offline = await turn(lost, 'offline', SILENT, quietSince)
      return offline + (await turn(back, 'online', HEARD, quietSince))
    },
  }
}

const SILENT = `status = 'online' AND status_since < $quietSince AND coalesce(last_seen_at, 'epoch') < $quietSince`
const HEARD = `status = 'offline' AND last_seen_at > status_since AND is_active AND deleted_at IS NULL`

function statusEvent(state: Known, change: StatusChange): DomainEvent {
  return { type: 'controller.status', workspaceId: state.workspaceId, controllerId: state.id, ...change }
}

function authFailedEvent(state: Known, event: AuthFailed): DomainEvent {
  return {
    type: 'controller.auth_failed',
    workspaceId: state.workspaceId,
    controllerId: state.id,
    remoteAddress: cleanText(event.remoteAddress, 64),
    reason: event.reason,
  }
}

function fold(known: ReadonlyMap<string, Known>, events: readonly GatewayEvent[]): Map<string, Folded> {
  const folded = new Map<string, Folded>()
  for (const event of events) {
    if (event.type === 'auth_failed') continue
    const entry = folded.get(event.controllerId) ?? {
      state: known.get(event.controllerId)!,
      changes: [],
      device: null,
      connectedAt: null,
    }
    const { connection, change } = applyGatewayEvent(entry.state, event)
    if (event.type === 'connected' && connection !== entry.state) {
      entry.device = event.device
      entry.connectedAt = event.at
    }
    entry.state = { ...entry.state, ...connection }
    if (change !== null) entry.changes.push(change)
    folded.set(event.controllerId, entry)
  }
  return folded
}
