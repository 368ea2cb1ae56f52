/**
 * V8's heap for a process that carries bytes between sockets. By default it lets young objects take up to 128 MiB, which a
 * shard of idle tunnels never gives back. The shape is fixed when V8 starts, so the process starts itself again, in its
 * own place. What a storm leaves behind is collected when it is over (`quiet-collection.ts`).
 *
 * Bytes read from sockets lie outside the heap. By default V8 looks through all of the heap after every few dozen MiB of
 * them, however short they live, which was a third of the CPU of a download; counted into the heap's own limit they make
 * it do so a third as often.
 */
const FLAGS = ['--max-semi-space-size=16', '--external-memory-accounted-in-global-limit']

/** Returns only in a process that has the flags, or one whose starter chose its own. */
export function withHeapFlags(): void {
  const { execArgv, execPath, argv, platform } = process
  if (execArgv.some((flag) => flag.startsWith('--max-semi-space-size')) || platform === 'win32') return
  process.execve?.(execPath, [execPath, ...FLAGS, ...execArgv, ...argv.slice(1)])
}
