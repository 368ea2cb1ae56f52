/**
 * Which gateway a request goes to: one that is ready, in turn. A tunnel goes to the one that is asked for by name, else to
 * the one with the fewest: while shards are replaced one after the other, that is one that was replaced already.
 */
import { Agent, get } from 'node:http'
import type { Destination, Target } from './forward.ts'

export interface GatewayTarget extends Target {
  /** `SHARD_ID`; two gateways have the same while one replaces the other. */
  readonly shard: string
  readonly adminPort: number
}

export interface GatewayPool {
  /** All of them, the best for a request first. */
  forRequest(): Destination
  /** All of them, the best for a tunnel first; `shard`: the one that its device was told to go to. */
  forTunnel(shard: string | null): Destination
  stop(): void
}

const POLL_MS = 200
const POLL_TIMEOUT_MS = 1_500

/** Asks `/readyz` of each. A new one counts as ready; one that can't be reached is not, until it says so again. */
export function createGatewayPool(targets: () => readonly GatewayTarget[]): GatewayPool {
  const agent = new Agent({ keepAlive: true })
  const unready = new WeakSet<Target>()
  const asked = new WeakSet<Target>()
  const tunnels = new WeakMap<Target, number>()
  let turn = 0

  function poll(target: GatewayTarget): void {
    if (asked.has(target)) return
    asked.add(target)
    const settle = (isReady: boolean) => {
      asked.delete(target)
      if (isReady) unready.delete(target)
      else unready.add(target)
    }
    const { host, adminPort: port } = target
    const call = get({ host, port, path: '/readyz', agent, timeout: POLL_TIMEOUT_MS }, (answer) => {
      answer.resume()
      answer.once('error', () => {})
      settle(answer.statusCode === 200)
    })
    call.once('timeout', () => call.destroy(new Error('no answer')))
    call.once('error', () => settle(false))
  }

  const timer = setInterval(() => {
    const list = targets()
    // With a single one there is nothing to choose.
    if (list.length > 1) for (const target of list) poll(target)
  }, POLL_MS)
  timer.unref()

  /** Those that are ready, each as often the first as the others. */
  function readyInTurn(): GatewayTarget[] {
    const ready = targets().filter((target) => !unready.has(target))
    turn = (turn + 1) % Math.max(1, ready.length)
    return [...ready.slice(turn), ...ready.slice(0, turn)]
  }

  const destination = (best: readonly GatewayTarget[]) => ({
    targets: [...new Set([...best, ...targets()])],
    unreachable: (target: Target) => void unready.add(target),
  })

  return {
    forRequest: () => destination(readyInTurn()),
    forTunnel(shard) {
      const tunnelsOf = (target: Target) => tunnels.get(target) ?? 0
      const ready = readyInTurn().toSorted((a, b) => tunnelsOf(a) - tunnelsOf(b))
      const named = ready.filter((target) => target.shard === shard)
      return {
        ...destination([...named, ...ready]),
        opened(target) {
          tunnels.set(target, tunnelsOf(target) + 1)
          return () => tunnels.set(target, tunnelsOf(target) - 1)
        },
      }
    },
    stop() {
      clearInterval(timer)
      agent.destroy()
    },
  }
}
