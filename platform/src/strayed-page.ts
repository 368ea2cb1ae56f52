/**
 * What a frame gets that asks for something of the portal's origin. Nothing of the portal is ever framed: it is a device's
 * page in the shell's sandbox that left by `location = '/setup'`, which no script can catch there (an opaque origin has
 * no navigation events). The answer tells who framed it where the page wanted to go: to the shell, or to the page itself
 * for a frame of its own.
 */
import { createHash } from 'node:crypto'

// A device that heeds X-Forwarded-Prefix writes `/c/{id}/setup`, from where the gateway leads to `/open/{id}/setup`.
const SCRIPT =
  `parent.postMessage({wmoc:'strayed',path:location.pathname.replace(/^\\/open\\/[0-9a-f-]{36}(?=\\/)/,'')` +
  `+location.search+location.hash},'*')`
const HASH = createHash('sha256').update(SCRIPT).digest('base64')

export const STRAYED_PAGE = Buffer.from(
  `<!doctype html><meta charset="utf-8"><title></title><script>${SCRIPT}</script>`,
)

/**
 * Over the headers that a server has for all its answers. No `frame-ancestors`: above may be a device's page, whose opaque
 * origin no policy can name, and there is nothing in it but the address that was asked for.
 */
export const STRAYED_HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': `default-src 'none'; script-src 'sha256-${HASH}'; base-uri 'none'; form-action 'none'; sandbox allow-scripts`,
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
}

/** Whether a browser asks for a document to put into a frame (`Sec-Fetch-Dest`, Fetch Metadata). */
export function isFramed(destination: string | string[] | undefined): boolean {
  return destination === 'iframe' || destination === 'frame'
}
