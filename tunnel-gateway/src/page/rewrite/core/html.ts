/**
 * Changes a page of HTML as it comes. The tokenizer keeps nothing but the piece that it was given and tells positions; what is
 * not written anew goes on byte for byte. Held are one tag at most, up to a limit, and an import map.
 */
import { Tokenizer } from 'htmlparser2'
import type { PagePlace } from '#src/page/shim/addresses.ts'
import { kindOfAttribute } from './attributes.ts'
import { encodingName, isStateful, leadByteOf } from './charset.ts'
import { createCssRewriter } from './css.ts'
import { importMapText, mergeImportMap, ownImports } from './import-map.ts'
import { PageAddresses } from './page-addresses.ts'
import { editTag, noFacts } from './tag.ts'
import type { Attribute, TagContext, TagFacts } from './tag.ts'
import type { IsLeadByte, TextRewriter } from './text-rewriter.ts'

export interface HtmlPage {
  readonly place: PagePlace
  /** `https://host` of the page's public address. */
  readonly origin: string
  /** Path of the page as the device knows it. */
  readonly path: string
  /** The shim's element, which becomes the first of the head. */
  readonly shim: string
  /** Path of the shim without query. */
  readonly shimPath: string
  /** Allows what we put in, where the page has a Content-Security-Policy. */
  readonly nonce: string
  /** The page is in a frame that can't reach the windows around it. */
  readonly isSandboxed: boolean
}

export interface HtmlOptions {
  readonly page: HtmlPage
  /** False: a fragment that a script asked for, or XHTML: nothing is put in. */
  readonly isDocument: boolean
  readonly isXml?: boolean
  readonly isLeadByte?: IsLeadByte | null
  /** A `<meta>` may still tell the encoding. */
  readonly isEncodingOpen?: boolean
  /** Documents in attributes that this one is inside of. */
  readonly depth?: number
}

/** Longest attribute, import map, and rest of a tag that is looked at; what is longer passes as it is. */
export const MAX_HELD = 65_536

interface OpenTag {
  readonly name: string
  readonly from: number
  /** Behind the last attribute that is whole. */
  done: number
  attributes: Attribute[]
  readonly facts: TagFacts
  /** Of the attribute that is being read. */
  attributeName: string
  attributeFrom: number
  valueFrom: number
}

type Content = { readonly kind: 'style'; readonly css: TextRewriter } | { readonly kind: 'import_map' }

const NOT_SPACE = /[^\t\n\f\r ]/
const SCRIPT_TYPES =
  /^(?:|module|(?:text|application)\/(?:x-)?(?:java|ecma)script|text\/(?:jscript|livescript|javascript1\.[0-5]))$/
const FOREIGN: ReadonlySet<string> = new Set(['svg', 'math'])
/** HTML again inside of SVG. */
const INTEGRATION: ReadonlySet<string> = new Set(['foreignobject', 'desc', 'title'])
/** Ends SVG and MathML wherever it is met (section 13.2.6.5). */
const BREAKOUT =
  /^(?:b|big|blockquote|body|br|center|code|d[dlt]|div|em|embed|h[1-6]|head|hr|i|img|li|listing|menu|meta|nobr|ol|p|pre|ruby|s|small|span|strong|strike|su[bp]|table|tt|u|ul|var)$/
const MAX_DEPTH = 64
const QUOTES = ['', '', "'", '"'] as const
/** Characters of `</style` and what ends it. */
const MAX_STYLE_END = 8
const MAX_INNER_DOCUMENTS = 3

export function createHtmlRewriter(options: HtmlOptions, emit: (text: string) => void): TextRewriter {
  return new HtmlRewriter(options, emit)
}

class HtmlRewriter implements TextRewriter {
  readonly #page: HtmlPage
  readonly #emit: (text: string) => void
  readonly #isXml: boolean
  readonly #tokenizer: Tokenizer
  readonly #context: TagContext
  /** What is not handed on yet, and its position. */
  #text = ''
  #base = 0
  /** Up to here everything is handed on. */
  #sent = 0
  #tag: OpenTag | null = null
  #content: Content | null = null
  /** A tag may have begun here; -1: none. */
  #maybe = -1
  /** The shim is in its place. */
  #isPlaced: boolean
  #imports: Record<string, string> | null
  /** SVG, MathML and HTML in them, outermost first. */
  readonly #foreign: string[] = []
  #isLeadByte: IsLeadByte | null
  #isEncodingOpen: boolean
  /** The encoding gives no meaning to bytes by themselves: all of the rest passes. */
  #isOpaque = false

  constructor(options: HtmlOptions, emit: (text: string) => void) {
    const { page, isDocument, isXml = false, isLeadByte = null, isEncodingOpen = false } = options
    this.#page = page
    this.#emit = emit
    this.#isXml = isXml
    this.#isPlaced = !isDocument
    this.#imports = isDocument ? ownImports(page.place) : null
    this.#isLeadByte = isLeadByte
    this.#isEncodingOpen = isEncodingOpen
    this.#context = this.#tagContext(options.depth ?? 0)
    this.#tokenizer = new Tokenizer({ decodeEntities: false, xmlMode: isXml }, this.#callbacks())
  }

  write(piece: string): void {
    this.#text = this.#text === '' ? piece : this.#text + piece
    this.#tokenizer.write(piece)
    const end = this.#base + this.#text.length
    this.#sendUpTo(this.#holdFrom(piece, end))
    this.#text = this.#sent === end ? '' : this.#text.slice(this.#sent - this.#base)
    this.#base = this.#sent
  }

  end(): void {
    this.#tokenizer.end()
    if (this.#content?.kind === 'style') this.#content.css.end()
    this.#sendUpTo(this.#base + this.#text.length)
    this.#text = ''
  }

  #tagContext(depth: number): TagContext {
    const { place, origin, path, shimPath, nonce, isSandboxed } = this.#page
    const addresses = new PageAddresses(place, origin, path)
    return {
      addresses,
      policy: { map: addresses.map, origin, nonce, shimPath },
      isSandboxed,
      isLeadByte: () => this.#isLeadByte,
      encoding: (label) => this.#learnEncoding(label),
      rewriteDocument: (html) =>
        depth === MAX_INNER_DOCUMENTS
          ? html
          : rewriteWhole({ page: this.#page, isDocument: true, depth: depth + 1 }, html),
    }
  }

  #callbacks() {
    const nothing = () => undefined
    return {
      onopentagname: (from: number, end: number) => this.#beginTag(from, end),
      onattribname: (from: number, end: number) => this.#beginAttribute(from, end),
      onattribdata: (from: number) => {
        if (this.#tag !== null && this.#tag.valueFrom < 0) this.#tag.valueFrom = from
      },
      onattribend: (quote: number, end: number) => this.#endAttribute(quote, end),
      onopentagend: (at: number) => this.#endTag(at + 1, false),
      onselfclosingtag: (at: number) => this.#endTag(at + 1, true),
      onclosetag: (from: number, end: number) => this.#closeTag(from, end),
      ontext: (from: number, end: number) => this.#takeText(from, end),
      isInForeignContext: () => FOREIGN.has(this.#foreign.at(-1) ?? ''),
      onattribentity: nothing,
      oncdata: nothing,
      oncomment: nothing,
      ondeclaration: nothing,
      onend: nothing,
      onprocessinginstruction: nothing,
      ontextentity: nothing,
    }
  }

  #slice(from: number, end: number): string {
    return this.#text.slice(Math.max(0, from - this.#base), Math.max(0, end - this.#base))
  }

  #sendUpTo(end: number): void {
    if (end <= this.#sent) return
    this.#emit(this.#slice(this.#sent, end))
    this.#sent = end
  }

  #beginTag(from: number, end: number): void {
    this.#maybe = -1
    const name = end - from > 32 ? '' : this.#slice(from, end).toLowerCase()
    if (name !== 'html' && name !== 'head' && end - from <= MAX_HELD) this.#place(from - 1)
    this.#tag = {
      name,
      from: from - 1,
      done: end,
      attributes: [],
      facts: noFacts(),
      attributeName: '',
      attributeFrom: end,
      valueFrom: -1,
    }
  }

  #beginAttribute(from: number, end: number): void {
    const tag = this.#tag!
    tag.attributeName = end - from > 32 ? '' : this.#slice(from, end).toLowerCase()
    tag.attributeFrom = from
    tag.valueFrom = -1
  }

  #endAttribute(quote: number, end: number): void {
    const tag = this.#tag!
    const isTooLong = end - tag.done > MAX_HELD
    tag.done = end
    const kind = isTooLong ? null : kindOfAttribute(tag.name, tag.attributeName)
    if (kind !== null) {
      const hasValue = tag.valueFrom >= 0
      const valueFrom = hasValue ? tag.valueFrom : end
      const valueEnd = quote > 1 ? end - 1 : end
      const raw = this.#slice(valueFrom, valueEnd)
      const { attributeName: name, attributeFrom: from } = tag
      tag.attributes.push({
        name,
        kind,
        from,
        valueFrom,
        valueEnd,
        end,
        quote: QUOTES[quote]!,
        hasValue,
        raw,
      })
    }
    // Where a tag is parted does not depend on the pieces that it came in.
    if (isTooLong || end - Math.max(this.#sent, tag.from) > MAX_HELD) {
      this.#endPart(tag)
      this.#sendUpTo(end)
    }
  }

  /** What is known of a tag goes out; what is too long follows as it is. */
  #endPart(tag: OpenTag): void {
    if (tag.name === 'script' || tag.name === 'link') this.#placeImports(tag)
    const edits = this.#isOpaque ? [] : editTag(tag.name, tag.attributes, tag.facts, this.#context)
    for (const { from, end, text } of edits) {
      this.#sendUpTo(from)
      this.#emit(text)
      this.#sent = Math.max(this.#sent, end)
    }
    tag.attributes = []
  }

  #endTag(end: number, isSelfClosing: boolean): void {
    const tag = this.#tag!
    this.#tag = null
    this.#endPart(tag)
    this.#sendUpTo(end)
    if (tag.name !== 'html') this.#place(end)
    if (this.#isXml) return
    if (BREAKOUT.test(tag.name)) while (FOREIGN.has(this.#foreign.at(-1) ?? '')) this.#foreign.pop()
    const parent = this.#foreign.at(-1) ?? ''
    this.#enter(tag.name, parent, isSelfClosing)
    if (FOREIGN.has(parent) || this.#isOpaque) return
    if (tag.name === 'style') {
      const css = createCssRewriter(this.#context.addresses.map, this.#emit, this.#isLeadByte)
      this.#content = { kind: 'style', css }
    } else if (tag.name === 'script' && tag.facts.type === 'importmap') this.#content = { kind: 'import_map' }
  }

  /** Our import map goes before the first script, unless that is the page's own: then it goes into it. */
  #placeImports(tag: OpenTag): void {
    if (this.#imports === null || this.#isOpaque) return
    const seen = peekFacts(tag)
    const isNeeded =
      tag.name === 'script' ? SCRIPT_TYPES.test(seen.type) : /(?:^|\s)modulepreload(?:\s|$)/.test(seen.rel)
    if (!isNeeded || this.#sent > tag.from) return
    this.#sendUpTo(tag.from)
    this.#emit(`<script type="importmap"${nonceOf(this.#page)}>${importMapText(this.#imports)}</script>`)
    this.#imports = null
  }

  #enter(name: string, parent: string, isSelfClosing: boolean): void {
    if (isSelfClosing || this.#foreign.length >= MAX_DEPTH) return
    if (FOREIGN.has(name) || (FOREIGN.has(parent) && INTEGRATION.has(name))) this.#foreign.push(name)
  }

  #closeTag(from: number, end: number): void {
    const name = end - from > 32 ? '' : this.#slice(from, end).toLowerCase()
    this.#maybe = -1
    if (this.#content !== null) this.#endContent(from - 2)
    else if (/^(?:head|body|html|br)$/.test(name)) this.#place(from - 2)
    const at = this.#foreign.lastIndexOf(name)
    if (at >= 0) this.#foreign.length = at
  }

  #takeText(from: number, end: number): void {
    // The rest of a tag that never ended.
    if (from < 0) return
    if (this.#content?.kind === 'style') {
      if (end <= this.#sent) return
      this.#content.css.write(this.#slice(Math.max(from, this.#sent), end))
      this.#sent = end
    } else if (!this.#isPlaced) {
      const at = this.#slice(from, end).search(NOT_SPACE)
      if (at >= 0) this.#place(from + at)
    }
  }

  #endContent(end: number): void {
    const content = this.#content!
    this.#content = null
    if (content.kind === 'style') return content.css.end()
    if (end - this.#sent > MAX_HELD) return
    const merged = mergeImportMap(this.#slice(this.#sent, end), this.#imports, this.#context.addresses.map)
    if (merged === null) return
    this.#emit(merged)
    this.#sent = end
    this.#imports = null
  }

  /** Puts the shim in, unless it is there: behind `<head>`, or before whatever would make a parser imagine one. */
  #place(at: number): void {
    if (this.#isPlaced) return
    this.#isPlaced = true
    this.#sendUpTo(at)
    this.#emit(this.#page.shim)
  }

  #learnEncoding(label: string): void {
    if (!this.#isEncodingOpen || label === '') return
    this.#isEncodingOpen = false
    const name = encodingName(label)
    this.#isLeadByte = leadByteOf(name)
    this.#isOpaque = isStateful(name)
  }

  /** The position from which something has to wait for more. */
  #holdFrom(piece: string, end: number): number {
    if (this.#content !== null) return this.#holdContent(end)
    const tag = this.#tag
    if (tag !== null) {
      if (end - tag.done <= MAX_HELD) return this.#sent
      this.#endPart(tag)
      return end
    }
    this.#findMaybe(piece, end)
    if (this.#maybe >= 0 && end - this.#maybe > MAX_HELD) this.#maybe = -1
    return this.#maybe >= 0 ? this.#maybe : end
  }

  #holdContent(end: number): number {
    if (this.#content!.kind === 'style') {
      // The tokenizer is silent for as long as the end may be near.
      this.#takeText(this.#sent, end - MAX_STYLE_END)
      return this.#sent
    }
    if (end - this.#sent <= MAX_HELD) return this.#sent
    this.#content = null
    return end
  }

  /** A `<` after which no tag's name can have ended yet. */
  #findMaybe(piece: string, end: number): void {
    let found = -1
    for (let at = piece.length - 1; at >= 0; at -= 1) {
      const code = piece.charCodeAt(at)
      if (code === 0x3c) found = at
      else if (code <= 0x20 || code === 0x3e) {
        this.#maybe = found < 0 ? -1 : end - piece.length + found
        return
      }
    }
    if (this.#maybe < 0 && found >= 0) this.#maybe = end - piece.length + found
  }
}

/** A whole text at once. */
export function rewriteWhole(options: HtmlOptions, html: string): string {
  let out = ''
  const rewriter = createHtmlRewriter(options, (text) => (out += text))
  rewriter.write(html)
  rewriter.end()
  return out
}

export function nonceOf({ nonce }: Pick<HtmlPage, 'nonce'>): string {
  return nonce === '' ? '' : ` nonce="${nonce}"`
}

/** Of a tag whose attributes are not judged yet. */
function peekFacts({ facts, attributes }: OpenTag): { type: string; rel: string } {
  const find = (name: string) =>
    attributes
      .find((attribute) => attribute.name === name)
      ?.raw.trim()
      .toLowerCase() ?? ''
  return { type: facts.type || find('type'), rel: facts.rel || find('rel') }
}
