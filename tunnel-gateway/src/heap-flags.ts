/**
 * V8's heap for a process that holds tens of thousands of idle connections. By default it lets young objects take
 * 128 MiB and old ones double before it looks again; after a reconnect storm most of that is garbage of registrations, more
 * than the tunnels themselves. The shape is fixed when V8 starts, so the process starts itself again, in its own place.
 */
const FLAGS = ['--max-semi-space-size=8', '--heap-growing-percent=20']

/** Returns only in a process that has the flags, or one whose starter chose its own. */
export function withHeapFlags(): void {
  const { execArgv, execPath, argv } = process
  if (execArgv.some((flag) => flag.startsWith('--max-semi-space-size'))) return
  process.execve?.(execPath, [execPath, ...FLAGS, ...execArgv, ...argv.slice(1)])
}
