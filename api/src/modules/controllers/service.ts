/** What people do with their controllers. Every query is scoped by the workspaces of the one who asks. */
import { appError } from '@wmoc/platform/errors'
import type { Role } from '@wmoc/protocol/control-plane'
import type { ModelStatic, Transaction } from 'sequelize'
import { cleanJson, cleanText } from '#src/kernel/clean-text.ts'
import type { Permission, RouteInput, RouteOutput } from '#src/kernel/contract.ts'
import { encodeCursor, toPage } from '#src/kernel/cursor.ts'
import type { Kernel } from '#src/kernel/module.ts'
import { requirePermission } from '#src/kernel/permissions.ts'
import { firstRow, rows } from '#src/kernel/rows.ts'
import { ROLE, roleJoins, VISIBLE } from './access.ts'
import type { ControllerAccess } from './access.ts'
import { availabilityByHour, sharesOfDay } from './availability.ts'
import type { Controller, controllers, ListedController } from './contract.ts'
import type { Records } from './credentials.ts'
import { planList } from './list.ts'
import type { ListQuery } from './list.ts'
import { columnsOf } from './model.ts'
import type { ControllerModel, ControllerRow } from './model.ts'
import { iso, presentController } from './presenter.ts'

type Routes = (typeof controllers)['routes']
type Summary = RouteOutput<Routes['summary']>
type Status = RouteOutput<Routes['status']>
type Changes = RouteInput<Routes['update']>['body']

/** Who acts, for the audit log. */
export interface Actor {
  readonly userId: string
  readonly remoteAddress: string
}

/** Commands that wait for a controller. */
export type CountQueued = (controllerId: string) => Promise<number>

export interface ControllersService {
  list(userId: string, query: ListQuery): Promise<{ items: ListedController[]; nextCursor: string | null }>
  summary(userId: string): Promise<Summary>
  /** Here and below: `not_found` when the person can't see it, `forbidden` when the role is too low. */
  get(userId: string, id: string): Promise<Controller>
  /** `ifMatch` null: no condition; else 412 `version_conflict` when it is not the ETag of the row. */
  update(actor: Actor, id: string, changes: Changes, ifMatch: string | null): Promise<Controller>
  remove(actor: Actor, id: string): Promise<void>
  /** As `remove`, for who has decided already; `actor` null: the platform's operator. `row` is locked. */
  erase(actor: Actor | null, row: ControllerRow, transaction: Transaction): Promise<void>
  rotate(actor: Actor, id: string): Promise<Controller>
  status(userId: string, id: string): Promise<Status>
  /** Active ones in the workspaces that a person owns: what the tier's limit counts. */
  countOwned(userId: string): Promise<number>
  /** What it is called now, for other modules; null when it was deleted. */
  nameOf(id: string, transaction: Transaction): Promise<string | null>
  /** What a person who waits for it is told; of one that is gone as if it had never been seen. */
  away(id: string): Promise<{ lastSeenAt: number | null; queuedCommands: number }>
}

/** ETag of a controller: grows with each change of what people set, and with nothing else. */
export function etagOf(controller: { readonly version: number }): string {
  return `"${controller.version}"`
}

type Visible = ControllerRow & { readonly role: Role }

/** The controllers of people. */
export function createControllersService(deps: {
  kernel: Kernel
  Controller: ModelStatic<ControllerModel>
  access: ControllerAccess
  records: Records
  countQueued: CountQueued
}): ControllersService {
  const { kernel, access } = deps
  const { db } = kernel
  const columns = columnsOf(deps.Controller)
  const cColumns = columnsOf(deps.Controller, 'c')

  /** The row, locked in a transaction; `not_found` when the person can't see it, `forbidden` by the role. */
  async function find(
    userId: string,
    id: string,
    permission: Permission,
    transaction?: Transaction,
  ): Promise<Visible> {
    const lock = transaction ? ' FOR NO KEY UPDATE OF c' : ''
    const row = await firstRow<ControllerRow & { readonly role: Role | null }>(
      db,
      `SELECT ${cColumns}, ${ROLE} AS role FROM controllers c ${roleJoins('$userId')}
       WHERE c.id = $id AND c.deleted_at IS NULL${lock}`,
      { userId, id },
      transaction,
    )
    const role = requirePermission(row?.role ?? null, permission)
    return { ...row!, role }
  }

  async function audit(
    actor: Actor | null,
    row: ControllerRow,
    action: string,
    before: unknown,
    after: unknown,
    transaction: Transaction,
  ) {
    await kernel.audit.record(
      {
        workspaceId: row.workspaceId,
        actorId: actor?.userId ?? null,
        action,
        target: `controller:${row.id}`,
        before,
        after,
        remoteAddress: actor?.remoteAddress ?? null,
      },
      transaction,
    )
  }

  /** Its secret dies at once, its tunnel closes; what hangs on it goes by a job. */
  async function erase(actor: Actor | null, row: ControllerRow, transaction: Transaction): Promise<void> {
    const { id } = row
    await rows(
      db,
      `UPDATE controllers SET deleted_at = $now, is_active = false, mac_address = NULL, activation_token = NULL,
         verifier_current = NULL, verifier_next = NULL, rotation_pending = false, rotation_nonce = NULL,
         status = 'offline', access_epoch = access_epoch + 1, updated_at = $now WHERE id = $id`,
      { id, now: kernel.clock() },
      transaction,
    )
    await kernel.jobs.enqueue('controllers.purge', { controllerId: id }, { transaction })
    await kernel.events.emit(
      { type: 'controller.deleted', workspaceId: row.workspaceId, controllerId: id, name: row.name },
      transaction,
    )
    await audit(
      actor,
      row,
      'controller.deleted',
      { name: row.name, macAddress: row.macAddress },
      undefined,
      transaction,
    )
    kernel.notifyGateway({ type: 'revoked', controllerId: id }, transaction)
  }

  return {
    async list(userId, query) {
      const plan = planList(query)
      const found = await rows<Visible & { sortValue: string }>(
        db,
        `SELECT ${cColumns}, c.role, ${plan.sortValue} AS "sortValue" FROM ${VISIBLE} c
         WHERE c.deleted_at IS NULL${plan.where} ORDER BY ${plan.orderBy} LIMIT $limit`,
        { userId, ...plan.bind, limit: query.limit + 1 },
      )
      const shares = await sharesOfDay(db, found.slice(0, query.limit), kernel.clock())
      return toPage(
        found,
        query.limit,
        (row) => ({ ...presentController(row, row.role), availability24h: shares.get(row.id) ?? null }),
        (row) => encodeCursor(query.sort, [row.sortValue, row.id]),
      )
    },

    async summary(userId) {
      const counts = await firstRow<Pick<Summary, 'total' | 'online' | 'offline' | 'pending'>>(
        db,
        `SELECT count(*)::int AS total,
           count(*) FILTER (WHERE is_active AND status = 'online')::int AS online,
           count(*) FILTER (WHERE is_active AND status <> 'online')::int AS offline,
           count(*) FILTER (WHERE NOT is_active)::int AS pending
         FROM ${VISIBLE} c WHERE deleted_at IS NULL`,
        { userId },
      )
      const tags = await rows<{ tag: string; count: number }>(
        db,
        `SELECT tag, count(*)::int AS count FROM ${VISIBLE} c, unnest(tags) AS tag
         WHERE deleted_at IS NULL
         GROUP BY tag ORDER BY count DESC, tag LIMIT 200`,
        { userId },
      )
      return { ...counts!, tags, availability: await availabilityByHour(db, userId, kernel.clock()) }
    },

    async get(userId, id) {
      const row = await find(userId, id, 'controllers.read')
      return presentController(row, row.role)
    },

    update(actor, id, changes, ifMatch) {
      return db.transaction(async (transaction) => {
        const row = await find(actor.userId, id, 'controllers.write', transaction)
        if (ifMatch !== null && ifMatch !== '*' && ifMatch !== etagOf(row)) throw appError('version_conflict')
        const before = { name: row.name, tags: row.tags, metadata: row.metadata, pageCache: row.pageCache }
        const after = {
          name: changes.name === undefined ? row.name : cleanText(changes.name),
          tags: changes.tags === undefined ? row.tags : [...new Set(changes.tags)],
          metadata: changes.metadata === undefined ? row.metadata : cleanJson(changes.metadata),
          pageCache: changes.pageCache ?? row.pageCache,
        }
        const changed = await firstRow<ControllerRow>(
          db,
          `UPDATE controllers SET name = $name, tags = $tags::text[], metadata = $metadata,
             page_cache = $pageCache, version = version + 1, updated_at = $now WHERE id = $id RETURNING ${columns}`,
          { id, ...after, metadata: JSON.stringify(after.metadata), now: kernel.clock() },
          transaction,
        )
        await kernel.events.emit(
          { type: 'controller.updated', workspaceId: row.workspaceId, controllerId: id },
          transaction,
        )
        await audit(actor, row, 'controller.updated', before, after, transaction)
        if (after.name !== before.name || after.pageCache !== before.pageCache) {
          kernel.notifyGateway({ type: 'controller_changed', controllerId: id }, transaction)
        }
        return presentController(changed!, row.role)
      })
    },

    remove(actor, id) {
      return db.transaction(async (transaction) => {
        await erase(actor, await find(actor.userId, id, 'controllers.delete', transaction), transaction)
      })
    },
    erase,

    rotate(actor, id) {
      return db.transaction(async (transaction) => {
        const row = await find(actor.userId, id, 'controllers.write', transaction)
        if (!row.isActive) throw appError('conflict', { detail: 'It has no secret yet.' })
        const rotating = await deps.records.rotate(id, transaction)
        await kernel.events.emit(
          { type: 'controller.updated', workspaceId: row.workspaceId, controllerId: id },
          transaction,
        )
        await audit(actor, row, 'controller.rotation_asked', undefined, undefined, transaction)
        return presentController(rotating!, row.role)
      })
    },

    async status(userId, id) {
      const row = await find(userId, id, 'controllers.read')
      const sessions = await lastSessions(id)
      const open =
        row.status === 'online' ? sessions.find((session) => session.disconnectedAt === null) : undefined
      return {
        status: row.isActive ? row.status : 'pending',
        since: iso(row.statusSince),
        lastSeenAt: iso(row.lastSeenAt),
        session: open === undefined ? null : { ...open, connectedAt: open.connectedAt.toISOString() },
        sessions: sessions.map((session) => ({
          ...session,
          connectedAt: session.connectedAt.toISOString(),
          disconnectedAt: iso(session.disconnectedAt),
        })),
        queuedCommands: await deps.countQueued(id),
        availability24h: (await sharesOfDay(db, [row], kernel.clock())).get(id) ?? null,
      }
    },

    async countOwned(userId) {
      const row = await firstRow<{ count: number }>(
        db,
        `SELECT count(*)::int AS count FROM controllers c JOIN workspaces w ON w.id = c.workspace_id
         WHERE w.owner_id = $userId AND c.is_active AND c.deleted_at IS NULL`,
        { userId },
      )
      return row!.count
    },

    async nameOf(id, transaction) {
      const row = await firstRow<{ name: string }>(
        db,
        'SELECT name FROM controllers WHERE id = $id AND deleted_at IS NULL',
        { id },
        transaction,
      )
      return row?.name ?? null
    },

    async away(id) {
      const row = await firstRow<{ lastSeenAt: Date | null }>(
        db,
        'SELECT last_seen_at AS "lastSeenAt" FROM controllers WHERE id = $id AND deleted_at IS NULL',
        { id },
      )
      if (row === null) return { lastSeenAt: null, queuedCommands: 0 }
      return { lastSeenAt: row.lastSeenAt?.getTime() ?? null, queuedCommands: await deps.countQueued(id) }
    },
  }

  function lastSessions(controllerId: string) {
    return rows<{
      id: string
      epoch: number
      shard: string
      connectedAt: Date
      disconnectedAt: Date | null
      reason: string | null
      remoteAddress: string | null
      firmwareVersion: string | null
    }>(
      db,
      `SELECT id, epoch::float8 AS epoch, shard, connected_at AS "connectedAt", disconnected_at AS "disconnectedAt",
         reason, remote_address AS "remoteAddress", firmware_version AS "firmwareVersion"
       FROM controller_sessions WHERE controller_id = $controllerId ORDER BY connected_at DESC, epoch DESC LIMIT 20`,
      { controllerId },
    )
  }
}
