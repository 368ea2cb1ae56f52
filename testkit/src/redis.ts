/** A real Redis for tests: each call its own server, so flushes, outages and pub/sub meet nobody else. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findProgram, leashed } from '../../scripts/start/leash.ts'
import { onExit } from './exit.ts'
import { freePort } from './free-port.ts'

export interface TestRedis {
  readonly url: string
  readonly port: number
  readonly pid: number
  /** Ends the server at once; `testRedis({ port })` starts an empty one in its place. */
  stop(): Promise<void>
}

/** Starts redis-server (or valkey-server) on 127.0.0.1, empty and without persistence. */
export async function testRedis(options: { port?: number } = {}): Promise<TestRedis> {
  const program = findProgram('redis-server') ?? findProgram('valkey-server')
  if (!program) throw new Error('redis-server is not installed: apt-get install -y redis-server')
  const port = options.port ?? (await freePort())
  const folder = mkdtempSync(join(tmpdir(), 'wmoc-redis-'))
  const flags = [
    '--port',
    `${port}`,
    '--bind',
    '127.0.0.1',
    '--save',
    '',
    '--appendonly',
    'no',
    '--dir',
    folder,
  ]
  const [command, args] = leashed(program, flags, { signal: 'KILL' })
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'ignore'] })
  const remove = () => rmSync(folder, { recursive: true, force: true })
  const forget = onExit(() => {
    child.kill('SIGKILL')
    remove()
  })
  await new Promise<void>((resolve, reject) => {
    let output = ''
    child.stdout.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-4_000)
      if (output.includes('Ready to accept connections')) resolve()
    })
    child.once('error', reject)
    child.once('exit', () => reject(new Error(`redis-server ended at its start:\n${output}`)))
  })
  // It must not keep a test file alive that is otherwise done.
  child.unref()
  ;(child.stdout as { unref?(): void }).unref?.()
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    pid: child.pid!,
    async stop() {
      forget()
      if (child.exitCode === null && child.signalCode === null) {
        child.ref()
        const exited = once(child, 'exit')
        child.kill('SIGKILL')
        await exited
      }
      remove()
    },
  }
}
