/** What makes a fresh start worth looking at: a first user and simulated controllers, one of them not claimed yet. */
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startChild } from './child.ts'
import type { Child } from './child.ts'
import { provision } from './provision.ts'
import { ROOT } from './root.ts'
import { readClaims } from './sim-claim.ts'
import type { Claim } from './sim-claim.ts'
import type { Stack, StackOptions } from './stack.ts'
import type { State } from './state.ts'

export const EMAIL = 'owner@wmoc.example'
const CLAIMED = 'sim-boiler-room'
const FLEET = 12

export interface Sim {
  readonly child: Child
  readonly claim: Claim
}

/** Whom the platform is prepared for; the first start also makes a token for the first controller. */
export function firstUser(state: State, hasSims: boolean): NonNullable<StackOptions['firstUser']> {
  const isNew = hasSims && !existsSync(state.path(`${CLAIMED}.json`))
  return { email: EMAIL, name: 'Owner', ...(isNew ? { controller: 'Boiler room' } : {}) }
}

/**
 * Starts both controllers and waits until each is online or shows its code. `onClaim` hears what becomes of the waiting
 * one after that: a code lasts for minutes only.
 */
export async function startSims(
  stack: Stack,
  state: State,
  onClaim: (claim: Claim) => void,
): Promise<{ claimed: Sim; waiting: Sim }> {
  const token = stack.firstUser?.activationToken
  const [claimed, waiting] = await Promise.all([
    startSim(stack, state, CLAIMED, ['--model', 'WMOC Heat 2', ...(token ? [`--token=${token}`] : [])]),
    startSim(stack, state, 'sim-greenhouse', ['--model', 'WMOC Green 1'], onClaim),
  ])
  return { claimed, waiting }
}

async function startSim(
  stack: Stack,
  state: State,
  name: string,
  args: string[],
  onClaim: (claim: Claim) => void = () => {},
): Promise<Sim> {
  const { promise, resolve } = Promise.withResolvers<Claim>()
  const child = startChild({
    name,
    script: join(ROOT, 'device-sim/src/main.ts'),
    args: [
      '--url',
      `ws://localhost:${stack.port}/tunnel`,
      '--state',
      state.path(`${name}.json`),
      '--json',
      ...args,
    ],
    env: {},
    logFile: state.path('logs', `${name}.log`),
    onLine: readClaims(resolve, onClaim),
  })
  // A simulator that fails is no reason to fail the start: its log tells why.
  const giveUp = setTimeout(() => resolve(null), 30_000)
  void child.exited.then(() => resolve(null))
  const claim = await promise
  clearTimeout(giveUp)
  return { child, claim }
}

/** Controllers enough for several gateways to share: the first user's, the same ones each time. */
export async function startFleet(stack: Stack, state: State): Promise<Child> {
  const file = state.path('fleet.jsonl')
  if (!existsSync(file)) {
    const credentials = await provision({
      databaseUrl: stack.databaseUrl,
      credentialKey: state.secrets.DEVICE_CREDENTIAL_KEY,
      email: EMAIL,
      count: FLEET,
      name: 'Pump',
    })
    writeFileSync(file, credentials.map((line) => `${JSON.stringify(line)}\n`).join(''), { mode: 0o600 })
  }
  return startChild({
    name: 'fleet',
    script: join(ROOT, 'device-sim/src/main.ts'),
    args: [
      `--url=ws://localhost:${stack.port}/tunnel`,
      `--fleet=${FLEET}`,
      `--credentials=${file}`,
      '--json',
    ],
    env: {},
    logFile: state.path('logs', 'fleet.log'),
  })
}
