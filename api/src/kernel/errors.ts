/** What database errors mean to a caller. */
import { AppError, appError } from '@wmoc/platform/errors'
import { ConnectionAcquireTimeoutError, ConnectionError, DatabaseError, TimeoutError } from 'sequelize'

/**
 * Classes 08 (connection), 53 (resources), 57P (operator intervention), and 25006: a write met a server that has become
 * a standby.
 */
const AWAY = /^(08|53|57P|25006)/
const STATEMENT_TIMEOUT = '57014'
/** Serialization failure, deadlock. */
const TRY_AGAIN = ['40001', '40P01']

/** An expected error for what the database did, or the error as it was: a bug. */
export function explainError(error: unknown): unknown {
  if (error instanceof AppError) return error
  const isAway =
    error instanceof ConnectionError ||
    error instanceof ConnectionAcquireTimeoutError ||
    AWAY.test(sqlState(error))
  if (isAway || isSocketError(error)) {
    return appError('dependency_unavailable', { retryAfterMs: 5_000, cause: error })
  }
  if (sqlState(error) === STATEMENT_TIMEOUT || error instanceof TimeoutError) {
    return appError('busy', {
      detail: 'This took too long; ask for less.',
      retryAfterMs: 5_000,
      cause: error,
    })
  }
  if (TRY_AGAIN.includes(sqlState(error))) return appError('busy', { retryAfterMs: 1_000, cause: error })
  return error
}

/** The SQLSTATE behind an error of Sequelize or pg; empty where there is none. */
export function sqlState(error: unknown): string {
  const cause = error instanceof DatabaseError ? error.original : error
  const code = cause instanceof Error && 'code' in cause ? cause.code : ''
  return typeof code === 'string' ? code : ''
}

function isSocketError(error: unknown): boolean {
  const cause = error instanceof DatabaseError ? error.original : error
  if (!(cause instanceof Error)) return false
  return (
    ['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT'].includes(sqlState(cause)) ||
    /^(Connection terminated|Client has encountered a connection error)/.test(cause.message)
  )
}
