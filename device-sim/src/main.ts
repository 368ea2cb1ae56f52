/** `npm run sim`: see `--help`. */
import { HELP, parseOptions } from './cli/options.ts'
import { runFleet } from './cli/run-fleet.ts'
import { runOne } from './cli/run-one.ts'
import { createScreen } from './cli/screen.ts'

const parsed = parseOptions(process.argv.slice(2))
if (parsed.kind === 'help') {
  process.stdout.write(HELP)
} else if (parsed.kind === 'error') {
  process.stderr.write(`${parsed.message}\nSee --help.\n`)
  process.exitCode = 2
} else {
  const { options } = parsed
  const screen = createScreen(process.stdout, { json: options.json, qr: options.qr, nowMs: Date.now })
  const ending = new AbortController()
  process.once('SIGINT', () => ending.abort())
  process.once('SIGTERM', () => ending.abort())
  const timer = options.duration ? setTimeout(() => ending.abort(), options.duration * 1_000) : undefined
  try {
    process.exitCode = options.fleet
      ? await runFleet(options, screen, ending.signal, process.stdout.isTTY ? 1_000 : 5_000)
      : await runOne(options, screen, ending.signal)
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = 1
  } finally {
    clearTimeout(timer)
  }
}
