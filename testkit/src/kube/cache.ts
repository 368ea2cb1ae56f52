/** Where what takes long to build is kept between runs, and a lock so that two processes never build it at once. */
import { spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { findProgram, leashed } from '../../../scripts/start/leash.ts'

/** A folder below `${XDG_CACHE_HOME:-~/.cache}/wmoc`, made when it is not there. */
export function cacheFolder(...parts: string[]): string {
  const folder = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'wmoc', ...parts)
  mkdirSync(folder, { recursive: true })
  return folder
}

/**
 * Runs `work` while no other process holds the lock of this name. The kernel's lock (`flock(1)`) goes with the process
 * that holds it, however that ends.
 */
export async function withLock<T>(name: string, work: () => Promise<T>): Promise<T> {
  const flock = findProgram('flock')
  if (!flock) throw new Error('flock is not installed: apt-get install -y util-linux')
  const file = join(cacheFolder('locks'), name)
  const [command, args] = leashed(flock, [file, 'sh', '-c', 'echo locked; cat'], { signal: 'KILL' })
  const holder = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = new Promise<void>((resolve) => holder.once('close', () => resolve()))
  try {
    await new Promise<void>((resolve, reject) => {
      holder.stdout.once('data', () => resolve())
      holder.once('error', reject)
      holder.once('exit', (code) => reject(new Error(`flock ${file} ended with exit code ${code}`)))
    })
    return await work()
  } finally {
    holder.stdin.end()
    await ended
  }
}
