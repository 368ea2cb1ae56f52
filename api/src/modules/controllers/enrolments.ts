/** Controllers that an object in a cluster declares; this database stays the truth of what they are. */
import { appError } from '@wmoc/platform/errors'
import { randomToken } from '@wmoc/platform/ids'
import type { ControlPlaneInput, ControlPlaneOutput, EnrolmentRefusal } from '@wmoc/protocol/control-plane'
import type { ModelStatic, Transaction } from 'sequelize'
import { cleanText } from '#src/kernel/clean-text.ts'
import type { Kernel } from '#src/kernel/module.ts'
import { firstRow, rows } from '#src/kernel/rows.ts'
import { refusalOf } from './binding.ts'
import type { Binding } from './binding.ts'
import { Tag } from './contract.ts'
import { UNNAMED } from './core/device.ts'
import { planEnrolment } from './core/enrolment.ts'
import type { Declared } from './core/enrolment.ts'
import { columnsOf } from './model.ts'
import type { ControllerModel, ControllerRow } from './model.ts'
import { DECLARED_TOKEN_TTL_MS, MAX_TAGS, RENEW_DECLARED_TOKEN_MS } from './policy.ts'
import type { DeviceSecrets } from './secrets.ts'
import type { ControllersService } from './service.ts'
import { pendingController } from './tokens.ts'

type Input = ControlPlaneInput<'enrolments/declare'>
type Answer = ControlPlaneOutput<'enrolments/declare'>
type Enrolled = Extract<Answer, { outcome: 'enrolled' }>

export interface Enrolments {
  /** Makes it so, in one transaction, or refuses and changes nothing. The same again changes nothing. */
  declare(input: Input): Promise<Answer>
  /** Ends the declaration; asked again it answers `none`. */
  withdraw(
    input: ControlPlaneInput<'enrolments/withdraw'>,
  ): Promise<ControlPlaneOutput<'enrolments/withdraw'>>
}

/** Rolls the transaction back and becomes the answer. */
class Refused extends Error {
  readonly reason: EnrolmentRefusal
  constructor(reason: EnrolmentRefusal, detail: string) {
    super(detail)
    this.reason = reason
  }
}

interface Target {
  readonly row: ControllerRow
  readonly applied: Declared | null
}

/** Declarations of controllers. */
export function createEnrolments(deps: {
  kernel: Kernel
  Controller: ModelStatic<ControllerModel>
  binding: Binding
  secrets: DeviceSecrets
  erase: ControllersService['erase']
}): Enrolments {
  const { kernel, binding } = deps
  const { db } = kernel
  const columns = columnsOf(deps.Controller)

  function lockRow(where: string, bind: Record<string, unknown>, transaction: Transaction) {
    return firstRow<ControllerRow>(
      db,
      `SELECT ${columns} FROM controllers WHERE ${where} AND deleted_at IS NULL FOR NO KEY UPDATE`,
      bind,
      transaction,
    )
  }

  async function known({ namespace, name }: Input, transaction: Transaction): Promise<Target | null> {
    const enrolment = await firstRow<{ controllerId: string | null; applied: Declared }>(
      db,
      `SELECT controller_id AS "controllerId", applied FROM enrolments
       WHERE namespace = $namespace AND name = $name FOR UPDATE`,
      { namespace, name },
      transaction,
    )
    if (enrolment === null) return null
    const { controllerId, applied } = enrolment
    const row = controllerId && (await lockRow('id = $controllerId', { controllerId }, transaction))
    if (row) return { row, applied }
    throw new Refused(
      'removed',
      'Its owner deleted this controller in the portal. Delete this object, or delete it and create it again to enrol the controller anew.',
    )
  }

  async function ownerOf(email: string, transaction: Transaction) {
    const found = await firstRow<{ userId: string; workspaceId: string }>(
      db,
      `SELECT u.id AS "userId", w.id AS "workspaceId" FROM users u JOIN workspaces w ON w.owner_id = u.id
       WHERE u.email = $email ORDER BY w.created_at, w.id LIMIT 1`,
      { email },
      transaction,
    )
    if (found) return found
    throw new Refused(
      'owner_unknown',
      `Nobody has an account under ${email}: let that person register first.`,
    )
  }

  /** The workspace's own controller with this MAC, or a new one that waits for its device. */
  async function enrol(input: Input, transaction: Transaction): Promise<Target> {
    const { mac } = input
    const owner = await ownerOf(input.owner, transaction)
    await binding.lockWorkspace(owner.workspaceId, transaction)
    const existing = await lockRow('mac_address = $mac', { mac }, transaction)
    if (existing) return adopt(input, existing, owner.workspaceId, transaction)
    await binding.requireRoom(owner.workspaceId, null, transaction)
    const row: ControllerRow = {
      ...pendingController({
        ...owner,
        name: UNNAMED,
        now: kernel.clock(),
        activationToken: null,
        expiresAt: null,
      }),
      macAddress: mac,
    }
    await deps.Controller.create(row, { transaction })
    return { row, applied: null }
  }

  async function adopt(
    input: Input,
    row: ControllerRow,
    workspaceId: string,
    transaction: Transaction,
  ): Promise<Target> {
    if (row.workspaceId !== workspaceId) throw macTaken()
    const other = await firstRow<{ namespace: string; name: string }>(
      db,
      `SELECT namespace, name FROM enrolments
       WHERE controller_id = $id AND (namespace, name) <> ($namespace, $name)`,
      { id: row.id, namespace: input.namespace, name: input.name },
      transaction,
    )
    if (other === null) return { row, applied: null }
    throw new Refused(
      'declared_elsewhere',
      `The object ${other.namespace}/${other.name} declares this controller already: keep one of the two.`,
    )
  }

  /** The row as declared; `drift` is what the portal says otherwise. */
  async function write(input: Input, { row, applied }: Target, transaction: Transaction) {
    const declared = declaredOf(input)
    const plan = planEnrolment(declared, applied, row)
    const tags = plan.tags ?? row.tags
    if (tags.length > MAX_TAGS)
      throw new Refused(
        'too_many_tags',
        `With those from the portal it would have ${tags.length} tags; ${MAX_TAGS} are possible.`,
      )
    const activation = activate(input, row)
    const next = {
      name: plan.name ?? row.name,
      tags,
      suspendedAt: input.suspended ? (row.suspendedAt ?? kernel.clock()) : null,
      activationToken: activation.hash,
      activationExpiresAt: activation.expiresAt,
    }
    await remember(input, row.id, declared, transaction)
    const isRenamed = plan.name !== undefined || plan.tags !== undefined
    const isNews = applied === null || isRenamed || (row.suspendedAt !== null) !== input.suspended
    if (!isNews && next.activationToken === row.activationToken) return { row, drift: plan.drift, activation }
    const changed = await firstRow<ControllerRow>(
      db,
      `UPDATE controllers SET name = $name, tags = $tags::text[], suspended_at = $suspendedAt,
         activation_token = $activationToken, activation_expires_at = $activationExpiresAt,
         version = version + $step, updated_at = $now
       WHERE id = $id RETURNING ${columns}`,
      { ...next, id: row.id, step: isRenamed ? 1 : 0, now: kernel.clock() },
      transaction,
    )
    if (isNews) await tell(row, changed!, applied === null, transaction)
    return { row: changed!, drift: plan.drift, activation }
  }

  async function tell(before: ControllerRow, after: ControllerRow, isNew: boolean, transaction: Transaction) {
    const { workspaceId, id: controllerId } = after
    await kernel.events.emit({ type: 'controller.updated', workspaceId, controllerId }, transaction)
    await kernel.audit.record(
      {
        workspaceId,
        actorId: null,
        action: isNew ? 'controller.enrolled' : 'controller.declared',
        target: `controller:${controllerId}`,
        before: fieldsOf(before),
        after: { ...fieldsOf(after), macAddress: after.macAddress },
      },
      transaction,
    )
    kernel.notifyGateway({ type: 'controller_changed', controllerId }, transaction)
  }

  /** The token that waits for the device: the one that is known, a new one, or none. */
  function activate({ activation }: Input, row: ControllerRow) {
    const none = { hash: null, expiresAt: null, made: null }
    if (row.isActive || activation === null) return none
    const now = kernel.clock().getTime()
    const { activationToken: hash, activationExpiresAt: expiresAt } = row
    const isLasting = expiresAt !== null && expiresAt.getTime() - now > RENEW_DECLARED_TOKEN_MS
    if (hash !== null && hash === activation.tokenHash && isLasting) return { hash, expiresAt, made: null }
    const token = randomToken(32)
    const until = new Date(now + DECLARED_TOKEN_TTL_MS)
    const publicUrl = kernel.config.PUBLIC_URL
    return {
      hash: deps.secrets.tokenHash(token),
      expiresAt: until,
      made: {
        token,
        activateUrl: `${publicUrl}/activate#token=${token}`,
        tunnelUrl: `${publicUrl.replace(/^http/, 'ws')}/tunnel`,
        expiresAt: until.getTime(),
      },
    }
  }

  async function remember(input: Input, controllerId: string, applied: Declared, transaction: Transaction) {
    await rows(
      db,
      `INSERT INTO enrolments (namespace, name, controller_id, applied, created_at, updated_at)
       VALUES ($namespace, $name, $controllerId, $applied::jsonb, $now, $now)
       ON CONFLICT (namespace, name) DO UPDATE SET applied = excluded.applied, updated_at = excluded.updated_at
       WHERE enrolments.applied <> excluded.applied`,
      {
        namespace: input.namespace,
        name: input.name,
        controllerId,
        applied: JSON.stringify(applied),
        now: kernel.clock(),
      },
      transaction,
    )
  }

  /** Shares the controller with exactly these people; answers who of them has no account. */
  async function share(controllerId: string, emails: readonly string[], transaction: Transaction) {
    const people = await rows<{ id: string; email: string }>(
      db,
      'SELECT id, email FROM users WHERE email = ANY($emails::text[])',
      { emails },
      transaction,
    )
    const bind = { controllerId, userIds: people.map(({ id }) => id), now: kernel.clock() }
    const changed = await rows(
      db,
      `WITH gone AS (
         DELETE FROM controller_shares WHERE controller_id = $controllerId AND user_id <> ALL($userIds::uuid[])
         RETURNING user_id
       ), come AS (
         INSERT INTO controller_shares (controller_id, user_id, created_at)
         SELECT $controllerId, id, $now FROM unnest($userIds::uuid[]) AS u (id)
         ON CONFLICT DO NOTHING RETURNING user_id
       ) SELECT user_id FROM gone UNION ALL SELECT user_id FROM come`,
      bind,
      transaction,
    )
    if (changed.length > 0)
      kernel.notifyGateway({ type: 'access_changed', userId: null, controllerId }, transaction)
    return emails.filter((email) => !people.some((person) => person.email === email))
  }

  async function shardOf(controllerId: string, transaction: Transaction): Promise<string | null> {
    const session = await firstRow<{ shard: string }>(
      db,
      `SELECT shard FROM controller_sessions WHERE controller_id = $controllerId AND disconnected_at IS NULL
       ORDER BY epoch DESC LIMIT 1`,
      { controllerId },
      transaction,
    )
    return session?.shard ?? null
  }

  async function declareIn(input: Input, transaction: Transaction): Promise<Enrolled> {
    const target = (await known(input, transaction)) ?? (await enrol(input, transaction))
    const { row, drift, activation } = await write(input, target, transaction)
    const unknownPeople = await share(row.id, [...new Set(input.sharedWith)], transaction)
    const state = stateOf(row)
    return {
      outcome: 'enrolled',
      controllerId: row.id,
      state,
      url: `${kernel.config.PUBLIC_URL}/c/${row.id}/`,
      firmwareVersion: row.firmwareVersion,
      shard: state === 'online' ? await shardOf(row.id, transaction) : null,
      lastSeenAt: row.lastSeenAt?.getTime() ?? null,
      registered: row.isActive,
      activation: activation.made,
      drift: [...drift],
      unknownPeople,
    }
  }

  return {
    async declare(given) {
      const input = { ...given, tags: given.tags.map(parseTag) }
      try {
        return await db.transaction((transaction) => declareIn(input, transaction))
      } catch (error) {
        const refused = explain(error)
        if (refused === null) throw error
        return { outcome: 'refused', reason: refused.reason, detail: refused.message }
      }
    },

    withdraw: ({ namespace, name, delete: isUnwanted }) =>
      db.transaction(async (transaction) => {
        const gone = await firstRow<{ controllerId: string | null }>(
          db,
          `DELETE FROM enrolments WHERE namespace = $namespace AND name = $name
           RETURNING controller_id AS "controllerId"`,
          { namespace, name },
          transaction,
        )
        const controllerId = gone?.controllerId ?? null
        const row = controllerId && (await lockRow('id = $controllerId', { controllerId }, transaction))
        if (!row) return { controller: 'none' }
        if (!isUnwanted && row.isActive) return { controller: 'kept' }
        await deps.erase(null, row, transaction)
        return { controller: 'deleted' }
      }),
  }
}

function declaredOf(input: Input): Declared {
  return { name: input.displayName === null ? null : cleanText(input.displayName), tags: input.tags }
}

function fieldsOf({ name, tags, suspendedAt }: ControllerRow) {
  return { name, tags, suspended: suspendedAt !== null }
}

function stateOf(row: ControllerRow): Enrolled['state'] {
  if (row.suspendedAt !== null) return 'suspended'
  return row.isActive ? row.status : 'pending'
}

/** Tags as the portal takes them. */
function parseTag(tag: string): string {
  const parsed = Tag.safeParse(tag)
  if (parsed.success) return parsed.data
  throw appError('validation_failed', {
    detail: `"${tag}" is no tag: at most 40 letters, digits, dots, colons, dashes and underscores.`,
  })
}

function macTaken(): Refused {
  return new Refused(
    'mac_taken',
    'A controller with this MAC belongs to another workspace: its owner has to delete it there first.',
  )
}

function explain(error: unknown): Refused | null {
  if (error instanceof Refused) return error
  const reason = refusalOf(error)
  if (reason === 'mac_taken') return macTaken()
  if (reason === 'limit_reached')
    return new Refused(reason, "The owner's plan allows no more controllers: delete one or raise the plan.")
  return null
}
