/** Password hashing: bcrypt over a keyed pre-hash, off the event loop, with a bounded queue. */
import { createHmac } from 'node:crypto'
import { hash as bcryptHash, verify as bcryptVerify } from '@node-rs/bcrypt'
import { appError } from '@wmoc/platform/errors'

const COST = 12
/** At the same time; each takes a core. */
const CONCURRENCY = 2
/** Waiting beyond that; more are answered 503. */
const QUEUE = 48

/** A hash of cost 12 that nothing matches: an unknown e-mail costs as much as a wrong password. */
export const NOBODY = '$2b$12$y5njAKiwIatmXxqe5EcR8O12ITWqaeQ7zn2pAZDx7NQnFV2qcHDOa'

export interface Passwords {
  /** Rejects with `busy` when the queue is full. */
  hash(password: string): Promise<string>
  /** Always does the work of one hash, also without a hash to compare with. Rejects with `busy`. */
  verify(password: string, hash: string | null): Promise<boolean>
}

/** `pepper` is a secret outside the database: a dump alone can't be guessed at. */
export function createPasswords(pepper: string): Passwords {
  let running = 0
  const waiting: (() => void)[] = []

  async function limited<T>(task: () => Promise<T>): Promise<T> {
    if (running >= CONCURRENCY) {
      if (waiting.length >= QUEUE) throw appError('busy', { retryAfterMs: 2_000 })
      await new Promise<void>((resolve) => waiting.push(resolve))
    } else running += 1
    try {
      return await task()
    } finally {
      // The place is handed on; it becomes free only when nobody waits.
      const next = waiting.shift()
      if (next) next()
      else running -= 1
    }
  }

  return {
    hash: (password) => limited(() => bcryptHash(prehash(password, pepper), { cost: COST })),
    verify: (password, hash) =>
      limited(async () => {
        const matches = await bcryptVerify(prehash(password, pepper), hash ?? NOBODY)
        return matches && hash !== null
      }),
  }
}

/**
 * 64 base64 characters whatever the length: bcrypt reads 72 bytes, which is 36 Cyrillic letters. NFC: one password typed
 * on two systems is one password.
 */
function prehash(password: string, pepper: string): string {
  return createHmac('sha384', pepper).update(password.normalize('NFC')).digest('base64')
}
