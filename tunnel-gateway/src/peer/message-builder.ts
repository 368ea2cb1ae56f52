/** Whole WebSocket messages out of the pieces that frames carry. */

/** Longest message between a user and a device. */
export const MAX_MESSAGE_BYTES = 1_048_576

export interface MessageBuilder {
  /** The whole message once its last piece is there; null: not yet; undefined: it is too long. */
  add(bytes: Uint8Array, isLast: boolean): Uint8Array | null | undefined
}

export function createMessageBuilder(): MessageBuilder {
  let pieces: Uint8Array[] = []
  let size = 0
  return {
    add(bytes, isLast) {
      if (pieces.length === 0 && isLast && bytes.length <= MAX_MESSAGE_BYTES) return bytes
      size += bytes.length
      if (size > MAX_MESSAGE_BYTES) return undefined
      pieces.push(bytes)
      if (!isLast) return null
      const whole = Buffer.concat(pieces)
      pieces = []
      size = 0
      return whole
    },
  }
}
