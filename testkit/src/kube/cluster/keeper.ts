/**
 * Outlives the test by a moment: holds the cluster's namespaces while its standard input is open, and removes everything
 * of it when that ends, because the test closed it or because the test is dead. Argument: the cluster's folder.
 */
import { spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { leashed } from '../../../../scripts/start/leash.ts'
import { createCgroups, removeCgroups } from './cgroups.ts'

const NAMESPACES = [
  '--net',
  '--mount',
  '--pid',
  '--fork',
  '--kill-child',
  '--mount-proc',
  '--propagation',
  'private',
]

const folder = process.argv[2]!
const cgroups = createCgroups()
const supervisor = join(import.meta.dirname, 'supervisor.ts')
const enter = cgroups.map((group) => `echo $$ > ${group}/cgroup.procs`).join('; ')
const script = `${enter}; exec unshare ${NAMESPACES.join(' ')} -- "$@"`
const [command, args] = leashed('sh', ['-c', script, 'sh', process.execPath, supervisor, folder], {
  signal: 'KILL',
})
const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'] })

// The end comes by standard input; a signal to the group of the test must not stop the removal.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill('SIGKILL'))
process.stdin.resume()
process.stdin.once('end', () => child.kill('SIGKILL'))
process.stdin.once('error', () => child.kill('SIGKILL'))
await new Promise<void>((resolve) => {
  child.once('error', () => resolve())
  child.once('close', () => resolve())
})
await removeCgroups(cgroups)
rmSync(folder, { recursive: true, force: true, maxRetries: 50, retryDelay: 100 })
process.exit(0)
