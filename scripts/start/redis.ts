/** The shared store of a one-machine start: a Redis of its own, or the embedded store where there is none. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { findProgram, leashed } from './leash.ts'
import type { State } from './state.ts'

export interface SharedStore {
  readonly url: string
  /** For people: which one it is. */
  readonly name: string
  /** The server's process, where it is one. */
  readonly process: ChildProcess | null
  stop(): Promise<void>
}

/** Takes `redis-server` or `valkey-server` from the PATH, else the embedded store in this process. */
export async function startSharedStore(state: State, port: number): Promise<SharedStore> {
  for (const name of ['redis-server', 'valkey-server']) {
    const program = findProgram(name)
    if (program) return startRedis(program, name, state, port)
  }
  const { createEmbeddedStoreServer } = await import('@wmoc/platform/embedded-store-server')
  const server = createEmbeddedStoreServer({ host: '127.0.0.1', port, token: state.secrets.storeToken })
  await server.start()
  return {
    url: server.url,
    name: 'embedded store (no redis-server on the path)',
    process: null,
    stop: () => server.stop(),
  }
}

async function startRedis(program: string, name: string, state: State, port: number): Promise<SharedStore> {
  const password = state.secrets.redisPassword
  // In a file: arguments can be read by everybody on the machine.
  const config = state.path('redis.conf')
  const lines = [`port ${port}`, 'bind 127.0.0.1', `requirepass ${password}`, 'save ""', 'appendonly no']
  writeFileSync(config, `${lines.join('\n')}\n`, { mode: 0o600 })
  const [command, args] = leashed(program, [config], { signal: 'KILL' })
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'ignore'],
    detached: true,
    cwd: state.folder,
  })
  await new Promise<void>((resolve, reject) => {
    let output = ''
    child.stdout.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-4_000)
      if (output.includes('Ready to accept connections')) resolve()
    })
    child.once('error', reject)
    child.once('exit', () => reject(new Error(`${name} ended at its start:\n${output}`)))
  })
  return {
    url: `redis://:${password}@127.0.0.1:${port}`,
    name,
    process: child,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return
      const exited = once(child, 'exit')
      child.kill('SIGTERM')
      await exited
    },
  }
}
