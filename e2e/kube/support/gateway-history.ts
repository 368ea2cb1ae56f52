/** Every status that the TunnelGateway told, one after the other: what it was in the middle of something. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import { isDeepStrictEqual } from 'node:util'
import { findTool } from '@wmoc/testkit/kube/tools'
import { leashed } from '../../../scripts/start/leash.ts'
import { eventually } from '../../support/stack.ts'
import { GATEWAY, NAMESPACE } from './installation.ts'
import type { Installation, TunnelGateway } from './installation.ts'

type Status = NonNullable<TunnelGateway['status']>

export interface GatewayHistory {
  /** What it said at the last call, and all that was told since then until now. */
  take(): Promise<Told>
  stop(): Promise<void>
}

export interface Told {
  /** Reasons of a condition; what was told twice in a row stands once. */
  reasons(type: string): string[]
  /** Messages of a condition while it had this reason. */
  messages(type: string, reason: string): string[]
  readonly statuses: readonly Status[]
}

const AGAIN_MS = 500
const CAUGHT_UP_MS = 60_000

export function watchGateway({ cluster }: Installation): GatewayHistory {
  const statuses: Status[] = []
  const ending = new AbortController()
  let taken = 0
  let child: ChildProcess | null = null

  /** Until the API server ends the watch. */
  async function watchOnce(): Promise<void> {
    const what = ['get', 'tgw', GATEWAY, '-n', NAMESPACE, '--watch', '-o', 'jsonpath={.status}{"\\n"}']
    const [command, args] = leashed(findTool('kubectl'), what, { signal: 'KILL' })
    const env = { ...process.env, KUBECONFIG: cluster.kubeconfig }
    child = spawn(command, args, { stdio: ['ignore', 'pipe', 'ignore'], env })
    const ended = new Promise((resolve) => child!.once('close', resolve))
    for await (const line of createInterface({ input: child.stdout! })) {
      if (line !== '') statuses.push(JSON.parse(line) as Status)
    }
    await ended
  }

  async function watch(): Promise<void> {
    while (!ending.signal.aborted) {
      await watchOnce()
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS))
    }
  }
  const watching = watch()

  async function hasCaughtUp(): Promise<boolean> {
    const { status } = await cluster.get<TunnelGateway>('tgw', GATEWAY, '-n', NAMESPACE)
    return isDeepStrictEqual(status, statuses.at(-1))
  }

  return {
    async take() {
      await eventually(hasCaughtUp, 'the watch of the TunnelGateway has caught up', CAUGHT_UP_MS)
      const news = statuses.slice(Math.max(0, taken - 1))
      taken = statuses.length
      return toldIn(news)
    },
    async stop() {
      ending.abort()
      child?.kill()
      await watching
    },
  }
}

function toldIn(statuses: readonly Status[]): Told {
  const of = (wanted: string) =>
    statuses.flatMap(({ conditions = [] }) => conditions.filter(({ type }) => type === wanted))
  return {
    statuses,
    reasons: (type) =>
      of(type)
        .map(({ reason }) => reason)
        .filter((reason, at, all) => reason !== all[at - 1]),
    messages: (type, wanted) =>
      of(type)
        .filter(({ reason }) => reason === wanted)
        .map(({ message }) => message),
  }
}

/** Fails unless `seen` has all of `wanted` in this order; others may stand between them. */
export function assertInOrder(seen: readonly string[], wanted: readonly string[]): void {
  let from = 0
  for (const one of wanted) {
    const at = seen.indexOf(one, from)
    assert.notEqual(at, -1, `${one} is missing, wanted ${wanted.join(' → ')}, told ${seen.join(' → ')}`)
    from = at + 1
  }
}
