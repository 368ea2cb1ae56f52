/** Where a one-machine start keeps its data: the servers it is given, or those it brings along. */
import { Client } from 'pg'
import { startEmbeddedPostgres } from './postgres.ts'
import { startSharedStore } from './redis.ts'
import type { State } from './state.ts'

const DATABASE = 'wmoc'

export interface DataServer {
  readonly url: string
  /** For people: which one it is. */
  readonly name: string
  /** Does nothing to a server that was given. */
  stop(): Promise<void>
}

/** The PostgreSQL at `given`, else an embedded one on `port`, with the database made. */
export async function openPostgres(
  given: string | undefined,
  state: State,
  options: { port: number; durable: boolean },
): Promise<DataServer> {
  if (given) return { url: given, name: 'PostgreSQL: the one of DATABASE_URL', stop: async () => {} }
  const server = await startEmbeddedPostgres({
    dataDir: state.path('postgres'),
    port: options.port,
    password: state.secrets.postgresPassword,
    durable: options.durable,
  })
  try {
    await createDatabase(server.url())
  } catch (error) {
    await server.stop()
    throw error
  }
  return {
    url: server.url(DATABASE),
    name: `PostgreSQL: embedded, ${server.isNew ? 'new' : 'as it was'}`,
    stop: () => server.stop(),
  }
}

/** The Redis at `given`, else one of our own on `port`, else the embedded store. */
export async function openSharedStore(
  given: string | undefined,
  state: State,
  port: number,
): Promise<DataServer> {
  if (given) return { url: given, name: 'Redis: the one of REDIS_URL', stop: async () => {} }
  const store = await startSharedStore(state, port)
  return { url: store.url, name: `Redis: ${store.name}`, stop: () => store.stop() }
}

async function createDatabase(adminUrl: string): Promise<void> {
  const client = new Client({ connectionString: adminUrl })
  await client.connect()
  try {
    const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [DATABASE])
    if (!rowCount) await client.query(`CREATE DATABASE ${DATABASE}`)
  } finally {
    await client.end()
  }
}
