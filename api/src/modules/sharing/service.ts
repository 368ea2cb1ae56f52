/** Sharing a controller: with people who have an account, or will, and with guests by a link. */
import { appError } from '@wmoc/platform/errors'
import { sha256Hex } from '@wmoc/platform/ids'
import type { Transaction } from 'sequelize'
import type { AccessChecker, Kernel } from '#src/kernel/module.ts'
import { requirePermission } from '#src/kernel/permissions.ts'
import type { RateLimiter } from '#src/kernel/rate-limit.ts'
import { firstRow } from '#src/kernel/rows.ts'
import type { Locale } from '#src/kernel/schemas.ts'
import type { ShareRow, Shares } from '#src/modules/controllers/module.ts'
import type { Mailer } from '#src/providers/mail/mailer.ts'
import type { NewLink, Share, SharedLink } from './contract.ts'
import type { PageLinks } from './links.ts'
import { invitationMail } from './mails.ts'

/** Who acts, for the audit log. */
export interface Actor {
  readonly userId: string
  readonly remoteAddress: string
}

/** Everywhere: `not_found` when the person can't see the controller or it has no such row, `forbidden` by the role. */
export interface SharingService {
  listShares(userId: string, controllerId: string): Promise<Share[]>
  /** The same for who has an account and who has none. A repeat answers what is there, and mails nobody. */
  share(actor: Actor, controllerId: string, email: string): Promise<Share>
  unshare(actor: Actor, controllerId: string, shareId: string): Promise<void>
  listLinks(userId: string, controllerId: string): Promise<SharedLink[]>
  createLink(actor: Actor, controllerId: string, wanted: NewLink): Promise<{ link: SharedLink; url: string }>
  removeLink(actor: Actor, controllerId: string, linkId: string): Promise<void>
}

const HOUR_MS = 3_600_000
const MAILS_OF_ONE = { burst: 100, count: 100, periodMs: HOUR_MS }
const MAILS_TO_ONE = { burst: 5, count: 10, periodMs: 24 * HOUR_MS }

interface Locked {
  readonly workspaceId: string
  readonly name: string
}

interface Target {
  readonly actor: Actor
  readonly controllerId: string
}

/** Use cases over the two tables. */
export function createSharingService(deps: {
  kernel: Kernel
  access: AccessChecker
  shares: Shares
  links: PageLinks
  mailer: Mailer
  limiter: RateLimiter
}): SharingService {
  const { kernel, access, shares, links } = deps
  const { db } = kernel

  async function requireAllowed(userId: string, controllerId: string): Promise<void> {
    requirePermission(await access.roleOnController(userId, controllerId), 'controllers.write')
  }

  /** Does it with the controller's row locked, so that limits are exact. */
  async function change<T>(
    { actor, controllerId }: Target,
    task: (controller: Locked, transaction: Transaction) => Promise<T>,
  ): Promise<T> {
    await requireAllowed(actor.userId, controllerId)
    return db.transaction(async (transaction) => {
      const controller = await firstRow<Locked>(
        db,
        `SELECT workspace_id AS "workspaceId", name FROM controllers
         WHERE id = $controllerId AND deleted_at IS NULL FOR NO KEY UPDATE`,
        { controllerId },
        transaction,
      )
      if (controller === null) throw appError('not_found')
      return task(controller, transaction)
    })
  }

  function record(
    { actor, controllerId }: Target,
    { workspaceId }: Locked,
    action: string,
    after: object,
    transaction: Transaction,
  ): Promise<void> {
    return kernel.audit.record(
      {
        workspaceId,
        actorId: actor.userId,
        action,
        target: `controller:${controllerId}`,
        after,
        remoteAddress: actor.remoteAddress,
      },
      transaction,
    )
  }

  /** In the language of who gets it where that is known, else of who shares. */
  async function invite(
    { actor, controllerId }: Target,
    { name }: Locked,
    email: string,
    transaction: Transaction,
  ): Promise<void> {
    const people = await firstRow<{ from: string; locale: Locale }>(
      db,
      `SELECT me.email AS "from", coalesce(they.locale, me.locale) AS locale
       FROM users me LEFT JOIN users they ON they.email = $email WHERE me.id = $userId`,
      { email, userId: actor.userId },
      transaction,
    )
    const link = `${kernel.config.PUBLIC_URL}/controllers/${controllerId}`
    const text = invitationMail(people!.locale, { from: people!.from, controller: name, link })
    await deps.mailer.send({ to: email, ...text }, transaction)
  }

  /** Shared and ended again and again, a controller must not fill anybody's mailbox. */
  async function takesMail({ userId }: Actor, email: string): Promise<boolean> {
    const ofSender = await deps.limiter.take(`share-mails-of:${userId}`, MAILS_OF_ONE)
    const ofRecipient = await deps.limiter.take(`share-mails-to:${sha256Hex(email)}`, MAILS_TO_ONE)
    return ofSender.allowed && ofRecipient.allowed
  }

  return {
    async listShares(userId, controllerId) {
      await requireAllowed(userId, controllerId)
      return (await shares.list(controllerId)).map(presentShare)
    },

    async share(actor, controllerId, email) {
      const target = { actor, controllerId }
      const mayMail = await takesMail(actor, email)
      return change(target, async (controller, transaction) => {
        const { share, isNew } = await shares.add(controllerId, email, transaction)
        if (isNew) {
          await record(target, controller, 'controller.shared', { email }, transaction)
          if (mayMail) await invite(target, controller, email, transaction)
        }
        return presentShare(share)
      })
    },

    unshare(actor, controllerId, shareId) {
      const target = { actor, controllerId }
      return change(target, async (controller, transaction) => {
        const { email } = await shares.remove(controllerId, shareId, transaction)
        await record(target, controller, 'controller.unshared', { email }, transaction)
      })
    },

    async listLinks(userId, controllerId) {
      await requireAllowed(userId, controllerId)
      return links.list(controllerId)
    },

    createLink(actor, controllerId, wanted) {
      const target = { actor, controllerId }
      return change(target, async (controller, transaction) => {
        const { link, token } = await links.create(controllerId, actor.userId, wanted, transaction)
        const { id, scope, expiresAt } = link
        const after = { link: id, scope, expiresAt }
        await record(target, controller, 'controller.link_created', after, transaction)
        // In the fragment: no server and no log ever sees it.
        return { link, url: `${kernel.config.PUBLIC_URL}/shared/${controllerId}#${token}` }
      })
    },

    removeLink(actor, controllerId, linkId) {
      const target = { actor, controllerId }
      return change(target, async (controller, transaction) => {
        await links.remove(controllerId, linkId, transaction)
        await record(target, controller, 'controller.link_withdrawn', { link: linkId }, transaction)
      })
    },
  }
}

function presentShare({ id, email, createdAt }: ShareRow): Share {
  return { id, email, createdAt: createdAt.toISOString() }
}
