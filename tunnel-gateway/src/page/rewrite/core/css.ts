/**
 * Maps the addresses in a style sheet (CSS Syntax Module Level 3) as it comes: `url()`, `src()`, `@import` and the strings in
 * `image-set()`. Only the beginning of an address is ever held; everything else goes on at once, byte for byte.
 */
import { isHexDigit, isSpace, readAddressHead } from './css-escapes.ts'
import type { IsLeadByte, MapAddress, TextRewriter } from './text-rewriter.ts'

const TEXT = 0
const NAME = 1
const NAME_ESCAPE = 2
const SLASH = 3
const COMMENT = 4
const COMMENT_STAR = 5
const STRING = 6
const STRING_ESCAPE = 7
const STRING_ESCAPED_CR = 8
const URL_START = 9
const URL = 10
const URL_ESCAPE = 11

/** By then it is sure where an address leads. */
const MAX_HEAD = 2_048
/** Longer than every name that means something here. */
const MAX_NAME = 24
const IMAGE_SETS: ReadonlySet<string> = new Set(['image-set', '-webkit-image-set'])

/** @param isLeadByte Null: the encoding keeps backslashes to itself. */
export function createCssRewriter(
  map: MapAddress,
  emit: (text: string) => void,
  isLeadByte: IsLeadByte | null = null,
): TextRewriter {
  return new CssRewriter(map, emit, isLeadByte)
}

class CssRewriter implements TextRewriter {
  readonly #map: MapAddress
  readonly #emit: (text: string) => void
  readonly #isLeadByte: IsLeadByte | null
  #state = TEXT
  /** Lower case, without escapes. `#` and digits count to a name: `10url(` is none. */
  #name = ''
  #hex = ''
  #isAt = false
  #quote = 0
  /** The next string is an address. */
  #expectsAddress = false
  /** Parentheses open in an `image-set(`, itself counted. */
  #setDepth = 0
  /** Beginning of an address that is not decided yet; null: none. */
  #head: string | null = null
  #skipsNext = false
  #piece = ''
  /** What of the piece was not handed on, or not added to `#head`. */
  #from = 0

  constructor(map: MapAddress, emit: (text: string) => void, isLeadByte: IsLeadByte | null) {
    this.#map = map
    this.#emit = emit
    this.#isLeadByte = isLeadByte
  }

  write(piece: string): void {
    this.#piece = piece
    this.#from = 0
    for (let at = 0; at < piece.length; at += 1) {
      const code = piece.charCodeAt(at)
      if (this.#skipsNext) this.#skipsNext = false
      else this.#step(code, at)
      if (this.#head !== null && this.#head.length + at - this.#from >= MAX_HEAD) this.#decide(at + 1)
    }
    const rest = piece.slice(this.#from)
    if (this.#head !== null) this.#head += rest
    else if (rest !== '') this.#emit(rest)
    this.#piece = ''
    this.#from = 0
  }

  end(): void {
    this.#decide(0)
  }

  #step(code: number, at: number): void {
    if (code >= 0x80 && this.#isLeadByte !== null) this.#skipsNext = this.#isLeadByte(code)
    switch (this.#state) {
      case TEXT:
        return this.#text(code, at)
      case NAME:
        return this.#inName(code, at)
      case NAME_ESCAPE:
        return this.#nameEscape(code, at)
      case SLASH:
        this.#state = code === 0x2a ? COMMENT : TEXT
        return this.#state === TEXT ? this.#text(code, at) : undefined
      case COMMENT:
        if (code === 0x2a) this.#state = COMMENT_STAR
        return
      case COMMENT_STAR:
        if (code !== 0x2a) this.#state = code === 0x2f ? TEXT : COMMENT
        return
      case STRING_ESCAPE:
        this.#state = code === 0x0d ? STRING_ESCAPED_CR : STRING
        return
      case STRING_ESCAPED_CR:
        this.#state = STRING
        // A line end of two characters is one (section 3.3).
        return code === 0x0a ? undefined : this.#string(code, at)
      case STRING:
        return this.#string(code, at)
      case URL_START:
        return this.#urlStart(code, at)
      case URL:
        if (code === 0x5c) this.#state = URL_ESCAPE
        else if (code === 0x29) this.#endAddress(at)
        return
      default:
        this.#state = URL
    }
  }

  #text(code: number, at: number): void {
    if (isNameCode(code) || code === 0x23 || code === 0x40) {
      this.#isAt = code === 0x40
      this.#name = this.#isAt ? '' : toLower(code)
      this.#state = NAME
    } else if (code === 0x5c) {
      this.#isAt = false
      this.#name = ''
      this.#beginNameEscape()
    } else if (code === 0x2f) this.#state = SLASH
    else if (code === 0x22 || code === 0x27) this.#beginString(code, at)
    else if (!isSpace(code)) {
      this.#expectsAddress = false
      if (this.#setDepth > 0 && code === 0x28) this.#setDepth += 1
      if (this.#setDepth > 0 && code === 0x29) this.#setDepth -= 1
    }
  }

  #inName(code: number, at: number): void {
    if (isNameCode(code)) return this.#addToName(toLower(code))
    if (code === 0x5c) return this.#beginNameEscape()
    const name = this.#name
    this.#state = TEXT
    this.#expectsAddress = this.#isAt && name === 'import'
    if (code !== 0x28 || this.#isAt) return this.#text(code, at)
    if (name === 'url') this.#state = URL_START
    else if (this.#setDepth > 0) this.#setDepth += 1
    else if (IMAGE_SETS.has(name)) this.#setDepth = 1
    this.#expectsAddress = name === 'src'
  }

  #beginNameEscape(): void {
    this.#hex = ''
    this.#state = NAME_ESCAPE
  }

  #nameEscape(code: number, at: number): void {
    if (isHexDigit(code) && this.#hex.length < 6) {
      this.#hex += String.fromCharCode(code)
      return
    }
    this.#state = NAME
    if (this.#hex === '') return this.#addToName(toLower(code))
    this.#addToName(toLower(Number.parseInt(this.#hex, 16)))
    if (!isSpace(code)) this.#inName(code, at)
  }

  #addToName(character: string): void {
    if (this.#name.length < MAX_NAME) this.#name += character
  }

  #beginString(quote: number, at: number): void {
    this.#quote = quote
    this.#state = STRING
    if (this.#expectsAddress || this.#setDepth > 0) this.#beginAddress(at + 1)
    this.#expectsAddress = false
  }

  #string(code: number, at: number): void {
    if (code === 0x5c) this.#state = STRING_ESCAPE
    // A string can't go over its line's end (section 4.3.5).
    else if (code === this.#quote || code === 0x0a || code === 0x0d || code === 0x0c) this.#endAddress(at)
  }

  #urlStart(code: number, at: number): void {
    if (isSpace(code)) return
    this.#expectsAddress = true
    if (code === 0x22 || code === 0x27) {
      if (this.#setDepth > 0) this.#setDepth += 1
      return this.#beginString(code, at)
    }
    this.#expectsAddress = false
    this.#beginAddress(at)
    this.#state = code === 0x5c ? URL_ESCAPE : URL
    if (code === 0x29) this.#endAddress(at)
  }

  #beginAddress(at: number): void {
    if (at > this.#from) this.#emit(this.#piece.slice(this.#from, at))
    this.#from = at
    this.#head = ''
  }

  #endAddress(at: number): void {
    this.#state = TEXT
    this.#decide(at)
  }

  /** Hands on what is held of an address, which goes up to `at`. */
  #decide(at: number): void {
    if (this.#head === null) return
    const raw = this.#head + this.#piece.slice(this.#from, at)
    const { head, length } = readAddressHead(raw)
    const mapped = this.#map(head)
    const text = mapped === null ? raw : mapped + raw.slice(length)
    if (text !== '') this.#emit(text)
    this.#head = null
    this.#from = at
  }
}

function isNameCode(code: number): boolean {
  return (
    code >= 0x80 ||
    (code >= 0x61 && code <= 0x7a) ||
    (code >= 0x41 && code <= 0x5a) ||
    (code >= 0x30 && code <= 0x39) ||
    code === 0x2d ||
    code === 0x5f
  )
}

function toLower(code: number): string {
  return code < 0x80 ? String.fromCharCode(code).toLowerCase() : '\x80'
}
