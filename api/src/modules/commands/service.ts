/**
 * Commands: a queue in Postgres that waits while the controller is away. At least once to the device, at most once on
 * it: the id stays the same over every delivery and the device drops what it has done. What is finished never changes.
 */
import { appError } from '@wmoc/platform/errors'
import { uuidv7 } from '@wmoc/platform/ids'
import type { ControlPlaneInput, ControlPlaneOutput } from '@wmoc/protocol/control-plane'
import { V1_LIMITS } from '@wmoc/protocol/messages'
import type { Transaction } from 'sequelize'
import { z } from 'zod'
import { cleanJson, cleanText, jsonDepth } from '#src/kernel/clean-text.ts'
import type { Json } from '#src/kernel/clean-text.ts'
import { decodeCursor, encodeCursor, toPage } from '#src/kernel/cursor.ts'
import type { Permission, RouteInput } from '#src/kernel/contract.ts'
import type { AccessChecker, Kernel } from '#src/kernel/module.ts'
import { requirePermission } from '#src/kernel/permissions.ts'
import { firstRow, rows } from '#src/kernel/rows.ts'
import type { Command, commands } from './contract.ts'
import { paramsProblem } from './core/command-state.ts'
import { presentCommand } from './presenter.ts'
import type { CommandRow } from './presenter.ts'

type Routes = (typeof commands)['routes']

/** Unfinished commands that one controller may have. */
export const MAX_UNFINISHED = 100
/** Commands that one `take` answers with, those not sent yet before the others; the rest come with the next. */
const MAX_TAKEN = 5_000
const HISTORY_MS = 90 * 86_400_000

export interface CommandsService {
  /** Queues a command; `too_many_queued` when too many wait, 400 `validation_failed` for params too big or deep. */
  send(userId: string, controllerId: string, body: RouteInput<Routes['send']>['body']): Promise<Command>
  /** Everywhere: `not_found` when the person can't see the controller, `forbidden` when the role is too low. */
  list(
    userId: string,
    controllerId: string,
    query: RouteInput<Routes['list']>['query'],
  ): Promise<{ items: Command[]; nextCursor: string | null }>
  get(userId: string, controllerId: string, commandId: string): Promise<Command>
  /** Withdraws a queued command: it ends as `expired` with the error `withdrawn`. `command_already_sent` after that. */
  cancel(userId: string, controllerId: string, commandId: string): Promise<void>
  take(input: ControlPlaneInput<'commands/take'>): Promise<ControlPlaneOutput<'commands/take'>>
  /** Records results of sent commands; counts those that were still awaited. */
  results(input: ControlPlaneInput<'commands/results'>): Promise<ControlPlaneOutput<'commands/results'>>
  /** How many wait for a controller, for other modules. */
  countQueued(controllerId: string): Promise<number>
  /** What it was and why it failed, for other modules; null when it is not there. */
  outcomeOf(id: string, transaction: Transaction): Promise<{ name: string; error: string | null } | null>
  /** Ends what has run out; answers how many. */
  expireDue(): Promise<number>
  /** Removes history older than 90 days; answers how many. */
  purge(): Promise<number>
}

/** Cursor of the history: when the last one was made, and its id. */
const POSITION = z.tuple([z.iso.datetime({ offset: true }), z.uuid()])

const COLUMNS = `c.id, c.controller_id AS "controllerId", c.workspace_id AS "workspaceId", c.name, c.params, c.state,
  c.result, c.error, c.created_by AS "createdBy", c.created_at AS "createdAt", c.sent_at AS "sentAt",
  c.finished_at AS "finishedAt", c.expires_at AS "expiresAt"`
const SELECT = `SELECT ${COLUMNS}, u.email AS "createdByEmail" FROM commands c LEFT JOIN users u ON u.id = c.created_by`

type Changed = Pick<CommandRow, 'id' | 'controllerId' | 'workspaceId' | 'state' | 'createdBy'>
const CHANGED = `c.id, c.controller_id AS "controllerId", c.workspace_id AS "workspaceId", c.state,
  c.created_by AS "createdBy"`

/** The commands of people and of the gateway. */
export function createCommandsService(deps: { kernel: Kernel; access: AccessChecker }): CommandsService {
  const { kernel, access } = deps
  const { db } = kernel

  async function requireAllowed(userId: string, controllerId: string, permission: Permission): Promise<void> {
    requirePermission(await access.roleOnController(userId, controllerId), permission)
  }

  async function find(controllerId: string, id: string, transaction?: Transaction): Promise<CommandRow> {
    const row = await firstRow<CommandRow>(
      db,
      `${SELECT} WHERE c.controller_id = $controllerId AND c.id = $id`,
      { controllerId, id },
      transaction,
    )
    if (row === null) throw appError('not_found')
    return row
  }

  /** Says that commands changed: to `state`, else to the state in their rows. */
  async function emit(changed: readonly Changed[], transaction: Transaction, state?: string): Promise<void> {
    await kernel.events.emit(
      changed.map((command) => ({
        type: 'command.changed',
        workspaceId: command.workspaceId,
        controllerId: command.controllerId,
        commandId: command.id,
        state: state ?? command.state,
        createdBy: command.createdBy,
      })),
      transaction,
    )
  }

  /** The name is written down, the parameters are not: they may hold a secret. */
  async function record(
    userId: string,
    command: Changed,
    action: string,
    after: object | undefined,
    transaction: Transaction,
  ): Promise<void> {
    const { workspaceId, controllerId, id } = command
    const target = `controller:${controllerId}`
    await kernel.audit.record(
      { workspaceId, actorId: userId, action, target, after: { command: id, ...after } },
      transaction,
    )
  }

  /** Serialises senders of one controller, so that the bound on its queue is exact. */
  async function lockController(controllerId: string, transaction: Transaction): Promise<string> {
    const row = await firstRow<{ workspaceId: string }>(
      db,
      `SELECT workspace_id AS "workspaceId" FROM controllers WHERE id = $controllerId AND deleted_at IS NULL
       FOR NO KEY UPDATE`,
      { controllerId },
      transaction,
    )
    if (row === null) throw appError('not_found')
    return row.workspaceId
  }

  async function insert(
    command: {
      userId: string
      controllerId: string
      workspaceId: string
      name: string
      params: Json
      ttlMs: number
    },
    transaction: Transaction,
  ): Promise<Changed> {
    const now = kernel.clock()
    const row = await firstRow<Changed>(
      db,
      `INSERT INTO commands AS c
         (id, controller_id, workspace_id, name, params, state, created_by, created_at, expires_at)
       SELECT $id, $controllerId, $workspaceId, $name, $params::jsonb, 'queued', $userId, $now, $expiresAt
       WHERE (SELECT count(*) FROM commands WHERE controller_id = $controllerId AND state IN ('queued', 'sent')
                AND expires_at > $now) < $max
       RETURNING ${CHANGED}`,
      {
        ...command,
        id: uuidv7(),
        params: JSON.stringify(command.params),
        now,
        expiresAt: new Date(now.getTime() + command.ttlMs),
        max: MAX_UNFINISHED,
      },
      transaction,
    )
    if (row === null) throw appError('too_many_queued')
    return row
  }

  return {
    async send(userId, controllerId, body) {
      const params = cleanJson(checkedParams(body.params))
      await requireAllowed(userId, controllerId, 'controllers.command')
      return db.transaction(async (transaction) => {
        const workspaceId = await lockController(controllerId, transaction)
        const command = await insert(
          { userId, controllerId, workspaceId, name: body.name, params, ttlMs: body.ttlSec * 1_000 },
          transaction,
        )
        await emit([command], transaction)
        await record(userId, command, 'command.queued', { name: body.name }, transaction)
        kernel.notifyGateway({ type: 'commands_queued', controllerId }, transaction)
        return presentCommand(await find(controllerId, command.id, transaction))
      })
    },

    async list(userId, controllerId, query) {
      await requireAllowed(userId, controllerId, 'controllers.read')
      const after = decodeCursor(query.cursor, 'commands', POSITION)
      const found = await rows<CommandRow & { position: string }>(
        db,
        `${SELECT.replace(' FROM', `, to_json(c.created_at)#>>'{}' AS position FROM`)}
         WHERE c.controller_id = $controllerId AND ($state::text IS NULL OR c.state = $state)
           AND ($value::timestamptz IS NULL OR (c.created_at, c.id) < ($value::timestamptz, $after::uuid))
         ORDER BY c.created_at DESC, c.id DESC LIMIT $limit`,
        {
          controllerId,
          state: query.state ?? null,
          value: after?.[0] ?? null,
          after: after?.[1] ?? null,
          limit: query.limit + 1,
        },
      )
      return toPage(found, query.limit, presentCommand, (row) =>
        encodeCursor('commands', [row.position, row.id]),
      )
    },

    async get(userId, controllerId, commandId) {
      await requireAllowed(userId, controllerId, 'controllers.read')
      return presentCommand(await find(controllerId, commandId))
    },

    async cancel(userId, controllerId, commandId) {
      await requireAllowed(userId, controllerId, 'controllers.command')
      await db.transaction(async (transaction) => {
        const withdrawn = await firstRow<Changed>(
          db,
          `UPDATE commands c SET state = 'expired', error = 'withdrawn', finished_at = $now
           WHERE c.id = $commandId AND c.controller_id = $controllerId AND c.state = 'queued' RETURNING ${CHANGED}`,
          { commandId, controllerId, now: kernel.clock() },
          transaction,
        )
        if (withdrawn === null) {
          await find(controllerId, commandId, transaction)
          throw appError('command_already_sent')
        }
        await emit([withdrawn], transaction, 'withdrawn')
        await record(userId, withdrawn, 'command.withdrawn', undefined, transaction)
      })
    },

    take({ controllerIds }) {
      return db.transaction(async (transaction) => {
        const taken = await rows<
          Changed & Pick<CommandRow, 'name' | 'params' | 'expiresAt'> & { wasQueued: boolean }
        >(
          db,
          `WITH open AS (
             SELECT id, state FROM commands
             WHERE controller_id = ANY($controllerIds::uuid[]) AND state IN ('queued', 'sent') AND expires_at > $now
             ORDER BY state = 'sent', created_at, id LIMIT $max FOR UPDATE SKIP LOCKED
           ), taken AS (
             UPDATE commands c SET state = 'sent', sent_at = coalesce(c.sent_at, $now)
             FROM open WHERE c.id = open.id
             RETURNING ${CHANGED}, c.name, c.params, c.expires_at AS "expiresAt", c.created_at,
               open.state = 'queued' AS "wasQueued"
           )
           SELECT * FROM taken ORDER BY created_at, id`,
          { controllerIds, now: kernel.clock(), max: MAX_TAKEN },
          transaction,
        )
        await emit(
          taken.filter((command) => command.wasQueued),
          transaction,
        )
        return {
          commands: taken.map(({ controllerId, id, name, params, expiresAt }) => ({
            controllerId,
            id,
            name,
            params,
            expiresAt: expiresAt.getTime(),
          })),
        }
      })
    },

    results({ results }) {
      const said = results.map(({ controllerId, id, ok, result, error }) => ({
        id,
        controller_id: controllerId,
        ok,
        result: result === undefined ? null : storable(result),
        error: ok || error === undefined ? null : cleanText(error, 1_000),
      }))
      return db.transaction(async (transaction) => {
        const finished = await rows<Changed>(
          db,
          `UPDATE commands c SET state = CASE WHEN said.ok THEN 'acknowledged' ELSE 'failed' END,
             result = said.result, error = said.error, finished_at = $now
           FROM (SELECT DISTINCT ON (id) * FROM jsonb_to_recordset($said::jsonb)
                   AS said (id uuid, controller_id uuid, ok boolean, result jsonb, error text)) said
           WHERE c.id = said.id AND c.controller_id = said.controller_id AND c.state = 'sent'
           RETURNING ${CHANGED}`,
          { said: JSON.stringify(said), now: kernel.clock() },
          transaction,
        )
        await emit(finished, transaction)
        return { accepted: finished.length }
      })
    },

    async countQueued(controllerId) {
      const row = await firstRow<{ count: number }>(
        db,
        `SELECT count(*)::int AS count FROM commands
         WHERE controller_id = $controllerId AND state = 'queued' AND expires_at > $now`,
        { controllerId, now: kernel.clock() },
      )
      return row!.count
    },

    outcomeOf: (id, transaction) =>
      firstRow(db, 'SELECT name, error FROM commands WHERE id = $id', { id }, transaction),

    expireDue() {
      return db.transaction(async (transaction) => {
        const expired = await rows<Changed>(
          db,
          `UPDATE commands c SET state = 'expired', finished_at = $now
           WHERE c.id IN (SELECT id FROM commands WHERE state IN ('queued', 'sent') AND expires_at <= $now
                          ORDER BY expires_at LIMIT 1000 FOR UPDATE SKIP LOCKED)
           RETURNING ${CHANGED}`,
          { now: kernel.clock() },
          transaction,
        )
        await emit(expired, transaction)
        return expired.length
      })
    },

    purge() {
      return db.transaction(async (transaction) => {
        await rows(db, 'SET LOCAL statement_timeout = 0', {}, transaction)
        const gone = await rows(
          db,
          'DELETE FROM commands WHERE finished_at < $before RETURNING id',
          { before: new Date(kernel.clock().getTime() - HISTORY_MS) },
          transaction,
        )
        return gone.length
      })
    },
  }
}

function checkedParams(params: Json): Json {
  const problem = paramsProblem(params)
  if (problem === null) return params
  throw appError('validation_failed', {
    fields: [{ path: 'body.params', code: 'too_big', message: problem }],
  })
}

/** A device's result, or null where it is nested deeper than the protocol allows. */
function storable(result: Json): Json {
  return jsonDepth(result, V1_LIMITS.maxJsonDepth) > V1_LIMITS.maxJsonDepth ? null : cleanJson(result)
}
