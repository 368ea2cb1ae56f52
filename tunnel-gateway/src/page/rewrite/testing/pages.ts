/** What tests of the rewriter share. */
import { createBodyRewriter } from '#src/page/rewrite/core/body.ts'
import type { BodyOptions } from '#src/page/rewrite/core/body.ts'
import { createCssRewriter } from '#src/page/rewrite/core/css.ts'
import { createHtmlRewriter } from '#src/page/rewrite/core/html.ts'
import type { HtmlOptions, HtmlPage } from '#src/page/rewrite/core/html.ts'
import { PageAddresses } from '#src/page/rewrite/core/page-addresses.ts'
import type { PagePlace } from '#src/page/shim/addresses.ts'

export const PLACE: PagePlace = {
  prefix: '/c/1~cap',
  publicPrefix: '/c/1',
  port: null,
  ports: [81],
  hosts: ['192.168.1.5', 'esp.local'],
  pageHost: 'portal.example',
}

export const PAGE: HtmlPage = {
  place: PLACE,
  origin: 'https://portal.example',
  path: '/',
  shim: '<shim>',
  shimPath: '/c/1~cap/_wmoc/shim.js',
  nonce: '',
  isSandboxed: true,
}

/** Two spellings of what comes before the page's first script. */
export const IMPORT_MAP =
  '<script type="importmap">{"imports":{"/":"/c/1~cap/","/c/1~cap/":"/c/1~cap/","/c/1~cap~81/":"/c/1~cap~81/"}}</script>'

export type Cut = (text: string) => string[]

export const inOnePiece: Cut = (text) => [text]
export const inCharacters: Cut = (text) => [...text]

/** A page as a browser gets it. */
export function html(text: string, options: Partial<HtmlOptions> = {}, cut: Cut = inOnePiece): string {
  let out = ''
  const rewriter = createHtmlRewriter(
    { page: PAGE, isDocument: false, ...options },
    (piece) => (out += piece),
  )
  for (const piece of cut(text)) rewriter.write(piece)
  rewriter.end()
  return out
}

export function css(text: string, cut: Cut = inOnePiece, path = '/'): string {
  let out = ''
  const { map } = new PageAddresses(PLACE, PAGE.origin, path)
  const rewriter = createCssRewriter(map, (piece) => (out += piece))
  for (const piece of cut(text)) rewriter.write(piece)
  rewriter.end()
  return out
}

export function bytes(
  input: Uint8Array,
  options: Partial<BodyOptions> = {},
  size = input.length || 1,
): Buffer {
  const rewriter = createBodyRewriter({ kind: 'html', charset: '', page: PAGE, isDocument: true, ...options })
  const out: Uint8Array[] = []
  for (let at = 0; at < input.length; at += size) out.push(rewriter.write(input.subarray(at, at + size)))
  out.push(rewriter.end())
  return Buffer.concat(out)
}
