/** One run of the whole platform on a terminal: steps with their times, addresses, an ordered end. */
import { join } from 'node:path'
import { renderUnicodeCompact } from 'uqr'
import { killChildren } from './child.ts'
import { EMAIL, firstUser, startFleet, startSims } from './demo.ts'
import type { Sim } from './demo.ts'
import { parseOptions } from './options.ts'
import type { StartOptions } from './options.ts'
import { buildPortal } from './portal-build.ts'
import { isPortalStale } from './portal.ts'
import { portOwner } from './ports.ts'
import { ROOT } from './root.ts'
import { createShardWatch, readKeys } from './shard-watch.ts'
import type { ShardWatch } from './shard-watch.ts'
import type { Claim } from './sim-claim.ts'
import { startStack } from './stack.ts'
import type { Stack, StackOptions } from './stack.ts'
import { openState, resetState } from './state.ts'

/** How development differs. */
export type StartExtras = Pick<StackOptions, 'nodeFlags' | 'portal'>

/** Seconds count from the start of this process. */
function step(text: string): void {
  console.log(`${(performance.now() / 1000).toFixed(1).padStart(6)} s  ${text}`)
}

async function start(options: StartOptions, extras: StartExtras): Promise<number> {
  const folder = process.env['WMOC_STATE_DIR'] ?? join(ROOT, '.wmoc')
  if (options.isReset) resetState(folder)
  const state = openState(folder)
  const stops: (() => Promise<void>)[] = []
  const ending = Promise.withResolvers<number>()
  let watch: ShardWatch | null = null
  listenForSignals(() => ending.resolve(0))
  try {
    if (!extras.portal && isPortalStale(ROOT))
      await buildPortal(ROOT, step).catch((error: Error) => step(error.message))
    const stack = await startStack({
      state,
      port: options.port,
      host: options.host,
      env: process.env,
      shards: options.shards,
      firstUser: firstUser(state, options.hasSims),
      ...extras,
      onStep: step,
      onDeath: (error, name) => {
        if (watch && name.startsWith('gateway-')) return watch.gone(name, 'it was killed')
        console.error(`\n${error.message}`)
        ending.resolve(1)
      },
    })
    stops.push(() => stack.stop())
    const sims = options.hasSims ? await startSims(stack, state, followClaim) : null
    if (sims) stops.push(() => stopSims([sims.claimed, sims.waiting]))
    step('ready')
    announce(stack, sims)
    if (options.shards > 1) {
      watch = createShardWatch(stack, step)
      stops.push(async () => watch?.stop())
      if (options.hasSims) {
        const fleet = await startFleet(stack, state)
        stops.push(() => fleet.stop(3_000))
      }
      const stopKeys = offerShards(stack, watch)
      stops.push(async () => stopKeys())
    }
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
      if (count > 1) {
        killChildren()
        process.exit(130)
      }
      onFirst()
    })
  }
}

function announce(stack: Stack, sims: { claimed: Sim; waiting: Sim } | null): void {
  const lines = [
    '',
    `  Portal      ${stack.url}`,
    `  Sign in     ${stack.firstUser?.signInLink}   (once, as ${EMAIL})`,
    `  API         ${stack.url}/api/docs`,
    `  Devices     ${stack.url.replace(/^http/, 'ws')}/tunnel`,
  ]
  if (!stack.url.startsWith('http://localhost'))
    lines.push(
      `  Your proxy ends TLS for ${stack.url} and passes everything on to http://127.0.0.1:${stack.port},`,
      '  with the address of who asked in X-Forwarded-For.',
    )
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

/** The waiting controller after the announcement: its next codes, and that somebody has it. */
function followClaim(claim: Claim): void {
  if (claim) step(`the code has run out; the controller now shows ${claim.code}: ${claim.link}`)
  else step('the waiting controller was claimed')
}

/** How the gateways can be killed and started: by keys on a terminal, else by their process ids. */
function offerShards(stack: Stack, watch: ShardWatch): () => void {
  const gateways = stack.gateways()
  const last = gateways.length - 1
  if (!process.stdin.isTTY) {
    for (const { name, pid } of gateways) console.log(`  ${name}   kill -9 ${pid}`)
    console.log('')
    return () => {}
  }
  console.log(`  Keys: 0–${last} kill that gateway (kill -9), r starts those that are down at once.\n`)
  return readKeys(process.stdin, (key) => {
    if (key === 'r') watch.restart()
    else if (key >= '0' && key <= String(last)) watch.kill(Number(key))
  })
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

/** Runs until a signal or a failure; resolves with the exit code. `args` as on the command line. */
export async function runStart(args: readonly string[], extras: StartExtras = {}): Promise<number> {
  const options = parseOptions(args)
  if ('text' in options) {
    process.stdout.write(options.text)
    return options.exitCode
  }
  try {
    return await start(options, extras)
  } catch (error) {
    console.error(`\n${explain(error, options.port)}`)
    return 1
  }
}
