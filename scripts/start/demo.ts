/** What makes a fresh start worth looking at: a first user and simulated controllers, one of them not claimed yet. */
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { startChild } from './child.ts'
import type { Child } from './child.ts'
import { provision } from './provision.ts'
import { ROOT } from './root.ts'
import type { Stack, StackOptions } from './stack.ts'
import type { State } from './state.ts'

export const EMAIL = 'owner@wmoc.example'
const CLAIMED = 'sim-boiler-room'
const FLEET = 12
const SimEvent = z.looseObject({
  event: z.string(),
  link: z.string().optional(),
  code: z.string().optional(),
})

export interface Sim {
  readonly child: Child
  /** What it shows on its screen while nobody has claimed it; null once it is somebody's. */
  readonly claim: { readonly code: string; readonly link: string } | null
}

/** Whom the platform is prepared for; the first start also makes a token for the first controller. */
export function firstUser(state: State, hasSims: boolean): NonNullable<StackOptions['firstUser']> {
  const isNew = hasSims && !existsSync(state.path(`${CLAIMED}.json`))
  return { email: EMAIL, name: 'Owner', ...(isNew ? { controller: 'Boiler room' } : {}) }
}

/** Starts both controllers and waits until each is online or shows its code. */
export async function startSims(stack: Stack, state: State): Promise<{ claimed: Sim; waiting: Sim }> {
  const token = stack.firstUser?.activationToken
  const [claimed, waiting] = await Promise.all([
    startSim(stack, state, CLAIMED, ['--model', 'WMOC Heat 2', ...(token ? [`--token=${token}`] : [])]),
    startSim(stack, state, 'sim-greenhouse', ['--model', 'WMOC Green 1']),
  ])
  return { claimed, waiting }
}

async function startSim(stack: Stack, state: State, name: string, args: string[]): Promise<Sim> {
  const { promise, resolve } = Promise.withResolvers<Sim['claim']>()
  let code: string | undefined
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
    onLine: (line) => {
      const event = parseEvent(line)
      code ??= event?.code
      if (event?.event === 'registered') resolve(null)
      else if (event?.link !== undefined && code !== undefined) resolve({ code, link: event.link })
    },
  })
  // A simulator that fails is no reason to fail the start: its log tells why.
  const giveUp = setTimeout(() => resolve(null), 10_000)
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

function parseEvent(line: string): z.infer<typeof SimEvent> | null {
  try {
    return SimEvent.parse(JSON.parse(line))
  } catch {
    return null
  }
}
