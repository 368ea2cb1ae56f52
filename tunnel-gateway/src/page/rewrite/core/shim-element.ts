/** The element that brings the shim into a page. */
import type { ToldPlace } from '#src/page/shim/browser/here.ts'
import type { PagePlace } from '#src/page/shim/addresses.ts'

/**
 * @param address Of the shim below the page's prefix, with its version.
 * @param nonce Of the page's own Content-Security-Policy; empty: none.
 */
export function shimElement(place: PagePlace, address: string, nonce: string): string {
  const { prefix, publicPrefix, port, ports, hosts } = place
  const told = JSON.stringify({ prefix, publicPrefix, port, ports, hosts } satisfies ToldPlace)
  const mark = nonce === '' ? '' : ` nonce="${nonce}"`
  return `<script src="${prefix}${address}"${mark} data-page='${escape(told)}'></script>`
}

/** For an attribute in single quotes, of a page in any encoding. */
function escape(text: string): string {
  return text.replaceAll(/[^ !-%(-;=?-~]/gu, (character) => `&#${character.codePointAt(0)!};`)
}
