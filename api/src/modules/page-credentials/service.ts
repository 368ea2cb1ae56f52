/** Sign-ins to devices' own pages, kept for the one person who gave them, sealed under SECRETS_KEY. */
import { appError } from '@wmoc/platform/errors'
import type { SecretBox } from '@wmoc/platform/secret-box'
import { PageCredential, pageCredentialKey } from '@wmoc/protocol/control-plane'
import type { ControlPlaneInput, ControlPlaneOutput } from '@wmoc/protocol/control-plane'
import type { Transaction } from 'sequelize'
import type { AccessChecker, Kernel } from '#src/kernel/module.ts'
import { firstRow, rows } from '#src/kernel/rows.ts'
import type { RememberedSignIn } from './contract.ts'

export interface PageCredentials {
  /** Without the password. */
  show(userId: string, controllerId: string): Promise<RememberedSignIn | null>
  /** Also what gateways hold of it for a session. `dependency_unavailable` when they can't be reached: nothing is forgotten. */
  forget(actor: { userId: string; remoteAddress: string }, controllerId: string): Promise<void>
  /** These three as `CONTROL_PLANE` says. */
  get(owner: Owner): Promise<ControlPlaneOutput<'page-credentials/get'>>
  put(input: ControlPlaneInput<'page-credentials/put'>): Promise<ControlPlaneOutput<'page-credentials/put'>>
  refused(
    input: ControlPlaneInput<'page-credentials/forget'>,
  ): Promise<ControlPlaneOutput<'page-credentials/forget'>>
}

interface Owner {
  readonly userId: string
  readonly controllerId: string
}

interface Kept {
  readonly credential: PageCredential
  readonly savedAt: Date
}

/** Credentials in the database. What removes a person's access removes their rows there, by triggers. */
export function createPageCredentials(
  kernel: Pick<Kernel, 'db' | 'clock' | 'audit' | 'store' | 'notifyGateway' | 'log'>,
  { secrets, access }: { secrets: SecretBox; access: AccessChecker },
): PageCredentials {
  const { db, clock, log } = kernel
  const contextOf = ({ userId, controllerId }: Owner) => `page credential ${userId} ${controllerId}`

  async function read(owner: Owner): Promise<Kept | null> {
    const row = await firstRow<{ sealed: string; savedAt: Date }>(
      db,
      `SELECT sealed, saved_at AS "savedAt" FROM page_credentials
       WHERE user_id = $userId AND controller_id = $controllerId`,
      bind(owner),
    )
    if (row === null) return null
    const credential = open(row.sealed, owner)
    if (credential === null) return null
    if (!secrets.isPresent(row.sealed)) await sealAnew(owner, row.sealed, credential)
    return { credential, savedAt: row.savedAt }
  }

  /** Null for what was sealed under a key that is gone: the device asks again. */
  function open(sealed: string, owner: Owner): PageCredential | null {
    try {
      return PageCredential.parse(JSON.parse(secrets.open(sealed, contextOf(owner))))
    } catch {
      log.warn('security', 'a remembered sign-in cannot be opened with the present keys', bind(owner))
      return null
    }
  }

  /** After SECRETS_KEY was changed; a newer one that was put meanwhile stays. */
  function sealAnew(owner: Owner, before: string, credential: PageCredential): Promise<unknown> {
    return db.transaction((transaction) =>
      rows(
        db,
        `UPDATE page_credentials SET sealed = $sealed
         WHERE user_id = $userId AND controller_id = $controllerId AND sealed = $before`,
        { ...bind(owner), before, sealed: secrets.seal(JSON.stringify(credential), contextOf(owner)) },
        transaction,
      ),
    )
  }

  async function record(
    owner: Owner,
    action: string,
    remoteAddress: string | null,
    transaction: Transaction,
  ): Promise<void> {
    const place = await firstRow<{ workspaceId: string }>(
      db,
      'SELECT workspace_id AS "workspaceId" FROM controllers WHERE id = $controllerId',
      { controllerId: owner.controllerId },
      transaction,
    )
    await kernel.audit.record(
      {
        workspaceId: place?.workspaceId ?? null,
        actorId: owner.userId,
        action,
        target: `controller:${owner.controllerId}`,
        remoteAddress,
      },
      transaction,
    )
  }

  /** Whether there was one. */
  async function remove(
    owner: Owner,
    savedAt: Date | null,
    remoteAddress: string | null,
    action: string,
    transaction: Transaction,
  ): Promise<boolean> {
    const gone = await rows(
      db,
      `DELETE FROM page_credentials WHERE user_id = $userId AND controller_id = $controllerId
         AND ($savedAt::timestamptz IS NULL OR saved_at <= $savedAt) RETURNING user_id`,
      { ...bind(owner), savedAt },
      transaction,
    )
    if (gone.length > 0) await record(owner, action, remoteAddress, transaction)
    return gone.length > 0
  }

  return {
    async show(userId, controllerId) {
      const kept = await read({ userId, controllerId })
      if (kept === null) return null
      const { scheme, realm, username } = kept.credential
      return { scheme, realm, username, savedAt: kept.savedAt.toISOString() }
    },

    async forget({ userId, remoteAddress }, controllerId) {
      const owner = { userId, controllerId }
      try {
        await kernel.store.delete(pageCredentialKey(controllerId, userId))
      } catch (cause) {
        throw appError('dependency_unavailable', {
          detail: 'The sign-in of this session cannot be reached now: try again.',
          retryAfterMs: 2_000,
          cause,
        })
      }
      await db.transaction(async (transaction) => {
        await remove(owner, null, remoteAddress, 'page_credentials.forgotten', transaction)
        kernel.notifyGateway({ type: 'page_credentials_changed', ...owner }, transaction)
      })
    },

    async get(owner) {
      if ((await access.roleOnController(owner.userId, owner.controllerId)) === null)
        return { remembered: null }
      const kept = await read(owner)
      if (kept === null) return { remembered: null }
      return { remembered: { credential: kept.credential, savedAt: kept.savedAt.getTime() } }
    },

    async put({ credential, ...owner }) {
      if ((await access.roleOnController(owner.userId, owner.controllerId)) === null) return { kept: false }
      await db.transaction(async (transaction) => {
        await rows(
          db,
          `INSERT INTO page_credentials (user_id, controller_id, sealed, saved_at)
           VALUES ($userId, $controllerId, $sealed, $now)
           ON CONFLICT (user_id, controller_id) DO UPDATE SET sealed = EXCLUDED.sealed, saved_at = EXCLUDED.saved_at`,
          {
            ...bind(owner),
            sealed: secrets.seal(JSON.stringify(credential), contextOf(owner)),
            now: clock(),
          },
          transaction,
        )
        await record(owner, 'page_credentials.remembered', null, transaction)
        kernel.notifyGateway({ type: 'page_credentials_changed', ...owner }, transaction)
      })
      return { kept: true }
    },

    refused: ({ savedAt, ...owner }) =>
      db.transaction(async (transaction) => {
        const action = 'page_credentials.refused_by_device'
        const forgotten = await remove(owner, new Date(savedAt), null, action, transaction)
        if (forgotten) kernel.notifyGateway({ type: 'page_credentials_changed', ...owner }, transaction)
        return { forgotten }
      }),
  }
}

function bind({ userId, controllerId }: Owner): { userId: string; controllerId: string } {
  return { userId, controllerId }
}
