/**
 * What a person and a controller want of an installation, once: a controller is made and joins one shard, and its page is
 * asked for through every other one.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { createSimulator } from '../simulator.ts'
import type { Simulator } from '../simulator.ts'
import { send } from './http.ts'
import type { Answer } from './http.ts'
import { hostPort, resolveShards } from './shards.ts'
import type { Shard } from './shards.ts'

export interface SmokeOptions {
  /** The API's public listener inside of the cluster. */
  readonly api: URL
  /** `name:port,…` of all shards. */
  readonly shards: string
  /** Host under which people reach the platform: shards answer no other. */
  readonly publicHost: string
  /** What `create-first-user` printed as `url`: it signs in once. */
  readonly signInLink: string
  /** How long each step may take, ms. */
  readonly patienceMs: number
  readonly say: (line: string) => void
}

const SignedIn = z.object({ accessToken: z.string() })
const Activation = z.object({ token: z.string() })
const RETRY_MS = 500

/**
 * Runs the steps and takes the controller away again.
 * @returns The number of shards through which the page came.
 * @throws Error that says which step failed, and of what.
 */
export async function runSmoke(options: SmokeOptions): Promise<number> {
  const { say } = options
  const accessToken = await signIn(options)
  say('signed in')
  const bearer = { authorization: `Bearer ${accessToken}` }
  const activation = await json(
    'make a controller',
    Activation,
    send(apiOf(options), '/api/controllers/activate', {
      method: 'POST',
      headers: bearer,
      body: { name: 'helm test' },
    }),
  )
  const shards = await resolveShards(options.shards)
  const [home, ...others] = shards as [Shard, ...Shard[]]
  // Without `follow` it stays where it is, whatever the ring would rather have.
  const simulator = createSimulator({
    url: `ws://${hostPort(home)}/tunnel`,
    token: activation.token,
    features: [],
    reportEveryMs: 0,
  })
  try {
    const id = await online(simulator, options.patienceMs)
    say(`a controller is on the shard at ${hostPort(home)}`)
    const ways = others.length > 0 ? others : [home]
    try {
      for (const shard of ways) {
        await page(shard, id, { ...bearer, host: options.publicHost }, options.patienceMs)
        say(`its page comes through the shard at ${hostPort(shard)}`)
      }
    } finally {
      const removal = await send(apiOf(options), `/api/controllers/${id}`, {
        method: 'DELETE',
        headers: bearer,
      })
      say(removal.status === 204 ? 'the controller is gone' : `it could not be deleted: ${told(removal)}`)
    }
    if (others.length === 0) say('there is one shard only: nothing went from one to another')
    return ways.length
  } finally {
    await simulator.stop()
  }
}

function apiOf({ api }: SmokeOptions): Shard {
  return { address: api.hostname.replace(/^\[|\]$/g, ''), port: Number(api.port || 80) }
}

async function signIn(options: SmokeOptions): Promise<string> {
  const token = new URLSearchParams(new URL(options.signInLink).hash.slice(1)).get('link')
  const { accessToken } = await json(
    'sign in',
    SignedIn,
    send(apiOf(options), '/api/auth/login/link', { method: 'POST', body: { token } }),
  )
  return accessToken
}

async function online(simulator: Simulator, patienceMs: number): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const timer = setTimeout(() => reject(new Error(`the controller did not get online: ${last}`)), patienceMs)
  let last = 'nothing answered'
  simulator.events.on('registered', ({ controllerId }) => resolve(controllerId))
  simulator.events.on('closed', ({ code, reason }) => (last = `closed with ${code} ${reason}`))
  simulator.events.on('fault', (error) => (last = error.message))
  simulator.start()
  return promise.finally(() => clearTimeout(timer))
}

/** A shard that has just started may not know yet who holds the controller: it is asked again. */
async function page(
  shard: Shard,
  id: string,
  headers: Readonly<Record<string, string>>,
  patienceMs: number,
): Promise<void> {
  const endMs = performance.now() + patienceMs
  for (;;) {
    const answer = await send(shard, `/c/${id}/`, { headers }).catch((error: Error) => error)
    if (!(answer instanceof Error) && answer.status === 200 && answer.body.includes('<h1')) return
    if (performance.now() > endMs) throw new Error(`the page through ${hostPort(shard)}: ${told(answer)}`)
    await sleep(RETRY_MS)
  }
}

async function json<T>(step: string, schema: z.ZodType<T>, answer: Promise<Answer>): Promise<T> {
  const { status, body } = await answer.catch((error: Error) => {
    throw new Error(`${step}: ${error.message}`)
  })
  if (status < 200 || status > 299) throw new Error(`${step}: ${told({ status, body })}`)
  return schema.parse(JSON.parse(body))
}

function told(answer: Answer | Error): string {
  return answer instanceof Error ? answer.message : `${answer.status} ${answer.body.slice(0, 300)}`
}
