/** `npm start`: the whole platform on this machine, by one command. See `--help`. */
import { join } from 'node:path'
import { renderUnicodeCompact } from 'uqr'
import { createSignInLink, startSims } from './start/demo.ts'
import type { SignInLink, Sim } from './start/demo.ts'
import { parseOptions } from './start/options.ts'
import type { StartOptions } from './start/options.ts'
import { buildPortal } from './start/portal-build.ts'
import { isPortalStale } from './start/portal.ts'
import { portOwner } from './start/ports.ts'
import { ROOT } from './start/root.ts'
import { startStack } from './start/stack.ts'
import type { Stack } from './start/stack.ts'
import { openState, resetState } from './start/state.ts'

const startedAt = performance.now()
const folder = process.env['WMOC_STATE_DIR'] ?? join(ROOT, '.wmoc')

function step(text: string): void {
  console.log(`${((performance.now() - startedAt) / 1000).toFixed(1).padStart(6)} s  ${text}`)
}

async function main(options: StartOptions): Promise<number> {
  if (options.isReset) resetState(folder)
  const state = openState(folder)
  const stops: (() => Promise<void>)[] = []
  const ending = Promise.withResolvers<number>()
  listenForSignals(() => ending.resolve(0))
  try {
    if (isPortalStale(ROOT)) await buildPortal(ROOT, step).catch((error: Error) => step(error.message))
    const stack = await startStack({
      state,
      port: options.port,
      env: process.env,
      onStep: step,
      onDeath: (error) => {
        console.error(`\n${error.message}`)
        ending.resolve(1)
      },
    })
    stops.push(() => stack.stop())
    const [link, sims] = await Promise.all([
      createSignInLink(stack),
      options.hasSims ? startSims(stack, state) : null,
    ])
    if (sims) stops.push(() => stopSims([sims.claimed, sims.waiting]))
    step('ready')
    announce(stack, link, sims)
    const exitCode = await ending.promise
    step('stopping')
    return exitCode
  } finally {
    for (const stop of stops.toReversed()) await stop()
    state.release()
    step('stopped')
  }
}

async function stopSims(sims: readonly Sim[]): Promise<void> {
  await Promise.all(sims.map(({ child }) => child.stop(3_000)))
}

/** The first signal ends all in order, the second at once; what we started dies with us. */
function listenForSignals(onFirst: () => void): void {
  let count = 0
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      count += 1
      if (count > 1) process.exit(130)
      onFirst()
    })
  }
}

function announce(stack: Stack, link: SignInLink, sims: { claimed: Sim; waiting: Sim } | null): void {
  const lines = [
    '',
    `  Portal      ${stack.url}`,
    `  Sign in     ${link.url}   (once, as ${link.email})`,
    `  API         ${stack.url}/api/docs`,
    `  Devices     ws://localhost:${stack.port}/tunnel`,
  ]
  if (sims) {
    const { claim } = sims.waiting
    lines.push('', `  Two simulated controllers run: "Boiler room" is yours already,`)
    if (claim) {
      lines.push(`  the other waits to be claimed by its code ${claim.code}:`, `  ${claim.link}`, '')
      lines.push(renderUnicodeCompact(claim.link, { border: 2 }))
    } else lines.push('  and so is the other.')
  }
  lines.push('', '  Ctrl-C stops everything.', '')
  console.log(lines.join('\n'))
}

/** What a person can do about it, for the failures that are theirs to mend. */
function explain(error: unknown, port: number): string {
  if (!(error instanceof Error)) return String(error)
  if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') {
    const owner = portOwner(port)
    const who = owner ? `${owner.name} (pid ${owner.pid})` : 'another program'
    return `port ${port} is in use by ${who}: stop it, or take another port: npm start -- --port ${port + 1}`
  }
  return error.message
}

const options = parseOptions(process.argv.slice(2))
if ('text' in options) {
  process.stdout.write(options.text)
  process.exitCode = options.exitCode
} else {
  try {
    process.exitCode = await main(options)
  } catch (error) {
    console.error(`\n${explain(error, options.port)}`)
    process.exitCode = 1
  }
  process.exit()
}
