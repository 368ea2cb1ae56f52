/** Codes that a device shows and a person types (RFC 8628 section 6.1): no vowels, so that no words come out. Pure. */

export const CODE_ALPHABET = 'BCDFGHJKLMNPQRSTVWXZ'
export const CODE_LENGTH = 8
/** Bytes from here on would make the first letters of the alphabet likelier. */
const FAIR_BYTES = 256 - (256 % CODE_ALPHABET.length)

/** Letters out of random bytes, unbiased; null when too few of the bytes were usable (ask again with more). */
export function userCodeFrom(bytes: Uint8Array): string | null {
  let code = ''
  for (const byte of bytes) {
    if (byte >= FAIR_BYTES) continue
    code += CODE_ALPHABET[byte % CODE_ALPHABET.length]
    if (code.length === CODE_LENGTH) return code
  }
  return null
}

/** `BCDFGHJK` as people read it: `BCDF-GHJK`. */
export function formatUserCode(code: string): string {
  return `${code.slice(0, 4)}-${code.slice(4)}`
}

const LABEL_ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'

/** Host label of a controller's own origin: 16 lower-case base32 letters, 80 of the bits in `bytes` (16 bytes). */
export function pageLabelFrom(bytes: Uint8Array): string {
  return Array.from(bytes.subarray(0, 16), (byte) => LABEL_ALPHABET[byte % 32]).join('')
}
