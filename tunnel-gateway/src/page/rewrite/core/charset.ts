/**
 * Which encoding a text has, and how its bytes are read: one character per byte where ASCII is ASCII, so that nothing is
 * transcoded; one per two bytes for UTF-16.
 */
import type { IsLeadByte } from './text-rewriter.ts'

export interface TextCodec {
  /** Bytes at the beginning that are no text. */
  readonly markLength: number
  decode(bytes: Uint8Array): string
  encode(text: string): Uint8Array
  /** Half a character at the end. */
  rest(): Uint8Array
}

export interface Encoding {
  readonly codec: TextCodec
  /** The transport or a mark said it: nothing in the text can say otherwise. */
  readonly isSure: boolean
  readonly isLeadByte: IsLeadByte | null
}

/** Bytes that may be a mark. */
export const MAX_MARK_LENGTH = 3

/**
 * @param label Of the `Content-Type`; empty: none.
 * @param start The first bytes, at least `MAX_MARK_LENGTH` where there are as many.
 * @returns Null: an encoding in which ASCII bytes may be parts of other characters; better left alone.
 */
export function encodingOf(label: string, start: Uint8Array): Encoding | null {
  const [first, second, third] = start
  if (first === 0xfe && second === 0xff) return sure(createUtf16(true, 2))
  if (first === 0xff && second === 0xfe) return sure(createUtf16(false, 2))
  if (first === 0xef && second === 0xbb && third === 0xbf) return sure(createBytes(3))
  const name = encodingName(label)
  if (name === 'utf-16le') return sure(createUtf16(false, 0))
  if (name === 'utf-16be') return sure(createUtf16(true, 0))
  if (isStateful(name)) return null
  return { codec: createBytes(0), isSure: name !== '', isLeadByte: leadByteOf(name) }
}

/** The name by the Encoding Standard (section 4.2); empty: unknown. */
export function encodingName(label: string): string {
  if (label.trim() === '') return ''
  // It has no decoder any more, and browsers show none of it.
  if (/^\s*(?:hz-gb-2312|iso-2022-(?:cn|kr)[a-z-]*|replacement)\s*$/i.test(label)) return 'replacement'
  try {
    return new TextDecoder(label.trim()).encoding
  } catch {
    return ''
  }
}

/** Escape sequences switch what ASCII bytes mean. */
export function isStateful(name: string): boolean {
  return name === 'iso-2022-jp' || name === 'replacement'
}

export function leadByteOf(name: string): IsLeadByte | null {
  if (name === 'shift_jis') return (code) => (code >= 0x81 && code <= 0x9f) || (code >= 0xe0 && code <= 0xfc)
  if (/^(?:gbk|gb18030|big5|euc-kr)$/.test(name)) return (code) => code >= 0x81 && code <= 0xfe
  return null
}

function sure(codec: TextCodec): Encoding {
  return { codec, isSure: true, isLeadByte: null }
}

const NOTHING = Buffer.alloc(0)

function createBytes(markLength: number): TextCodec {
  return {
    markLength,
    decode: (bytes) => asBuffer(bytes).toString('latin1'),
    encode: (text) => Buffer.from(text, 'latin1'),
    rest: () => NOTHING,
  }
}

function createUtf16(isBigEndian: boolean, markLength: number): TextCodec {
  let half: Uint8Array = NOTHING
  const turned = (bytes: Buffer) => (isBigEndian ? bytes.swap16() : bytes)
  return {
    markLength,
    decode(bytes) {
      // A copy of its own: it may be turned.
      const all = Buffer.concat([half, bytes])
      const whole = all.subarray(0, all.length & ~1)
      half = all.subarray(whole.length)
      return turned(whole).toString('utf16le')
    },
    encode: (text) => turned(Buffer.from(text, 'utf16le')),
    rest: () => half,
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
