/** A binary message as one WebSocket frame of a client (RFC 6455 section 5.2), masked by words instead of bytes. Pure. */

const FIN_BINARY = 0x82
const MASKED = 0x80
const LENGTH_16 = 126
const LENGTH_64 = 127

/** The frame; `payload` is not changed. `mask`: four bytes that nobody can foresee. */
export function maskedFrame(payload: Uint8Array, mask: Uint8Array): Buffer {
  const { length } = payload
  const headerBytes = length < LENGTH_16 ? 6 : length <= 0xffff ? 8 : 14
  // Mask and payload begin at multiples of four; the last word may run over the end.
  const start = headerBytes % 4
  const at = start + headerBytes
  const words = Math.ceil(length / 4)
  const out = Buffer.allocUnsafe(at + 4 * words)
  out[start] = FIN_BINARY
  if (headerBytes === 6) out[start + 1] = MASKED | length
  else if (headerBytes === 8) {
    out[start + 1] = MASKED | LENGTH_16
    out.writeUInt16BE(length, start + 2)
  } else {
    out[start + 1] = MASKED | LENGTH_64
    out.writeBigUInt64BE(BigInt(length), start + 2)
  }
  out.set(mask, at - 4)
  out.set(payload, at)
  const view = new Int32Array(out.buffer, out.byteOffset + at - 4, words + 1)
  const key = view[0]!
  for (let word = 1; word <= words; word += 1) view[word]! ^= key
  return out.subarray(start, at + length)
}
