/** The real platform for one test file: the pieces of `npm start` on free ports, with fresh data. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { auth } from '@wmoc/api/contracts/auth'
import { commands } from '@wmoc/api/contracts/commands'
import { controllers } from '@wmoc/api/contracts/controllers'
import { notifications } from '@wmoc/api/contracts/notifications'
import { sharing } from '@wmoc/api/contracts/sharing'
import { telemetry } from '@wmoc/api/contracts/telemetry'
import { createClient } from '@wmoc/api/client'
import type { Client } from '@wmoc/api/client'
import { testDatabase } from '@wmoc/testkit/postgres'
import { run } from '@wmoc/testkit/process'
import type { TestProcess } from '@wmoc/testkit/process'
import { ROOT } from '../../scripts/start/root.ts'
import { startStack } from '../../scripts/start/stack.ts'
import type { Stack, StackOptions } from '../../scripts/start/stack.ts'
import { openState } from '../../scripts/start/state.ts'

const CONTRACTS = { auth, controllers, commands, notifications, sharing, telemetry }

/** Somebody signed in, with the typed client of the whole API. */
export interface Person {
  readonly email: string
  readonly accessToken: string
  readonly api: Client<typeof CONTRACTS>
  /** The request as `curl -H "Authorization: Bearer …"` sends it. */
  fetch(path: string, init?: RequestInit): Promise<Response>
}

export interface SimulatedController {
  readonly process: TestProcess
  /** The first event of this name with all its fields, past or to come. */
  waitFor(event: string, timeoutMs?: number): Promise<Record<string, unknown>>
  stop(): Promise<void>
}

export interface SimOptions {
  readonly token?: string
  /** Name of the file that its credentials are kept in; the same name again is the same controller. */
  readonly state: string
  readonly args?: readonly string[]
}

export interface TestStack {
  readonly stack: Stack
  readonly url: string
  /** A link that signs this person in once; the account is made if need be. */
  signInLink(email: string): Promise<string>
  signIn(email: string): Promise<Person>
  startSim(options: SimOptions): SimulatedController
  /** A controller of this person's, online. */
  claimSim(
    person: Person,
    options: SimOptions & { name?: string },
  ): Promise<{ id: string; sim: SimulatedController }>
  stop(): Promise<void>
}

/** Starts it; `onDeath` of a service that no test asked to end fails the process. */
export async function openStack(
  env: Readonly<Record<string, string>> = {},
  size: Pick<StackOptions, 'shards' | 'gatewayEnv'> = {},
): Promise<TestStack> {
  const folder = mkdtempSync(join(tmpdir(), 'wmoc e2e '))
  const database = await testDatabase()
  const stack = await startStack({
    state: openState(folder),
    port: 0,
    env: { DATABASE_URL: database.url, ...env },
    ...size,
    onDeath: (error) => {
      throw error
    },
  })
  const sims = new Set<SimulatedController>()

  const signInLink = async (email: string) => {
    const printed = await stack.cli('create-first-user', '--email', email, '--tier', 'premium')
    return (JSON.parse(printed) as { url: string }).url
  }
  const signIn = async (email: string): Promise<Person> => {
    const token = new URLSearchParams(new URL(await signInLink(email)).hash.slice(1)).get('link')!
    const { accessToken } = await createClient(CONTRACTS, { baseUrl: stack.url }).auth.loginByLink({
      body: { token },
    })
    return {
      email,
      accessToken,
      api: createClient(CONTRACTS, { baseUrl: stack.url, getToken: () => accessToken }),
      fetch: (path, init = {}) => {
        const headers = new Headers(init.headers)
        headers.set('authorization', `Bearer ${accessToken}`)
        return fetch(`${stack.url}${path}`, { redirect: 'manual', ...init, headers })
      },
    }
  }
  const startSim = (options: SimOptions): SimulatedController => {
    const child = run(join(ROOT, 'device-sim/src/main.ts'), {
      args: [
        `--url=ws://localhost:${stack.port}/tunnel`,
        `--state=${join(folder, options.state)}`,
        '--json',
        ...(options.token ? [`--token=${options.token}`] : []),
        ...(options.args ?? []),
      ],
    })
    const sim: SimulatedController = {
      process: child,
      waitFor: async (event, timeoutMs) =>
        JSON.parse(await child.waitFor(new RegExp(`"event":"${event}"`), timeoutMs)) as Record<
          string,
          unknown
        >,
      async stop() {
        sims.delete(sim)
        await child.stop()
      },
    }
    sims.add(sim)
    return sim
  }
  return {
    stack,
    url: stack.url,
    signInLink,
    signIn,
    startSim,
    async claimSim(person, options) {
      const made = await person.api.controllers.activate({ body: { name: options.name ?? options.state } })
      if (made.kind !== 'token') throw new Error('asked for a token')
      const sim = startSim({ ...options, token: made.token })
      const registered = await sim.waitFor('registered')
      return { id: String(registered['controllerId']), sim }
    },
    async stop() {
      await Promise.all([...sims].map((sim) => sim.stop()))
      await stack.stop()
      await database.drop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Asks until the answer is there; fails with what `describe` says when `timeoutMs` are over. */
export async function eventually<T>(
  ask: () => Promise<T | null | undefined | false>,
  what: string,
  timeoutMs = 60_000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs
  for (;;) {
    const answer = await ask()
    if (answer) return answer
    if (Date.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
