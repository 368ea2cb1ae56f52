/** The shim as the gateway hands it out: the built script, and the element that brings it into a page. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { pageBase } from './addresses.ts'
import type { PagePlace } from './addresses.ts'
import type { ToldPlace } from './browser/here.ts'

/** Made of `browser/` by `npm run gen`. */
export const SHIM: Buffer = readFileSync(new URL('generated/shim.js', import.meta.url))

export const SHIM_VERSION = createHash('sha256').update(SHIM).digest('base64url').slice(0, 16)

/** Below a page's prefix. */
export const SHIM_PATH = '/_wmoc/shim.js'

/** Where a page's shim lies, with the version that makes it immutable. */
export function shimAddress(place: PagePlace): string {
  return `${pageBase(place)}${SHIM_PATH}?v=${SHIM_VERSION}`
}

/**
 * The element to put in front of everything in a page's head.
 * @param nonce Of the page's own Content-Security-Policy; empty: none is needed.
 */
export function shimElement(place: PagePlace, nonce = ''): string {
  const { prefix, publicPrefix, port, ports, hosts } = place
  const told = JSON.stringify({ prefix, publicPrefix, port, ports, hosts } satisfies ToldPlace)
  const mark = nonce === '' ? '' : ` nonce="${nonce}"`
  return `<script src="${shimAddress(place)}"${mark} data-page='${escape(told)}'></script>`
}

/** For an attribute in single quotes. */
function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll("'", '&#39;').replaceAll('<', '&lt;')
}
