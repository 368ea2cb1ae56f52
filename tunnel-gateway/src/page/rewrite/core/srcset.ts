/** `srcset` and `imagesrcset` (HTML Standard, section 4.8.4.2): addresses, each with descriptors, with commas between. */
import type { MapAddress } from './text-rewriter.ts'

const SEPARATORS = /[\t\n\f\r ,]*/y
const ADDRESS = /[^\t\n\f\r ]+/y
const DESCRIPTORS = /[^,]*/y

/** The list with its addresses mapped; null: as it is. */
export function rewriteSrcset(list: string, map: MapAddress): string | null {
  let out = ''
  let isChanged = false
  let at = 0
  const take = (pattern: RegExp): string => {
    pattern.lastIndex = at
    const taken = pattern.exec(list)?.[0] ?? ''
    at += taken.length
    return taken
  }
  while (at < list.length) {
    out += take(SEPARATORS)
    const address = take(ADDRESS)
    const mapped = map(address)
    isChanged ||= mapped !== null
    out += mapped ?? address
    // A comma at the end of an address ends the candidate.
    if (!address.endsWith(',')) out += take(DESCRIPTORS)
  }
  return isChanged ? out : null
}
