import type { Transaction } from 'sequelize'

/** Runs the task once the transaction has committed, or now without one. The task must not throw. */
export function afterCommit(transaction: Transaction | undefined, task: () => void): void {
  if (transaction) transaction.afterCommit(task)
  else task()
}
