/** A running platform is backed up, lost, and starts again from its backup. */
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { after, before, suite, test } from 'node:test'
import { run } from '@wmoc/testkit/process'
import { startSystemPostgres } from '@wmoc/testkit/system-postgres'
import type { SystemPostgres } from '@wmoc/testkit/system-postgres'
import { Client } from 'pg'
import { firstRow } from '#src/kernel/rows.ts'
import { createPasswords } from '#src/modules/auth/passwords.ts'
import { startApi } from '#src/testing/harness.ts'
import type { TestApi, TestUser } from '#src/testing/harness.ts'
import { recordBackup } from './record.ts'

const PASSWORD = 'correct horse battery'
const script = (name: string) => fileURLToPath(new URL(name, import.meta.url))

suite('backup and restore', () => {
  let postgres: SystemPostgres
  let live: TestApi
  let anna: TestUser
  let controllerId: string
  let controllerSecret: string
  let folder: string
  let env: Record<string, string>

  before(async () => {
    postgres = await startSystemPostgres()
    // The harness makes its databases on the server of the run; here they must be where pg_dump can read them.
    process.env['WMOC_TEST_POSTGRES_URL'] = postgres.url
    await onServer('CREATE ROLE installer LOGIN')
    live = await startApi()
    const passwordHash = await createPasswords(live.config.PASSWORD_PEPPER).hash(PASSWORD)
    anna = await live.buildUser({ passwordHash })
    const controller = await live.buildController(anna, { name: 'Boiler house' })
    controllerId = controller.id
    controllerSecret = controller.secret
    folder = mkdtempSync(join(tmpdir(), 'wmoc-backup-'))
    mkdirSync(join(folder, 'kept'))
    env = {
      DATABASE_URL: live.databaseUrl,
      REDIS_URL: live.redis.url,
      INTERNAL_TOKEN: live.config.INTERNAL_TOKEN,
      DEVICE_CREDENTIAL_KEY: live.config.DEVICE_CREDENTIAL_KEY,
      PASSWORD_PEPPER: live.config.PASSWORD_PEPPER,
      SECRETS_KEY: live.config.SECRETS_KEY.toString('base64'),
      BACKUP_TARGET: pathToFileURL(join(folder, 'kept')).href,
      BACKUP_FILE: join(folder, 'wmoc.dump'),
      PATH: `${postgres.programs}:${process.env['PATH']}`,
      LOG_FORMAT: 'json',
    }
  })
  after(async () => {
    await live.close()
    await postgres.stop()
    rmSync(folder, { recursive: true })
  })

  async function tool(name: 'upload' | 'restore', args: string[] = [], change: Record<string, string> = {}) {
    const child = run(script(`${name}.ts`), { args, env: { ...env, ...change } })
    const { code } = await child.ended
    const output = child.lines.join('\n')
    const result = child.lines.filter((line) => line.startsWith('{"') && !line.includes('@timestamp')).at(-1)
    return { code, output, result: result ? (JSON.parse(result) as Record<string, unknown>) : null }
  }

  async function dump(): Promise<void> {
    const args = [
      '--no-owner',
      '--no-privileges',
      `--file=${env['BACKUP_FILE']}`,
      `--dbname=${env['DATABASE_URL']}`,
    ]
    const child = run('--format=custom', { program: join(postgres.programs, 'pg_dump'), args })
    assert.deepEqual((await child.ended).code, 0, child.lines.join('\n'))
  }

  async function onServer(statement: string): Promise<void> {
    const client = new Client({ connectionString: postgres.url })
    await client.connect()
    await client.query(statement)
    await client.end()
  }

  /** The address of a new database, empty or a copy, whose owner may do nothing else on the server. */
  async function database(name: string, source = 'template0'): Promise<string> {
    await onServer(`CREATE DATABASE ${name} TEMPLATE ${source} OWNER installer`)
    return postgres.url.replace('postgres@', 'installer@').replace(/postgres$/, name)
  }

  const kept = () => readdirSync(join(folder, 'kept')).toSorted()
  let backup: string

  test('what is no dump is not taken for one', async () => {
    writeFileSync(env['BACKUP_FILE']!, 'pg_dump: error: connection failed')
    const { code, output } = await tool('upload')
    assert.equal(code, 1)
    assert.match(output, /wmoc\.dump is no dump: make it with pg_dump --format=custom/)
    assert.deepEqual(kept(), [])
    const nowhere = { BACKUP_TARGET: pathToFileURL(join(folder, 'none')).href }
    assert.deepEqual((await tool('restore', ['--list'], nowhere)).result!['backups'], [])
    assert.match((await tool('restore', [], nowhere)).output, /there is no backup in/)
  })

  test('a dump of the running platform is stored, read back and written down; no secret is in its manifest', async () => {
    await dump()
    const { code, output, result } = await tool('upload')
    assert.equal(code, 0, output)
    backup = String(result!['name'])
    assert.deepEqual(kept(), [`${backup}.dump`, `${backup}.json`])
    const manifest = readFileSync(join(folder, 'kept', `${backup}.json`), 'utf8')
    for (const name of ['DEVICE_CREDENTIAL_KEY', 'PASSWORD_PEPPER', 'SECRETS_KEY', 'INTERNAL_TOKEN'])
      assert.ok(!manifest.includes(env[name]!), name)
    const { at } = (await firstRow<{ at: Date }>(
      live.api.kernel.db,
      'SELECT created_at AS at FROM backups WHERE name = $backup',
      { backup },
    ))!
    assert.equal(at.toISOString(), (JSON.parse(manifest) as { createdAt: string }).createdAt)
  })

  test('F14: the platform starts on the restored database: people sign in anew, controllers reconnect with their secrets', async () => {
    const url = await database('restored')
    const restored = await tool('restore', [], { DATABASE_URL: url })
    assert.equal(restored.code, 0, restored.output)
    assert.deepEqual(restored.result, { name: backup, database: 'restored', migrations: [] })

    const api = run(script('../main.ts'), {
      env: { ...env, DATABASE_URL: url, PORT: '0', INTERNAL_PORT: '0', ADMIN_PORT: '0' },
    })
    const line = JSON.parse(await api.waitFor(/api is up/)) as {
      labels: { public: number; internal: number }
    }
    const post = (path: string, init: RequestInit) =>
      fetch(`http://127.0.0.1:${line.labels.public}/api/${path}`, init)
    const signedIn = await post('auth/login', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email: anna.email, password: PASSWORD }),
    })
    assert.equal(signedIn.status, 200)
    const { accessToken } = (await signedIn.json()) as { accessToken: string }
    const found = await post(`controllers/${controllerId}`, {
      headers: { authorization: `Bearer ${accessToken}` },
    })
    assert.equal(((await found.json()) as { name: string }).name, 'Boiler house')
    // A session that was ended after the backup must not be good again, so none is.
    const earlier = await post(`controllers/${controllerId}`, {
      headers: { authorization: `Bearer ${anna.accessToken}` },
    })
    assert.equal(earlier.status, 401)
    const looked = await fetch(`http://127.0.0.1:${line.labels.internal}/internal/controllers/lookup`, {
      method: 'POST',
      headers: { authorization: `Bearer ${env['INTERNAL_TOKEN']}`, 'content-type': 'application/json' },
      body: JSON.stringify({ ids: [controllerId], labels: [] }),
    })
    const proof = createHmac('sha256', env['DEVICE_CREDENTIAL_KEY']!).update(controllerSecret).digest('hex')
    assert.ok((await looked.text()).includes(proof))
    assert.deepEqual(await api.stop(), { code: 0, signal: null })
  })

  test('a database with something in it is left alone, unless told otherwise and nobody works in it', async () => {
    const refused = await tool('restore')
    assert.equal(refused.code, 2)
    assert.match(refused.output, /is not empty \(pgboss, public\).*--overwrite/)
    const busy = await tool('restore', ['--overwrite', '--yes'])
    assert.equal(busy.code, 2)
    assert.match(busy.output, /wmoc-jobs, wmoc-worker are connected to test_\w+: stop them first/)

    const url = await database('occupied', 'restored')
    const unasked = await tool('restore', ['--overwrite'], { DATABASE_URL: url })
    assert.equal(unasked.code, 2)
    assert.match(unasked.output, /nobody is there to ask: give --yes/)
    const again = await tool('restore', ['--overwrite', '--yes'], { DATABASE_URL: url })
    assert.equal(again.code, 0, again.output)
  })

  test('an older backup is migrated forward', async () => {
    const older = await database('older', 'restored')
    const client = new Client({ connectionString: older })
    await client.connect()
    await client.query(`DROP TABLE backups; DELETE FROM migrations WHERE name = '0032-backups'`)
    await client.end()
    const place = { BACKUP_TARGET: pathToFileURL(join(folder, 'older')).href }
    env['DATABASE_URL'] = older
    await dump()
    env['DATABASE_URL'] = live.databaseUrl
    assert.equal((await tool('upload', [], place)).code, 0)
    const url = await database('forward')
    const { code, output, result } = await tool('restore', [], { ...place, DATABASE_URL: url })
    assert.equal(code, 0, output)
    assert.deepEqual(result!['migrations'], ['0032-backups'])
  })

  test('other secrets than those of the backup are noticed before anything happens', async () => {
    const other = {
      DATABASE_URL: await database('keys'),
      PASSWORD_PEPPER: `another ${env['PASSWORD_PEPPER']}`,
    }
    const { code, output } = await tool('restore', [], other)
    assert.equal(code, 2)
    assert.match(output, /PASSWORD_PEPPER: not what wmoc-\w+ was taken with/)
    const file = join(folder, 'other.dump')
    assert.equal((await tool('restore', ['--other-keys', '--to', file], other)).code, 0)
  })

  test('--to only fetches and --finish does the rest, as a cluster needs it; a damaged dump is noticed', async () => {
    const url = await database('elsewhere')
    const file = join(folder, 'fetched.dump')
    const fetched = await tool('restore', ['--to', file], { DATABASE_URL: url })
    assert.deepEqual(fetched.result, { name: backup, file })
    assert.deepEqual(readFileSync(file), readFileSync(join(folder, 'kept', `${backup}.dump`)))
    const args = ['--no-owner', '--no-privileges', '--exit-on-error', '--single-transaction', file]
    const loaded = run(`--dbname=${url}`, { program: join(postgres.programs, 'pg_restore'), args })
    assert.equal((await loaded.ended).code, 0, loaded.lines.join('\n'))
    const finished = await tool('restore', ['--finish'], { DATABASE_URL: url })
    assert.deepEqual(finished.result, { migrations: [] }, finished.output)

    const bytes = Buffer.from(readFileSync(file))
    bytes[bytes.length - 1]! ^= 1
    const place = join(folder, 'damaged')
    mkdirSync(place)
    writeFileSync(join(place, `${backup}.dump`), bytes)
    writeFileSync(join(place, `${backup}.json`), readFileSync(join(folder, 'kept', `${backup}.json`)))
    const damaged = await tool('restore', [], {
      DATABASE_URL: await database('untouched'),
      BACKUP_TARGET: pathToFileURL(place).href,
    })
    assert.equal(damaged.code, 1)
    assert.match(damaged.output, new RegExp(`${backup} in .* is damaged`))
  })

  test('old ones go, and what was given up; the newest stay, and foreign files', async () => {
    const place = join(folder, 'many')
    mkdirSync(place)
    for (const name of ['wmoc-20200101T000000Z', 'wmoc-20200102T000000Z', 'wmoc-20200103T000000Z']) {
      writeFileSync(join(place, `${name}.dump`), 'PGDMP')
      writeFileSync(join(place, `${name}.json`), '{}')
    }
    writeFileSync(join(place, 'wmoc-20200104T000000Z.dump'), 'PGDMP')
    writeFileSync(join(place, 'wmoc-notes.json'), '{}')
    const { code, output, result } = await tool('upload', [], {
      BACKUP_TARGET: pathToFileURL(place).href,
      BACKUP_KEEP: '2',
    })
    assert.equal(code, 0, output)
    assert.deepEqual(result!['removed'], [
      'wmoc-20200101T000000Z',
      'wmoc-20200102T000000Z',
      'wmoc-20200104T000000Z',
    ])
    const listed = await tool('restore', ['--list'], { BACKUP_TARGET: pathToFileURL(place).href })
    assert.deepEqual(listed.result!['backups'], [result!['name'], 'wmoc-20200103T000000Z'])
    assert.ok(readdirSync(place).includes('wmoc-notes.json'))
  })

  test('the age of the newest is a metric of the worker', async () => {
    const newest = new Date(Date.now() + 60_000)
    const keys = { SECRETS_KEY: '', DEVICE_CREDENTIAL_KEY: '', PASSWORD_PEPPER: '' }
    const about = { version: 1 as const, bytes: 5, sha256: '', release: '', keys }
    await recordBackup(live.api.kernel.db, { ...about, name: 'one', createdAt: '2026-01-01T00:00:00Z' })
    await recordBackup(live.api.kernel.db, { ...about, name: 'two', createdAt: newest.toISOString() })
    const worker = run(script('../main.ts'), {
      env: { ...env, ROLE: 'worker', ADMIN_PORT: '0' },
    })
    const line = JSON.parse(await worker.waitFor(/worker is up/)) as { labels: { admin: number } }
    const metrics = await (await fetch(`http://127.0.0.1:${line.labels.admin}/metrics`)).text()
    const shown = /^wmoc_backup_last_success_timestamp_seconds ([\d.e+]+)$/m.exec(metrics)?.[1]
    assert.equal(Math.round(Number(shown) * 1_000), newest.getTime())
    assert.deepEqual(await worker.stop(), { code: 0, signal: null })
  })
})
