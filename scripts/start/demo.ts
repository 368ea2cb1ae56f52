/** What makes a fresh start worth looking at: a first user, and two simulated controllers, one claimed already. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { startChild } from './child.ts'
import type { Child } from './child.ts'
import { ROOT } from './root.ts'
import type { Stack } from './stack.ts'
import type { State } from './state.ts'

const EMAIL = 'owner@wmoc.example'
const SignInLink = z.object({ email: z.string(), url: z.url() })
export type SignInLink = z.infer<typeof SignInLink>
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

/** A link that signs the first user in once; makes the user where there is none. */
export async function createSignInLink(stack: Stack): Promise<SignInLink> {
  const printed = await stack.cli(
    'create-first-user',
    '--email',
    EMAIL,
    '--name',
    'Owner',
    '--tier',
    'premium',
  )
  return SignInLink.parse(JSON.parse(printed))
}

/** The token that makes the first controller the first user's; null where it has its credentials already. */
export async function tokenForFirstSim(stack: Stack, state: State): Promise<string | null> {
  return existsSync(state.path('sim-boiler-room.json')) ? null : await activationToken(stack, 'Boiler room')
}

/** Starts both controllers and waits until each is online or shows its code. */
export async function startSims(
  stack: Stack,
  state: State,
  token: string | null,
): Promise<{ claimed: Sim; waiting: Sim }> {
  const [claimed, waiting] = await Promise.all([
    startSim(stack, state, 'sim-boiler-room', [
      '--model',
      'WMOC Heat 2',
      ...(token ? ['--token', token] : []),
    ]),
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

function parseEvent(line: string): z.infer<typeof SimEvent> | null {
  try {
    return SimEvent.parse(JSON.parse(line))
  } catch {
    return null
  }
}

/** As a person would get one in the portal: signs in by a link of its own, asks, signs out. */
async function activationToken(stack: Stack, name: string): Promise<string> {
  const link = await createSignInLink(stack)
  const token = new URLSearchParams(new URL(link.url).hash.slice(1)).get('link')
  const call = async (path: string, body: object | undefined, headers: Record<string, string> = {}) => {
    const answer = await fetch(`http://127.0.0.1:${stack.port}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    })
    if (!answer.ok) throw new Error(`POST ${path}: ${answer.status} ${await answer.text()}`)
    return answer
  }
  const signedIn = await call('/api/auth/login/link', { token })
  const { accessToken } = z.object({ accessToken: z.string() }).parse(await signedIn.json())
  const authorization = { authorization: `Bearer ${accessToken}` }
  const activation = await call('/api/controllers/activate', { name }, authorization)
  const made = z.object({ token: z.string() }).parse(await activation.json())
  const cookie = signedIn.headers
    .getSetCookie()
    .map((line) => line.split(';')[0])
    .join('; ')
  await call('/api/auth/logout', undefined, { ...authorization, cookie })
  return made.token
}
