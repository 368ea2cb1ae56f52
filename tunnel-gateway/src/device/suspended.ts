/** Tunnels that lost their socket and wait, for a short while and in bounds, for their device to take them up again. */
import { V2_LIMITS } from '@wmoc/protocol/v2/frames'
import type { Tunnel } from './tunnel.ts'
import type { TunnelV2 } from './tunnel-v2.ts'

export interface Suspended {
  /** @param now Of the monotonic clock. */
  add(tunnel: TunnelV2, now: number): void
  delete(tunnel: Tunnel): void
  /** To be called about every second. */
  tick(now: number): void
  closeAll(): void
  readonly size: number
}

const MAX_TUNNELS = 1_000
const MAX_BYTES = 64 * 1_048_576

/** @param end Called for each that nobody took up in time, or for which there is no room. */
export function createSuspended(end: (tunnel: TunnelV2) => void): Suspended {
  /** Oldest first, with the time at which each ends. */
  const waiting = new Map<Tunnel, { tunnel: TunnelV2; until: number }>()

  function endOldest(): void {
    for (const { tunnel } of waiting.values()) {
      waiting.delete(tunnel)
      return end(tunnel)
    }
  }

  /** What one of them makes the code do wrong ends that one and nothing else. */
  function isSound(tunnel: TunnelV2, now: number): boolean {
    try {
      tunnel.tick(now)
      return true
    } catch {
      return false
    }
  }

  function heldBytes(): number {
    let bytes = 0
    for (const { tunnel } of waiting.values()) bytes += tunnel.heldBytes
    return bytes
  }

  return {
    add(tunnel, now) {
      waiting.set(tunnel, { tunnel, until: now + V2_LIMITS.resumeMs })
      if (waiting.size > MAX_TUNNELS) endOldest()
    },
    delete: (tunnel) => void waiting.delete(tunnel),
    tick(now) {
      for (const { tunnel, until } of waiting.values()) {
        if (now < until && tunnel.isSuspended && isSound(tunnel, now)) continue
        if (waiting.delete(tunnel) && tunnel.isSuspended) end(tunnel)
      }
      while (waiting.size > 0 && heldBytes() > MAX_BYTES) endOldest()
    },
    closeAll() {
      while (waiting.size > 0) endOldest()
    },
    get size() {
      return waiting.size
    },
  }
}
