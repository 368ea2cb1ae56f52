/** The keys of access tokens: Ed25519, three at a time, the private parts sealed. */
import { randomToken } from '@wmoc/platform/ids'
import type { SecretBox } from '@wmoc/platform/secret-box'
import { exportJWK, generateKeyPair, importJWK } from 'jose'
import type { CryptoKey, JSONWebKeySet, JWK } from 'jose'
import type { Sequelize, Transaction } from 'sequelize'
import { rows } from '#src/kernel/rows.ts'

const ROTATE_AFTER_MS = 30 * 24 * 60 * 60 * 1_000
const RELOAD_AFTER_MS = 60_000
/** An unknown `kid` makes us look again, but not more often than this. */
const RELOAD_AT_MOST_MS = 5_000

export interface SigningKeys {
  current(): Promise<{ kid: string; key: CryptoKey }>
  /** The public key of one of ours, or null. */
  find(kid: string): Promise<CryptoKey | null>
  /** Public keys: next (known before it signs), current, previous (until its tokens have run out). */
  jwks(): Promise<JSONWebKeySet>
  /** Makes the missing keys; any number of processes at once. */
  ensure(): Promise<void>
  /** next → current → previous, when the current one is 30 days old; `force`: now. */
  rotate(force?: boolean): Promise<boolean>
}

interface KeyRow {
  readonly kid: string
  readonly state: 'next' | 'current' | 'previous'
  readonly publicJwk: JWK
  readonly privateSealed: string
  readonly activatedAt: Date | null
}

interface Loaded {
  readonly at: number
  readonly rows: readonly KeyRow[]
  readonly publicKeys: ReadonlyMap<string, CryptoKey>
  readonly signing: { kid: string; key: CryptoKey } | null
}

/** Reads the set again each minute, so that all instances follow a rotation. */
export function createSigningKeys(db: Sequelize, secrets: SecretBox, clock: () => Date): SigningKeys {
  let loaded: Promise<Loaded> | null = null
  let loadedAt = 0

  function load(maxAgeMs: number): Promise<Loaded> {
    const now = performance.now()
    if (loaded === null || now - loadedAt > maxAgeMs) {
      loadedAt = now
      loaded = read().catch((error: unknown) => {
        loaded = null
        throw error
      })
    }
    return loaded
  }

  async function read(): Promise<Loaded> {
    const found = await readRows(db)
    const current = found.find(({ state }) => state === 'current')
    return {
      at: clock().getTime(),
      rows: found,
      publicKeys: new Map(
        await Promise.all(found.map(async (row) => [row.kid, await toKey(row.publicJwk)] as const)),
      ),
      signing: current
        ? {
            kid: current.kid,
            key: await toKey(JSON.parse(secrets.open(current.privateSealed, current.kid)) as JWK),
          }
        : null,
    }
  }

  async function insert(state: 'next' | 'current', transaction: Transaction): Promise<void> {
    const { publicKey, privateKey } = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true })
    const kid = randomToken(12)
    await rows(
      db,
      `INSERT INTO signing_keys (kid, state, public_jwk, private_sealed, created_at, activated_at)
       VALUES ($kid, $state, $publicJwk::jsonb, $privateSealed, $now, $activatedAt)`,
      {
        kid,
        state,
        publicJwk: JSON.stringify(await exportJWK(publicKey)),
        privateSealed: secrets.seal(JSON.stringify(await exportJWK(privateKey)), kid),
        now: clock(),
        activatedAt: state === 'current' ? clock() : null,
      },
      transaction,
    )
  }

  async function alone<T>(task: (transaction: Transaction) => Promise<T>): Promise<T> {
    const result = await db.transaction(async (transaction) => {
      await db.query('LOCK TABLE signing_keys IN SHARE ROW EXCLUSIVE MODE', { transaction })
      return task(transaction)
    })
    loaded = null
    return result
  }

  return {
    async current() {
      const { signing } = await load(RELOAD_AFTER_MS)
      if (!signing) throw new Error('there is no signing key')
      return signing
    },
    async find(kid) {
      const known = (await load(RELOAD_AFTER_MS)).publicKeys.get(kid)
      return known ?? (await load(RELOAD_AT_MOST_MS)).publicKeys.get(kid) ?? null
    },
    async jwks() {
      const { rows: found } = await load(RELOAD_AFTER_MS)
      return { keys: found.map(({ kid, publicJwk }) => ({ ...publicJwk, kid, alg: 'EdDSA', use: 'sig' })) }
    },
    async ensure() {
      const states = new Set((await readRows(db)).map(({ state }) => state))
      if (states.has('current') && states.has('next')) return
      await alone(async (transaction) => {
        const present = new Set((await readRows(db, transaction)).map(({ state }) => state))
        if (!present.has('current')) await insert('current', transaction)
        if (!present.has('next')) await insert('next', transaction)
      })
    },
    rotate: (force = false) =>
      alone(async (transaction) => {
        const current = (await readRows(db, transaction)).find(({ state }) => state === 'current')
        const age = clock().getTime() - (current?.activatedAt?.getTime() ?? 0)
        if (!force && age < ROTATE_AFTER_MS) return false
        await rows(db, `DELETE FROM signing_keys WHERE state = 'previous'`, {}, transaction)
        await rows(
          db,
          `UPDATE signing_keys SET state = 'previous', retired_at = $now WHERE state = 'current'`,
          { now: clock() },
          transaction,
        )
        await rows(
          db,
          `UPDATE signing_keys SET state = 'current', activated_at = $now WHERE state = 'next'`,
          { now: clock() },
          transaction,
        )
        await insert('next', transaction)
        return true
      }),
  }
}

function readRows(db: Sequelize, transaction?: Transaction): Promise<KeyRow[]> {
  return rows<KeyRow>(
    db,
    `SELECT kid, state, public_jwk AS "publicJwk", private_sealed AS "privateSealed", activated_at AS "activatedAt"
     FROM signing_keys ORDER BY created_at`,
    {},
    transaction,
  )
}

async function toKey(jwk: JWK): Promise<CryptoKey> {
  const key = await importJWK(jwk, 'EdDSA')
  if (key instanceof Uint8Array) throw new Error('a signing key is not an asymmetric key')
  return key
}
