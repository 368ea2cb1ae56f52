/**
 * What a frame gets that asks for a page of the portal. No page of the portal is ever framed: it is a device's page in
 * the shell's sandbox that left by `location = '/setup'`, which no script can catch there (an opaque origin has no
 * navigation events). The answer tells the shell where the page wanted to go.
 */
import { createHash } from 'node:crypto'

const SCRIPT = `parent.postMessage({wmoc:'strayed',path:location.pathname+location.search+location.hash},'*')`
const HASH = createHash('sha256').update(SCRIPT).digest('base64')

export const STRAYED_PAGE = Buffer.from(
  `<!doctype html><meta charset="utf-8"><title></title><script>${SCRIPT}</script>`,
)

/** Over the portal's own headers. The sandbox stays on even where somebody frames it without one. */
export const STRAYED_HEADERS: Readonly<Record<string, string | number>> = {
  'content-security-policy': `default-src 'none'; script-src 'sha256-${HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox allow-scripts`,
  'content-type': 'text/html; charset=utf-8',
  'content-length': STRAYED_PAGE.length,
  'cache-control': 'no-store',
}

/** Whether a browser asks for a document to put into a frame (`Sec-Fetch-Dest`, Fetch Metadata). */
export function isFramed(destination: string | string[] | undefined): boolean {
  return destination === 'iframe' || destination === 'frame'
}
