/** A platform of several shards with data of its own, and a fleet on it: what every soak and fault is played on. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient } from '@wmoc/api/client'
import { auth } from '@wmoc/api/contracts/auth'
import { Redis } from 'ioredis'
import { openPostgres, openSharedStore } from '../start/data.ts'
import { freePorts } from '../start/ports.ts'
import { provision } from '../start/provision.ts'
import { startStack } from '../start/stack.ts'
import type { Stack, StackOptions } from '../start/stack.ts'
import { openState } from '../start/state.ts'
import type { State } from '../start/state.ts'
import type { FleetDevice } from './fleet.ts'
import { kindOf } from './kinds.ts'
import type { KindName } from './kinds.ts'

export interface Stage {
  readonly stack: Stack
  readonly state: State
  /** Of the fleet's owner; renewed every five minutes. */
  readonly token: () => string
  /** Controllers of the owner, of `kind` or mixed. */
  provision(count: number, kind?: KindName): Promise<FleetDevice[]>
  readonly postgres: DataControl
  readonly store: DataControl & { flush(): Promise<void> }
  /** Whatever `/status` of a running gateway says is wrong with its books. */
  invariants(): Promise<string[]>
  stop(): Promise<void>
}

/** A server of data that comes back on its old port; an empty one where it keeps nothing. */
export interface DataControl {
  stop(): Promise<void>
  start(): Promise<void>
}

const EMAIL = 'soak@wmoc.example'
const RENEW_MS = 300_000

/** Limits per address that a fleet on one machine would meet at once. */
const ONE_ADDRESS = {
  CONNECTS_PER_ADDRESS_PER_SECOND: '100000',
  MAX_UNREGISTERED: '20000',
  MAX_UNREGISTERED_PER_ADDRESS: '20000',
}

/** Starts it in a folder of its own, which `stop` removes. */
export async function openStage(
  options: Pick<StackOptions, 'shards' | 'gatewayEnv' | 'onDeath'> & {
    env?: Readonly<Record<string, string>>
    onStep?: (text: string) => void
  },
): Promise<Stage> {
  const folder = mkdtempSync(join(tmpdir(), 'wmoc soak '))
  const state = openState(folder)
  const [postgresPort, storePort] = (await freePorts(2)) as [number, number]
  const openData = {
    postgres: () => openPostgres(undefined, state, { port: postgresPort, durable: false }),
    store: () => openSharedStore(undefined, state, storePort),
  }
  const data = { postgres: await openData.postgres(), store: await openData.store() }
  const closeData = async () => {
    await data.postgres.stop()
    await data.store.stop()
    state.release()
    rmSync(folder, { recursive: true, force: true })
  }
  const stack = await startStack({
    state,
    port: 0,
    ...options,
    env: { DATABASE_URL: data.postgres.url, REDIS_URL: data.store.url, ...options.env },
    gatewayEnv: { ...ONE_ADDRESS, ...options.gatewayEnv },
    portal: (_request, response) => response.writeHead(404).end(),
  }).catch(async (error: unknown) => {
    await closeData()
    throw error
  })
  const control = (name: keyof typeof data): DataControl => ({
    stop: () => data[name].stop(),
    async start() {
      data[name] = await openData[name]()
    },
  })

  async function signIn(): Promise<string> {
    const printed = await stack.cli('create-first-user', '--email', EMAIL, '--tier', 'premium')
    const { url } = JSON.parse(printed) as { url: string }
    const token = new URLSearchParams(new URL(url).hash.slice(1)).get('link')!
    const { accessToken } = await createClient({ auth }, { baseUrl: stack.url }).auth.loginByLink({
      body: { token },
    })
    return accessToken
  }

  let token = await signIn()
  const renewing = setInterval(() => {
    // The one at hand is good for a while yet.
    void signIn().then(
      (fresh) => (token = fresh),
      () => {},
    )
  }, RENEW_MS)
  renewing.unref()

  return {
    stack,
    state,
    token: () => token,
    async provision(count, kind) {
      const credentials = await provision({
        databaseUrl: stack.databaseUrl,
        credentialKey: state.secrets.DEVICE_CREDENTIAL_KEY,
        email: EMAIL,
        count,
        name: `Soak ${randomBytes(3).toString('hex')}`,
      })
      return credentials.map((credential, index) => ({ ...credential, kind: kind ?? kindOf(index) }))
    },
    postgres: control('postgres'),
    store: {
      ...control('store'),
      async flush() {
        const redis = new Redis(data.store.url)
        await redis.flushall()
        await redis.quit()
      },
    },
    async invariants() {
      const broken: string[] = []
      for (const { name, adminPort } of stack.gateways()) {
        const answer = await fetch(`http://127.0.0.1:${adminPort}/status`)
        const { invariants } = (await answer.json()) as { invariants: string[] }
        broken.push(...invariants.map((line) => `${name}: ${line}`))
      }
      return broken
    },
    async stop() {
      clearInterval(renewing)
      await stack.stop()
      await closeData()
    },
  }
}
