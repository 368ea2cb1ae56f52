/** `<meta http-equiv=refresh>` (HTML Standard, section 4.2.5.3). */
import type { MapAddress } from './text-rewriter.ts'

const SPACE = /[\t\n\f\r ]*/y
const PARTS = [
  SPACE,
  /[\d.]*/y,
  SPACE,
  /[;,]?/y,
  SPACE,
  /(?:url(?=[\t\n\f\r ]*=))?/iy,
  SPACE,
  /=?/y,
  SPACE,
  /["']?/y,
]

/** The content with its address mapped; null: as it is. */
export function rewriteRefreshContent(content: string, map: MapAddress): string | null {
  let at = 0
  for (const part of PARTS) {
    part.lastIndex = at
    at += part.exec(content)?.[0].length ?? 0
  }
  const mapped = map(content.slice(at))
  return mapped === null ? null : content.slice(0, at) + mapped
}
