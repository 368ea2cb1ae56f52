/** What must happen however the process ends: signals are turned into an ordinary exit, so `exit` listeners run. */
const cleanups = new Set<() => void>()
let isInstalled = false

/** Runs `cleanup` (synchronous) when this process ends, unless the returned function takes it back. */
export function onExit(cleanup: () => void): () => void {
  install()
  cleanups.add(cleanup)
  return () => cleanups.delete(cleanup)
}

function install(): void {
  if (isInstalled) return
  isInstalled = true
  process.on('exit', () => {
    for (const cleanup of cleanups) cleanup()
  })
  for (const [signal, number] of [
    ['SIGINT', 2],
    ['SIGTERM', 15],
    ['SIGHUP', 1],
  ] as const) {
    process.once(signal, () => process.exit(128 + number))
  }
}
