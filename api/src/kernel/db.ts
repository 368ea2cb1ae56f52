/** The database: one pool for the primary, one over the read replicas, and the rule of who may read where. */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { Logger } from '@wmoc/platform/log'
import type { Tracing } from '@wmoc/platform/tracing'
import pg from 'pg'
import { Sequelize } from 'sequelize'
import sequelizeLogger from 'sequelize/lib/utils/logger'

/** Longest statement of a request; migrations have no limit. */
export const STATEMENT_TIMEOUT_MS = 5_000
/** A transaction that idles longer is ended: it would hold back vacuum and the delivery of events. */
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 10_000
const ACQUIRE_TIMEOUT_MS = 5_000

interface ReadScope {
  replica: boolean
  wrote: boolean
}
const scopes = new AsyncLocalStorage<ReadScope>()

export interface DatabaseOptions {
  readonly url: string
  readonly replicaUrls?: readonly string[]
  readonly poolMax: number
  readonly log: Logger
  readonly applicationName?: string
  /** 0: no limit, for migrations. */
  readonly statementTimeoutMs?: number
  readonly tracing?: Tracing | null
}

/**
 * Opens the pools (connections are made on demand). Outside `withReplicaReads` every statement goes to the primary;
 * inside, plain reads go to a replica until the first write of the scope.
 */
export function createDatabase(options: DatabaseOptions): Sequelize {
  const replicas = options.replicaUrls ?? []
  // Sequelize would warn on the console; its lines belong with ours.
  Reflect.set(sequelizeLogger.logger, 'warn', (message: string) => options.log.warn('db', message))
  const limitMs = options.statementTimeoutMs ?? STATEMENT_TIMEOUT_MS
  const db = new Sequelize({
    dialect: 'postgres',
    dialectModule: Object.create(pg, {
      Client: { value: options.tracing ? tracedClient(options.tracing) : ListenedClient },
    }) as object,
    timezone: '+00:00',
    define: { underscored: true, timestamps: false },
    ...(replicas.length > 0
      ? { replication: { write: connection(options.url), read: replicas.map(connection) } }
      : connection(options.url)),
    dialectOptions: {
      application_name: options.applicationName ?? 'wmoc-api',
      keepAlive: true,
      connectionTimeoutMillis: ACQUIRE_TIMEOUT_MS,
      statement_timeout: limitMs,
      idle_in_transaction_session_timeout: limitMs === 0 ? 0 : IDLE_IN_TRANSACTION_TIMEOUT_MS,
      ...tls(options.url),
    },
    pool: { max: options.poolMax, min: 0, acquire: ACQUIRE_TIMEOUT_MS, idle: 10_000 },
    retry: { max: 0 },
    logging: false,
  })
  if (replicas.length > 0) routeReads(db, options.log)
  return db
}

/**
 * Sequelize listens for errors of a connection a moment after it is open; one that the server ends in that moment would
 * end the process. The statement that Sequelize opens with fails then, and the caller hears of it.
 */
class ListenedClient extends pg.Client {
  constructor(config?: string | pg.ClientConfig) {
    super(config)
    this.on('error', () => {})
  }
}

type Callback = (error: unknown, result: unknown) => void

/**
 * A client that shows each statement in the trace of the request or job that it is for; those for nobody in particular
 * are not shown. Never the statement itself: values may stand in it.
 */
function tracedClient(tracing: Tracing): typeof ListenedClient {
  return class extends ListenedClient {
    override query(...args: unknown[]): never {
      const ask = super.query.bind(this) as (...given: unknown[]) => unknown
      const operation = operationOf(args[0])
      const attributes = { 'db.system.name': 'postgresql', 'db.operation.name': operation }
      const span = tracing.startInside(operation, { kind: 'client', attributes })
      if (span === null) return ask(...args) as never
      const done = args.at(-1)
      if (typeof done !== 'function') {
        const result = ask(...args)
        Promise.resolve(result).then(
          () => span.end(),
          (error: unknown) => span.end(codeOf(error)),
        )
        return result as never
      }
      const told: Callback = (error, result) => {
        span.end(error ? codeOf(error) : undefined)
        ;(done as Callback)(error, result)
      }
      return ask(...args.slice(0, -1), told) as never
    }
  }
}

function operationOf(statement: unknown): string {
  const text = typeof statement === 'string' ? statement : String((statement as { text?: string }).text)
  return /^\s*([a-z]+)/i.exec(text)?.[1]?.toUpperCase() ?? 'STATEMENT'
}

/** SQLSTATE, or the code of a connection that failed. */
function codeOf(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown }
  return typeof code === 'string' ? code : 'failed'
}

/** Runs a request whose plain reads may be served by a replica. Answers whether it wrote. */
export async function withReplicaReads<T>(
  allowed: boolean,
  task: () => Promise<T>,
): Promise<{ value: T; wrote: boolean }> {
  const scope = { replica: allowed, wrote: false }
  const value = await scopes.run(scope, task)
  return { value, wrote: scope.wrote }
}

/**
 * Sequelize asks here for a connection before every statement, models and raw SQL alike. A replica that can't be reached
 * is replaced by the primary.
 */
function routeReads(db: Sequelize, log: Logger): void {
  const manager = Reflect.get(db, 'connectionManager') as {
    getConnection(options?: { type?: string; useMaster?: boolean }): Promise<unknown>
  }
  const getConnection = manager.getConnection.bind(manager)
  manager.getConnection = async (options = {}) => {
    const scope = scopes.getStore()
    if (scope && options.type !== 'SELECT') scope.wrote = true
    const replica = scope?.replica === true && !scope.wrote && options.useMaster !== true
    if (!replica) return getConnection({ ...options, useMaster: true })
    try {
      return await getConnection({ ...options, useMaster: false })
    } catch (error) {
      log.warn('db', 'a read replica is away, the primary answers', { error })
      return getConnection({ ...options, useMaster: true })
    }
  }
}

function connection(text: string): {
  host: string
  port: number
  database: string
  username: string
  password: string
} {
  const url = new URL(text)
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: Number(url.port || 5432),
    database: decodeURIComponent(url.pathname.slice(1)),
    username: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
  }
}

/** `sslmode` as libpq names it; `require` encrypts without looking at the certificate. */
function tls(text: string): { ssl?: { rejectUnauthorized: boolean } } {
  const mode = new URL(text).searchParams.get('sslmode')
  if (mode === 'require') return { ssl: { rejectUnauthorized: false } }
  return mode === 'verify-ca' || mode === 'verify-full' ? { ssl: { rejectUnauthorized: true } } : {}
}
