import type { Transaction } from 'sequelize'
import type { Locale } from '#src/kernel/schemas.ts'
import type { CHANNELS } from './contract.ts'

/** Somebody who is told. */
export interface Person {
  readonly userId: string
  readonly email: string
  readonly emailVerified: boolean
  readonly locale: Locale
}

/**
 * A way to reach people outside the portal. `send` hands the message over in the transaction that notes it as sent, so
 * that it goes exactly once; whoever has to call a foreign server does so from a job of its own, written there.
 */
export interface Channel {
  readonly name: (typeof CHANNELS)[number]
  canReach(person: Person): boolean
  send(person: Person, text: { title: string; message: string }, transaction: Transaction): Promise<void>
}
