/** Leaving without a herd and without a lost request: what happens between the signal and the end. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '@wmoc/platform/log'
import { CLOSE } from '@wmoc/protocol/close-codes'
import { planDrain } from './core/drain-schedule.ts'
import type { Hub } from './core/hub.ts'
import type { Connections } from './device/connections.ts'
import type { Tunnel } from './device/tunnel.ts'

export interface Drain {
  /** From now on readiness is off. Resolves when every tunnel is gone, at the latest after window and deadline. */
  begin(): Promise<void>
  readonly isDraining: () => boolean
}

export function createDrain(options: {
  hub: Hub<Tunnel>
  connections(): Connections
  windowMs: number
  deadlineMs: number
  log: Logger
}): Drain {
  const { hub, log } = options
  let work: Promise<void> | null = null

  async function run(): Promise<void> {
    const tunnels = [...hub.all()]
    const plan = planDrain(tunnels.length, options.windowMs, Math.random)
    const startedAt = performance.now()
    for (const [index, tunnel] of tunnels.entries()) {
      const { afterMs, reconnectAfterMs } = plan[index]!
      const waitMs = startedAt + afterMs - performance.now()
      if (waitMs > 1) await sleep(waitMs)
      tunnel.goAway({ type: 'goaway', reason: 'draining', reconnectAfterMs })
    }
    const deadline = performance.now() + options.deadlineMs
    while (hub.size > 0 && performance.now() < deadline) {
      options.connections().tick()
      await sleep(20)
    }
    const cut = [...hub.all()].reduce((sum, tunnel) => sum + tunnel.pending(), 0)
    if (cut > 0) log.warn('lifecycle', 'cut requests that did not finish in time', { requests: cut })
    options.connections().closeAll(CLOSE.restart)
  }

  return {
    begin() {
      work ??= run()
      return work
    },
    isDraining: () => work !== null,
  }
}
