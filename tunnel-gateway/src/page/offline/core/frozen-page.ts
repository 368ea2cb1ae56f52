/** What of a page is worth a copy for the time when its device is away, and what is made of it then. Pure. */

/** One answer as the device gave it, of one page address. */
export interface Copy {
  /** Surface, port, path with query. */
  readonly key: string
  readonly type: string
  /** Milliseconds since 1970. */
  readonly at: number
  readonly isDocument: boolean
  /** Bytes of the copy where it is kept. */
  readonly size: number
}

/** Of one answer, unpacked. */
export const MAX_COPY_BYTES = 131_072
const MAX_DOCUMENTS = 16
const MAX_COPIES = 64

const DOCUMENT = /^(?:text\/html|application\/xhtml\+xml)\s*(?:;|$)/i
const PART =
  /^(?:text\/css|image\/[a-z0-9.+-]+|font\/[a-z0-9.+-]+|application\/(?:x-)?font-[a-z0-9.+-]+)\s*(?:;|$)/i
const WIDE = /charset\s*=\s*"?utf-?(?:16|32)/i

/** Whether an answer of this type is kept: pages that were opened, and what shows them. Scripts have no use in a page that stands still. */
export function isWorthKeeping(type: string, isNavigation: boolean): boolean {
  // The stamp is written in bytes of ASCII.
  if (DOCUMENT.test(type)) return isNavigation && !WIDE.test(type)
  return !isNavigation && PART.test(type)
}

/** The newest that fit: pages first, then parts at lasting addresses, then those that are asked for by ever new queries. */
export function choose<Kept extends Copy>(copies: readonly Kept[], maxBytes: number): Kept[] {
  const rank = ({ isDocument, key }: Copy) => (isDocument ? 0 : key.includes('?') ? 2 : 1)
  const sorted = copies.toSorted((a, b) => rank(a) - rank(b) || b.at - a.at)
  const chosen: Kept[] = []
  let bytes = 0
  let documents = 0
  for (const copy of sorted) {
    if (copy.isDocument && documents === MAX_DOCUMENTS) continue
    if (chosen.length === MAX_COPIES) break
    if (bytes + copy.size > maxBytes) continue
    bytes += copy.size
    documents += copy.isDocument ? 1 : 0
    chosen.push(copy)
  }
  return chosen
}

/** The page with `stamp` at its end; in bytes, whatever coding that contains ASCII they are in. */
export function withStamp(page: Uint8Array, stamp: string): Uint8Array {
  const text = Buffer.from(page.buffer, page.byteOffset, page.byteLength).toString('latin1')
  const at = text.toLowerCase().lastIndexOf('</body')
  const cut = at < 0 ? text.length : at
  return Buffer.from(text.slice(0, cut) + inAscii(stamp) + text.slice(cut), 'latin1')
}

function inAscii(html: string): string {
  return html.replaceAll(/[^\x20-\x7e]/gu, (char) => `&#${char.codePointAt(0)};`)
}
