/** Escapes of CSS (CSS Syntax Module Level 3, section 4.3.7), as far as the beginning of an address needs them. */

const ESCAPE = /\\(?:([0-9a-f]{1,6})(?:\r\n|[ \t\n\r\f])?|([^0-9a-f\r\n\f]))/iy
/** What may stand in the beginning without any escape in what is made of it. */
const PLAIN = /[!$%&*+,\-./0-9:;<=>@A-Z[\]^_`a-z{|}~]/
/** Enough for a host and the longest prefix of ours. */
const MAX_HEAD = 1_024

export interface AddressHead {
  /** Without escapes, and without anything that would need one. */
  readonly head: string
  /** Characters of the raw text that it was read from. */
  readonly length: number
}

/** Reads the beginning of an address, up to the first character that says nothing about where it leads. */
export function readAddressHead(raw: string): AddressHead {
  let length = 0
  while (isSpace(raw.charCodeAt(length))) length += 1
  let head = ''
  while (length < raw.length && head.length < MAX_HEAD) {
    const [character, size] = readCharacter(raw, length)
    if (!PLAIN.test(character)) break
    head += character
    length += size
  }
  return { head, length }
}

function readCharacter(raw: string, at: number): [character: string, size: number] {
  if (raw[at] !== '\\') return [raw[at]!, 1]
  ESCAPE.lastIndex = at
  const match = ESCAPE.exec(raw)
  if (match === null) return ['\\', 1]
  const [all, hex, other] = match
  if (hex === undefined) return [other!, all.length]
  const code = Number.parseInt(hex, 16)
  return [code < 0x80 ? String.fromCharCode(code) : '\\', all.length]
}

export function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x09 || code === 0x0d || code === 0x0c
}

export function isHexDigit(code: number): boolean {
  return (code >= 0x30 && code <= 0x39) || ((code | 0x20) >= 0x61 && (code | 0x20) <= 0x66)
}
