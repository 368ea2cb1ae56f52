/** A real PostgreSQL for tests: one server per run, a fresh database per call. */
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { startEmbeddedPostgres } from '../../scripts/start/postgres.ts'
import { freePort } from './free-port.ts'
import { onExit } from './exit.ts'

export interface TestDatabase {
  readonly url: string
  /** Cuts its connections and removes it. */
  drop(): Promise<void>
}

/** A database others are copied from, prepared once per server: `name` must change when what `prepare` does changes. */
export interface DatabaseTemplate {
  readonly name: string
  prepare(url: string): Promise<void>
}

export interface TestPostgres {
  /** Of the maintenance database, as superuser. */
  readonly url: string
  createDatabase(template?: DatabaseTemplate): Promise<TestDatabase>
  stop(): Promise<void>
}

/** Starts a server of its own: for the runner, and for tests that stop or kill it. */
export async function startPostgres(): Promise<TestPostgres> {
  const folder = mkdtempSync(join(tmpdir(), 'wmoc pg '))
  // The server may run as another user (root is refused), below this folder.
  chmodSync(folder, 0o711)
  const server = await startEmbeddedPostgres({
    dataDir: join(folder, 'data'),
    port: await freePort(),
    password: 'test',
    durable: false,
    settings: {
      max_connections: 400,
      shared_buffers: '64MB',
      max_wal_size: '4GB',
      autovacuum_naptime: '10min',
    },
  })
  const forget = onExit(() => {
    server.process.kill('SIGQUIT')
    rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 25 })
  })
  // It must not keep a test file alive that is otherwise done.
  server.process.unref()
  for (const stream of [server.process.stdout, server.process.stderr])
    (stream as { unref?(): void } | null)?.unref?.()
  return {
    url: server.url(),
    createDatabase: (template) => createDatabase(server.url(), template),
    async stop() {
      forget()
      server.process.ref()
      await server.stop()
      rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 25 })
    },
  }
}

let own: Promise<TestPostgres> | undefined

/** A fresh database on the run's server (`WMOC_TEST_POSTGRES_URL`), or on one started for this file. */
export async function testDatabase(template?: DatabaseTemplate): Promise<TestDatabase> {
  const shared = process.env['WMOC_TEST_POSTGRES_URL']
  if (shared) return createDatabase(shared, template)
  own ??= startPostgres()
  return (await own).createDatabase(template)
}

async function createDatabase(adminUrl: string, template?: DatabaseTemplate): Promise<TestDatabase> {
  const name = `test_${randomBytes(8).toString('hex')}`
  await withClient(adminUrl, async (client) => {
    const source = template ? await ensureTemplate(client, adminUrl, template) : 'template0'
    await client.query(`CREATE DATABASE ${name} TEMPLATE ${source}`)
  })
  return {
    url: databaseUrl(adminUrl, name),
    drop: () =>
      withClient(adminUrl, async (client) => {
        await client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
      }),
  }
}

/** Test files run at the same time: the first one prepares, the others wait for it. */
async function ensureTemplate(client: Client, adminUrl: string, template: DatabaseTemplate): Promise<string> {
  const name = `template_${template.name.replaceAll(/[^a-z0-9]+/g, '_')}`
  await client.query('SELECT pg_advisory_lock(hashtext($1))', [name])
  try {
    const { rowCount } = await client.query(
      'SELECT 1 FROM pg_database WHERE datname = $1 AND datistemplate',
      [name],
    )
    if (rowCount) return name
    await client.query(`DROP DATABASE IF EXISTS ${name}`)
    await client.query(`CREATE DATABASE ${name} TEMPLATE template0`)
    await template.prepare(databaseUrl(adminUrl, name))
    await client.query(`ALTER DATABASE ${name} IS_TEMPLATE true ALLOW_CONNECTIONS false`)
    return name
  } finally {
    await client.query('SELECT pg_advisory_unlock(hashtext($1))', [name])
  }
}

async function withClient<T>(url: string, use: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    return await use(client)
  } finally {
    await client.end()
  }
}

function databaseUrl(adminUrl: string, name: string): string {
  const url = new URL(adminUrl)
  url.pathname = `/${name}`
  return url.href
}
