/**
 * One whole message of a server as the octets of its frame (RFC 6455 section 5.2): unmasked, in one piece of memory, so
 * that one write to the socket is enough.
 */

export const TEXT = 1
export const BINARY = 2

/** @param message Text is written as UTF-8. */
export function serverFrame(opcode: typeof TEXT | typeof BINARY, message: Uint8Array | string): Buffer {
  const length = typeof message === 'string' ? Buffer.byteLength(message) : message.length
  const start = length < 126 ? 2 : length < 65_536 ? 4 : 10
  const frame = Buffer.allocUnsafe(start + length)
  frame[0] = 0x80 | opcode
  frame[1] = start === 2 ? length : start === 4 ? 126 : 127
  if (start === 4) frame.writeUInt16BE(length, 2)
  if (start === 10) frame.writeBigUInt64BE(BigInt(length), 2)
  if (typeof message === 'string') frame.write(message, start)
  else frame.set(message, start)
  return frame
}
