/** Whole WebSocket messages out of the pieces that frames carry. Pure. */

/** Longest message between a user and a device. */
export const MAX_MESSAGE_BYTES = 1_048_576

const FIRST_BYTES = 4_096

export interface MessageBuilder {
  /** The whole message once its last piece is there; null: not yet; undefined: it is too long. */
  add(bytes: Uint8Array, isLast: boolean): Uint8Array | null | undefined
}

/** Holds at most `MAX_MESSAGE_BYTES`, into however many pieces a message is cut: pieces are copied, not kept. */
export function createMessageBuilder(): MessageBuilder {
  let held = new Uint8Array(0)
  let size = 0

  function append(bytes: Uint8Array): void {
    const needed = size + bytes.length
    if (needed > held.length) {
      const larger = new Uint8Array(Math.min(MAX_MESSAGE_BYTES, Math.max(FIRST_BYTES, 2 * needed)))
      larger.set(held.subarray(0, size))
      held = larger
    }
    held.set(bytes, size)
    size = needed
  }

  return {
    add(bytes, isLast) {
      if (size + bytes.length > MAX_MESSAGE_BYTES) return undefined
      if (size === 0 && isLast) return bytes
      append(bytes)
      if (!isLast) return null
      const whole = held.subarray(0, size)
      held = new Uint8Array(0)
      size = 0
      return whole
    },
  }
}
