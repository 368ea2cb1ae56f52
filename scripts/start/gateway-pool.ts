/** Which gateway a request goes to: one that is ready, in turn; the one that is asked for by name, where it is ready. */
import { Agent, get } from 'node:http'
import type { Destination, Target } from './forward.ts'

export interface GatewayTarget extends Target {
  /** `SHARD_ID`; two gateways have the same while one replaces the other. */
  readonly shard: string
  readonly adminPort: number
}

export interface GatewayPool {
  /** All of them, the best first. */
  choose(shard: string | null): Destination
  stop(): void
}

const POLL_MS = 200
const POLL_TIMEOUT_MS = 1_500

/** Asks `/readyz` of each. A new one counts as ready; one that can't be reached is not, until it says so again. */
export function createGatewayPool(targets: () => readonly GatewayTarget[]): GatewayPool {
  const agent = new Agent({ keepAlive: true })
  const unready = new WeakSet<Target>()
  const asked = new WeakSet<Target>()
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

  return {
    choose(shard) {
      const list = targets()
      const ready = list.filter((target) => !unready.has(target))
      const named = ready.filter((target) => target.shard === shard)
      turn = (turn + 1) % Math.max(1, ready.length)
      const inTurn = [...ready.slice(turn), ...ready.slice(0, turn)]
      return {
        targets: [...new Set([...named, ...inTurn, ...list])],
        unreachable: (target) => void unready.add(target),
      }
    },
    stop() {
      clearInterval(timer)
      agent.destroy()
    },
  }
}
