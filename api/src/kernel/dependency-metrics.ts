/** What metrics say of the database and the store as this process sees them. */
import type { Metrics } from '@wmoc/platform/metrics'
import { readOnScrape } from '@wmoc/platform/scrape'
import type { Store } from '@wmoc/platform/store'
import type { Sequelize } from 'sequelize'
import { withReplicaReads } from './db.ts'
import { firstRow } from './rows.ts'

const EVERY_MS = 5_000
const PING_TIMEOUT_MS = 1_500

interface Watched {
  readonly metrics: Metrics
  readonly db: Sequelize
  readonly store: Store
  readonly hasReplicas: boolean
}

/** Ties the gauges to what they read; nothing is asked before the first scrape. */
export function watchDependencies({ metrics, db, store, hasReplicas }: Watched): void {
  const up = metrics.gauge('wmoc_api_dependency_up', 'Whether a dependency answers.', ['dependency'])
  const probes = { postgres: () => db.query('SELECT 1'), store: () => store.ping() }
  readOnScrape(
    up,
    () =>
      Promise.all(
        Object.entries(probes).map(async ([dependency, probe]) => {
          return { labels: { dependency }, value: (await answers(probe)) ? 1 : 0 }
        }),
      ),
    { everyMs: EVERY_MS },
  )
  watchPools(metrics, db)
  if (hasReplicas) watchReplicas(metrics, db)
}

async function answers(probe: () => Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, PING_TIMEOUT_MS, false)
  })
  const answered = probe().then(
    () => true,
    () => false,
  )
  const isUp = await Promise.race([answered, timeout])
  clearTimeout(timer)
  return isUp
}

interface Pool {
  readonly using: number
  readonly available: number
  readonly waiting: number
}

function watchPools(metrics: Metrics, db: Sequelize): void {
  const connections = metrics.gauge(
    'wmoc_api_database_connections',
    'Connections to the database by server and state.',
    ['server', 'state'],
  )
  const waiting = metrics.gauge(
    'wmoc_api_database_waiting',
    'Statements that wait for a connection to the database.',
    ['server'],
  )
  const { pool } = db.connectionManager as unknown as {
    pool: Pool | { readonly read: Pool; readonly write: Pool }
  }
  const pools = 'write' in pool ? { primary: pool.write, replica: pool.read } : { primary: pool }
  Object.assign(connections, {
    collect() {
      for (const [server, { using, available }] of Object.entries(pools)) {
        connections.set({ server, state: 'used' }, using)
        connections.set({ server, state: 'idle' }, available)
      }
    },
  })
  Object.assign(waiting, {
    collect() {
      for (const [server, one] of Object.entries(pools)) waiting.set({ server }, one.waiting)
    },
  })
}

/** A replica that has replayed everything it received is not late, however long nothing was written. */
const LAG_SQL = `
  SELECT CASE
    WHEN NOT pg_is_in_recovery() OR pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
    ELSE coalesce(extract(epoch FROM now() - pg_last_xact_replay_timestamp()), 0)
  END::float8 AS seconds`

function watchReplicas(metrics: Metrics, db: Sequelize): void {
  const lag = metrics.gauge(
    'wmoc_api_database_replica_lag_seconds',
    'How far the read replica that answered is behind.',
  )
  const read = async () => {
    const { value } = await withReplicaReads(true, () => firstRow<{ seconds: number }>(db, LAG_SQL, {}))
    return value === null ? [] : [{ labels: {}, value: value.seconds }]
  }
  readOnScrape(lag, read, { everyMs: EVERY_MS })
}
