/** What of a device's side of a WebSocket reaches a user: the handshake's answer and close codes. */
import { valuesIn } from './upstream.ts'
import type { DeviceHead, StreamFailure } from './upstream.ts'

/**
 * Whether the device agreed to a WebSocket.
 * @returns The subprotocol it chose, `''` for none; null where that is not one of those offered; undefined: it refused.
 */
export function chosenSubprotocol(head: DeviceHead, offered: readonly string[]): string | null | undefined {
  if (head.status !== 101) return undefined
  const chosen = valuesIn(head, 'sec-websocket-protocol')
  if (chosen.length === 0) return ''
  const [only] = chosen
  return chosen.length === 1 && typeof only === 'string' && offered.includes(only) ? only : null
}

/** Codes that may be on the wire (RFC 6455 section 7.4); undefined: a close without a code. */
export function closeCode(code: number): number | undefined {
  if (code === 1005) return undefined
  const isDefined = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014)
  return isDefined || (code >= 3000 && code <= 4999) ? code : 1011
}

const MAX_REASON_BYTES = 123
const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** A reason that fits into a close frame: cut between two characters. */
export function closeReason(reason: string): string {
  const bytes = encoder.encode(reason)
  if (bytes.length <= MAX_REASON_BYTES) return reason
  let end = MAX_REASON_BYTES
  while ((bytes[end]! & 0xc0) === 0x80) end -= 1
  return decoder.decode(bytes.subarray(0, end))
}

/** What a WebSocket that was open is closed with when its stream fails. */
export const FAILURE_CLOSE: Readonly<Record<StreamFailure, number>> = {
  // The device, or the shard that held it, went away and comes back: the page may come again at once.
  device_disconnected: 1012,
  device_offline: 1012,
  device_timeout: 1011,
  bad_device_response: 1011,
  not_supported: 1011,
  overloaded: 1013,
  slow_reader: 1013,
  access_ended: 1008,
}
