/** What a tunnel is told that should live on another shard. */
import type { DeviceFeature, GoAway } from '@wmoc/protocol/messages'

/** @param owner Where the controller belongs; only a device that can follow is told. */
export function goAwayOf(
  tunnel: { hasFeature(feature: DeviceFeature): boolean },
  reason: GoAway['reason'],
  reconnectAfterMs: number,
  owner: string | null,
): GoAway {
  const hint = owner !== null && tunnel.hasFeature('follow') ? { shard: owner } : {}
  return { type: 'goaway', reason, reconnectAfterMs, ...hint }
}
