/** Links that open one controller's page without an account. The token is known to who made it and to who was given it. */
import { appError } from '@wmoc/platform/errors'
import { randomToken, sha256Hex, uuidv7 } from '@wmoc/platform/ids'
import type { PageLink, PageScope } from '@wmoc/protocol/control-plane'
import type { Transaction } from 'sequelize'
import type { Kernel } from '#src/kernel/module.ts'
import { firstRow, rows } from '#src/kernel/rows.ts'
import type { NewLink, SharedLink } from './contract.ts'

/** Links of one controller at a time. */
export const MAX_LINKS = 50
/** 256 bits. */
const TOKEN_BYTES = 32

interface LinkRow {
  readonly id: string
  readonly scope: PageScope
  readonly createdBy: string | null
  readonly createdByEmail: string | null
  readonly createdAt: Date
  readonly expiresAt: Date
}

/** What a guest is told. */
interface GuestView {
  readonly name: string
  readonly scope: PageScope
  readonly expiresAt: string
  readonly online: boolean
  readonly lastSeenAt: string | null
}

export interface PageLinks {
  /** Newest first. */
  list(controllerId: string): Promise<SharedLink[]>
  /** The link and its token, told this once. `conflict` at the limit; the controller's row is locked by the caller. */
  create(
    controllerId: string,
    userId: string,
    wanted: NewLink,
    transaction: Transaction,
  ): Promise<{ link: SharedLink; token: string }>
  /** `not_found` where this controller has no such link. */
  remove(controllerId: string, linkId: string, transaction: Transaction): Promise<void>
  /** `not_found` for every token that is not good for this controller now. */
  resolve(controllerId: string, token: string): Promise<GuestView>
  /** As `CONTROL_PLANE` says. */
  check(controllerId: string, tokenHash: string): Promise<PageLink | null>
  /** One answer per id, in order. */
  alive(linkIds: readonly string[]): Promise<boolean[]>
  /** Removes what has run out; answers how many. */
  purge(): Promise<number>
}

const COLUMNS = `l.id, l.scope, u.id AS "createdBy", u.email AS "createdByEmail", l.created_at AS "createdAt",
  l.expires_at AS "expiresAt"`
/** Good now: also the access of its time still stands. */
const GOOD = `page_links l JOIN controllers c ON c.id = l.controller_id AND c.access_epoch = l.access_epoch
    AND c.is_active AND c.deleted_at IS NULL
  LEFT JOIN users u ON u.id = l.created_by WHERE l.expires_at > $now`

/** Links in the database. */
export function createPageLinks({ db, clock, notifyGateway }: Kernel): PageLinks {
  return {
    async list(controllerId) {
      const found = await rows<LinkRow>(
        db,
        `SELECT ${COLUMNS} FROM ${GOOD} AND l.controller_id = $controllerId ORDER BY l.created_at DESC, l.id DESC`,
        { controllerId, now: clock() },
      )
      return found.map(present)
    },

    async create(controllerId, userId, { scope, ttlSec }, transaction) {
      const token = randomToken(TOKEN_BYTES)
      const now = clock()
      const id = uuidv7()
      const made = await rows(
        db,
        `INSERT INTO page_links (id, controller_id, token_hash, scope, access_epoch, created_by, created_at, expires_at)
         SELECT $id, c.id, $tokenHash, $scope, c.access_epoch, $userId, $now, $expiresAt FROM controllers c
         WHERE c.id = $controllerId AND c.is_active
           AND (SELECT count(*) FROM page_links WHERE controller_id = $controllerId AND expires_at > $now) < $max
         RETURNING id`,
        {
          id,
          controllerId,
          tokenHash: sha256Hex(token),
          scope,
          userId,
          now,
          expiresAt: new Date(now.getTime() + ttlSec * 1_000),
          max: MAX_LINKS,
        },
        transaction,
      )
      if (made.length === 0)
        throw appError('conflict', {
          detail: `A controller has at most ${MAX_LINKS} links, and none before a device has become it.`,
        })
      const row = await firstRow<LinkRow>(
        db,
        `SELECT ${COLUMNS} FROM ${GOOD} AND l.id = $id`,
        { id, now },
        transaction,
      )
      return { link: present(row!), token }
    },

    async remove(controllerId, linkId, transaction) {
      const gone = await firstRow(
        db,
        'DELETE FROM page_links WHERE id = $linkId AND controller_id = $controllerId RETURNING id',
        { linkId, controllerId },
        transaction,
      )
      if (gone === null) throw appError('not_found')
      notifyGateway({ type: 'page_link_ended', linkIds: [linkId] }, transaction)
    },

    async resolve(controllerId, token) {
      const row = await firstRow<LinkRow & { name: string; status: string; lastSeenAt: Date | null }>(
        db,
        `SELECT ${COLUMNS}, c.name, c.status, c.last_seen_at AS "lastSeenAt" FROM ${GOOD}
         AND l.controller_id = $controllerId AND l.token_hash = $tokenHash AND c.suspended_at IS NULL`,
        { controllerId, tokenHash: sha256Hex(token), now: clock() },
      )
      if (row === null) throw appError('not_found')
      return {
        name: row.name,
        scope: row.scope,
        expiresAt: row.expiresAt.toISOString(),
        online: row.status === 'online',
        lastSeenAt: row.lastSeenAt?.toISOString() ?? null,
      }
    },

    async check(controllerId, tokenHash) {
      const row = await firstRow<LinkRow & { accessEpoch: number }>(
        db,
        `SELECT ${COLUMNS}, l.access_epoch AS "accessEpoch" FROM ${GOOD}
         AND l.controller_id = $controllerId AND l.token_hash = $tokenHash`,
        { controllerId, tokenHash, now: clock() },
      )
      if (row === null) return null
      const { id, scope, accessEpoch } = row
      return { id, controllerId, scope, accessEpoch, expiresAt: row.expiresAt.getTime() }
    },

    async alive(linkIds) {
      const found = await rows<{ id: string }>(
        db,
        `SELECT l.id FROM ${GOOD} AND l.id = ANY($linkIds::uuid[])`,
        { linkIds, now: clock() },
      )
      const alive = new Set(found.map(({ id }) => id))
      return linkIds.map((id) => alive.has(id))
    },

    purge: () =>
      db.transaction(async (transaction) => {
        const gone = await rows(
          db,
          'DELETE FROM page_links WHERE expires_at <= $now RETURNING id',
          { now: clock() },
          transaction,
        )
        return gone.length
      }),
  }
}

function present({ id, scope, createdBy, createdByEmail, createdAt, expiresAt }: LinkRow): SharedLink {
  return {
    id,
    scope,
    createdBy:
      createdBy === null || createdByEmail === null ? null : { id: createdBy, email: createdByEmail },
    createdAt: createdAt.toISOString(),
    expiresAt: expiresAt.toISOString(),
  }
}
