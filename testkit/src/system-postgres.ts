/** Debian's PostgreSQL: a server together with `pg_dump` and `pg_restore` of its own version, which the npm package lacks. */
import { spawn, spawnSync } from 'node:child_process'
import { chownSync, globSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { leashed, spawnIdentity, unprivilegedUser } from '../../scripts/start/leash.ts'
import { onExit } from './exit.ts'
import { freePort } from './free-port.ts'

export interface SystemPostgres {
  /** Of the maintenance database, as superuser. */
  readonly url: string
  /** The folder of its programs. */
  readonly programs: string
  stop(): Promise<void>
}

/** Starts an empty server on 127.0.0.1, without durability. */
export async function startSystemPostgres(): Promise<SystemPostgres> {
  const server = globSync('/usr/lib/postgresql/*/bin/postgres').toSorted().at(-1)
  if (!server) throw new Error('the PostgreSQL server is not installed: apt-get install -y postgresql')
  const programs = dirname(server)
  const folder = mkdtempSync(join(tmpdir(), 'wmoc-system-pg-'))
  const dataDir = join(folder, 'data')
  const user = unprivilegedUser(dataDir, [server])
  mkdirSync(dataDir, { mode: 0o700 })
  if (user) for (const path of [folder, dataDir]) chownSync(path, user.uid, user.gid)
  const environment = { PATH: process.env['PATH'] ?? '', LC_ALL: 'C', TZ: 'UTC' }
  const [initdb, initArgs] = leashed(
    join(programs, 'initdb'),
    [`--pgdata=${dataDir}`, '--username=postgres', '--auth=trust', '--encoding=UTF8', '--no-sync'],
    { signal: 'KILL', user },
  )
  const made = spawnSync(initdb, initArgs, { ...spawnIdentity(user), env: environment, encoding: 'utf8' })
  if (made.status !== 0) throw new Error(`initdb failed:\n${made.stderr}`)

  const port = await freePort()
  const settings = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    fsync: 'off',
    timezone: 'UTC',
  }
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const [command, args] = leashed(server, ['-D', dataDir, ...flags], { signal: 'INT', user })
  const child = spawn(command, args, {
    ...spawnIdentity(user),
    env: environment,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const remove = () => rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 25 })
  const forget = onExit(() => {
    child.kill('SIGQUIT')
    remove()
  })
  await new Promise<void>((resolve, reject) => {
    let output = ''
    child.stderr.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-4_000)
      if (output.includes('ready to accept connections')) resolve()
    })
    child.once('error', reject)
    child.once('exit', () => reject(new Error(`PostgreSQL ended at its start:\n${output}`)))
  })
  return {
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    programs,
    async stop() {
      child.kill('SIGINT')
      await ended
      forget()
      remove()
    },
  }
}
