/** A platform of several shards with data of its own, and a fleet on it: what every soak and fault is played on. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text as readText } from 'node:stream/consumers'
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
  /** One request of the owner to a controller, through the gateway or ingress on this port. */
  ask(port: number, controllerId: string, path: string, method?: string): Promise<Answer>
  /** Figures of a gateway. */
  status(adminPort: number): Promise<GatewayStatus>
  /** Whatever `/status` of a running gateway says is wrong with its books. */
  invariants(): Promise<string[]>
  stop(): Promise<void>
}

/** A server of data that comes back on its old port; an empty one where it keeps nothing. */
export interface DataControl {
  stop(): Promise<void>
  start(): Promise<void>
}

export interface Answer {
  /** 0: none. */
  readonly status: number
  readonly text: string
}

export interface GatewayStatus {
  readonly tunnels: number
  readonly invariants: readonly string[]
}

const EMAIL = 'soak@wmoc.example'
const RENEW_MS = 300_000

/** Limits per address and person that a fleet and its users would meet at once, being one machine and one person. */
const ONE_OF_ALL = {
  CONNECTS_PER_ADDRESS_PER_SECOND: '100000',
  MAX_UNREGISTERED: '20000',
  MAX_UNREGISTERED_PER_ADDRESS: '20000',
  MAX_REQUESTS_PER_USER: '20000',
}

/** Starts it in a folder of its own, which `stop` removes. */
export async function openStage(
  options: Pick<StackOptions, 'shards' | 'gatewayEnv' | 'onDeath'> & {
    env?: Readonly<Record<string, string>>
    onStep?: (text: string) => void
  },
): Promise<Stage> {
  const folder = mkdtempSync(join(tmpdir(), 'wmoc soak '))
  const remove = () => rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
  // Ctrl-C in the middle: the servers end with us, and nothing of theirs stays.
  process.once('exit', remove)
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
    process.off('exit', remove)
    remove()
  }
  const stack = await startStack({
    state,
    port: 0,
    ...options,
    env: { DATABASE_URL: data.postgres.url, REDIS_URL: data.store.url, ...options.env },
    gatewayEnv: { ...ONE_OF_ALL, ...options.gatewayEnv },
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
    ask: (port, controllerId, path, method = 'GET') =>
      askOf(port, `/c/${controllerId}${path}`, method, token),
    status: statusOf,
    async invariants() {
      const broken = stack.gateways().map(async ({ name, adminPort }) => {
        const { invariants } = await statusOf(adminPort)
        return invariants.map((line) => `${name}: ${line}`)
      })
      return (await Promise.all(broken)).flat()
    },
    async stop() {
      clearInterval(renewing)
      await stack.stop()
      await closeData()
    },
  }
}

async function statusOf(adminPort: number): Promise<GatewayStatus> {
  return (await (await fetch(`http://127.0.0.1:${adminPort}/status`)).json()) as GatewayStatus
}

function askOf(port: number, path: string, method: string, token: string): Promise<Answer> {
  return new Promise((resolve) => {
    const call = httpRequest({
      agent: false,
      host: '127.0.0.1',
      port,
      method,
      path,
      headers: { host: 'localhost', authorization: `Bearer ${token}` },
    })
    const none = (error: Error) => resolve({ status: 0, text: error.message })
    call.once('error', none)
    call.once('response', (response) => {
      readText(response).then((text) => resolve({ status: response.statusCode!, text }), none)
    })
    call.end()
  })
}
