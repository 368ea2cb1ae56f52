/**
 * V8's heap for a process that holds tens of thousands of idle connections. By default it lets young objects take
 * 128 MiB and old ones double before it looks again; after a reconnect storm most of that is garbage of registrations, more
 * than the tunnels themselves. The shape is fixed when V8 starts, so the process starts itself again, in its own place.
 *
 * Bytes read from sockets lie outside the heap. By default V8 looks through all of the heap after every few dozen MiB of
 * them, however short they live, which was a third of the CPU of a download; counted into the heap's own limit they make
 * it do so a third as often.
 */
const FLAGS = [
  '--max-semi-space-size=8',
  '--heap-growing-percent=20',
  '--external-memory-accounted-in-global-limit',
]

/** Returns only in a process that has the flags, or one whose starter chose its own. */
export function withHeapFlags(): void {
  const { execArgv, execPath, argv, platform } = process
  if (execArgv.some((flag) => flag.startsWith('--max-semi-space-size')) || platform === 'win32') return
  process.execve?.(execPath, [execPath, ...FLAGS, ...execArgv, ...argv.slice(1)])
}
