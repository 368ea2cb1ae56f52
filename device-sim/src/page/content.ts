/** Bytes that anybody can check: the same at the same place of every download. Pure. */

/** A prime, so that a piece that is missing or repeated shows whatever its size. */
const PERIOD = 65_521
const PATTERN = Buffer.alloc(2 * PERIOD)
for (let at = 0; at < PATTERN.length; at += 1)
  PATTERN[at] = ((at % PERIOD) * 31 + ((at % PERIOD) >> 8)) & 0xff

/** `length` bytes from `offset` on, in pieces of at most 64 KiB; views of one buffer, not to be written to. */
export function* contentAt(offset: number, length: number): Generator<Buffer, void> {
  for (let done = 0; done < length;) {
    const start = (offset + done) % PERIOD
    const size = Math.min(PERIOD, length - done)
    yield PATTERN.subarray(start, start + size)
    done += size
  }
}

export type Range = { start: number; end: number }

/** The first and the last byte that a `Range` header asks for (RFC 9110 section 14); null: all; `none`: there are none. */
export function rangeOf(header: string | null, length: number): Range | null | 'none' {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? '')
  if (!match || (!match[1] && !match[2])) return null
  const [first, last] = [match[1] ?? '', match[2] ?? '']
  const start = first === '' ? Math.max(0, length - Number(last)) : Number(first)
  const end = first === '' || last === '' ? length - 1 : Math.min(Number(last), length - 1)
  return start > end || start >= length ? 'none' : { start, end }
}
