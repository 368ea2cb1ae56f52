/** What a person sees of several gateways: where the tunnels are, and how they come back when a gateway is gone. */
import { z } from 'zod'
import type { ServiceName } from './services.ts'
import type { Stack } from './stack.ts'

export interface ShardWatch {
  /** Tells that the gateway has ended, follows its controllers, and starts it again after a pause. */
  gone(name: ServiceName, how: string): void
  /** kill -9 of gateway number `index`, if there is one and it runs. */
  kill(index: number): void
  /** Starts all that are down, now. */
  restart(): void
  stop(): void
}

const POLL_MS = 250
const RESTART_PAUSE_MS = 5_000
/** Controllers that were not back by then come later, or not at all. */
const FOLLOW_MS = 30_000

const Status = z.looseObject({ tunnels: z.number() })

/** Follows the stack's gateways until `stop`; `say` is given one line at a time. */
export function createShardWatch(stack: Stack, say: (line: string) => void): ShardWatch {
  const tunnels = new Map<string, number>()
  const restarts = new Map<ServiceName, NodeJS.Timeout>()
  let lost: { name: ServiceName; count: number; others: number; at: number; back: number } | null = null
  let shown = ''

  async function poll(): Promise<void> {
    const running = stack.gateways()
    const read = await Promise.all(
      running.map(async ({ shard, adminPort }) => {
        const answer = await fetch(`http://127.0.0.1:${adminPort}/status`, {
          signal: AbortSignal.timeout(2_000),
        })
        return [shard, Status.parse(await answer.json()).tunnels] as const
      }),
    )
    for (const [shard, count] of read) tunnels.set(shard, count)
    if (lost) follow(lost)
    else showAll()
  }

  function showAll(): void {
    const text = [...tunnels].map(([shard, count]) => `${shard} ${count}`).join(', ')
    if (text !== shown) say(`controllers: ${text}`)
    shown = text
  }

  const others = (name: string) =>
    [...tunnels].reduce((sum, [shard, count]) => (shard === name ? sum : sum + count), 0)

  function follow(loss: NonNullable<typeof lost>): void {
    const back = Math.min(loss.count, Math.max(0, others(loss.name) - loss.others))
    const afterMs = performance.now() - loss.at
    if (back > loss.back)
      say(`  ${back} of ${loss.count} are back elsewhere after ${(afterMs / 1_000).toFixed(1)} s`)
    loss.back = back
    if (back >= loss.count || afterMs > FOLLOW_MS) lost = null
  }

  const timer = setInterval(() => void poll().catch(() => {}), POLL_MS)

  function begin(name: ServiceName): void {
    clearTimeout(restarts.get(name))
    restarts.delete(name)
    stack.restart(name).then(
      () => say(`${name} is back (pid ${stack.gateways().find((one) => one.name === name)?.pid})`),
      (error: Error) => {
        say(error.message)
        later(name)
      },
    )
  }

  function later(name: ServiceName): void {
    restarts.set(
      name,
      setTimeout(() => begin(name), RESTART_PAUSE_MS),
    )
  }

  function gone(name: ServiceName, how: string): void {
    const count = tunnels.get(name) ?? 0
    tunnels.set(name, 0)
    lost = { name, count, others: others(name), at: performance.now(), back: 0 }
    say(
      `${name} has gone (${how}): its ${count} controllers are coming back elsewhere; it starts again in ${RESTART_PAUSE_MS / 1_000} s`,
    )
    later(name)
  }

  return {
    gone,
    kill(index) {
      const name: ServiceName = `gateway-${index}`
      if (!stack.gateways().some((gateway) => gateway.name === name)) return
      void stack.kill(name).then(() => gone(name, 'kill -9'))
    },
    restart() {
      for (const name of restarts.keys()) begin(name)
    },
    stop() {
      clearInterval(timer)
      for (const pending of restarts.values()) clearTimeout(pending)
    },
  }
}

/** Single keys of a terminal, until the returned function is called; Ctrl-C stays what it is. */
export function readKeys(terminal: NodeJS.ReadStream, onKey: (key: string) => void): () => void {
  const listener = (text: string) => {
    for (const key of text) {
      if (key === '\u0003') process.kill(process.pid, 'SIGINT')
      else onKey(key)
    }
  }
  terminal.setRawMode(true)
  terminal.setEncoding('utf8')
  terminal.on('data', listener)
  terminal.resume()
  return () => {
    terminal.off('data', listener)
    terminal.setRawMode(false)
    terminal.pause()
  }
}
