/** Rules of single parts, made of the gateway's settings. */
import { V1_LIMITS } from '@wmoc/protocol/messages'
import type { GatewayConfig } from './config.ts'
import type { StreamRules } from './core/streams.ts'

/** So many a second, and a burst of so many times that. */
export function perSecond(count: number, burstFactor: number) {
  return { burst: count * burstFactor, count, periodMs: 1_000 }
}

/** What new tunnels are admitted by. */
export function admissionRules(config: GatewayConfig) {
  return {
    maxTunnels: config.MAX_TUNNELS,
    maxUnregistered: config.MAX_UNREGISTERED,
    maxUnregisteredPerAddress: config.MAX_UNREGISTERED_PER_ADDRESS,
    perAddress: perSecond(config.CONNECTS_PER_ADDRESS_PER_SECOND, 5),
    registrations: perSecond(config.REGISTRATIONS_PER_SECOND, 4),
  }
}

/** What a device's streams are held to, but for how many it takes at a time. */
export function streamRules(config: GatewayConfig): Omit<StreamRules, 'maxInFlight'> {
  return {
    maxQueued: config.QUEUE_PER_TUNNEL,
    queueTimeoutMs: config.QUEUE_TIMEOUT_MS,
    firstByteTimeoutMs: config.FIRST_BYTE_TIMEOUT_MS,
    idleTimeoutMs: config.IDLE_TIMEOUT_MS,
    longIdleTimeoutMs: 86_400_000,
    totalTimeoutMs: config.TOTAL_TIMEOUT_MS,
    cancelGraceMs: 2_000,
    maxBodyBytes: V1_LIMITS.defaultMaxResponseBody,
    pauseBytes: 256 * 1_024,
    resumeBytes: 64 * 1_024,
    maxBufferedBytes: 2 * 1_048_576,
    maxPauseMs: 15_000,
  }
}
