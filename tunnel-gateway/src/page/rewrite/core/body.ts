/** Bytes of a page or a style sheet in, bytes out: the encoding is found, the text is rewritten. */
import { encodingOf, MAX_MARK_LENGTH } from './charset.ts'
import type { Encoding } from './charset.ts'
import { createCssRewriter } from './css.ts'
import { createHtmlRewriter } from './html.ts'
import type { HtmlPage } from './html.ts'
import { PageAddresses } from './page-addresses.ts'
import type { TextRewriter } from './text-rewriter.ts'

export type BodyKind = 'html' | 'xhtml' | 'css'

export interface BodyOptions {
  readonly kind: BodyKind
  /** `charset` of the `Content-Type`; empty: none. */
  readonly charset: string
  readonly page: HtmlPage
  /** False: a script asked for it, or the browser shows no document of it. */
  readonly isDocument: boolean
}

export interface BodyRewriter {
  /** What is known of the outcome by now; may be empty. */
  write(bytes: Uint8Array): Uint8Array
  end(): Uint8Array
}

const NOTHING = Buffer.alloc(0)
const AT_CHARSET = /^@charset "([^"]{1,40})";/

export function createBodyRewriter(options: BodyOptions): BodyRewriter {
  /** The first bytes, until there are enough of them to know the encoding. */
  let held: Uint8Array | null = NOTHING
  let encoding: Encoding | null = null
  let rewriter: TextRewriter | null = null
  let out: string[] = []

  function start(bytes: Uint8Array): Uint8Array {
    held = null
    encoding = encodingOf(options.charset, bytes)
    if (encoding === null) return bytes
    rewriter = createRewriter(options, encoding, bytes, (text) => out.push(text))
    const { markLength } = encoding.codec
    const rest = rewrite(bytes.subarray(markLength))
    return markLength === 0 ? rest : Buffer.concat([bytes.subarray(0, markLength), rest])
  }

  function rewrite(bytes: Uint8Array): Uint8Array {
    if (encoding === null) return bytes
    rewriter!.write(encoding.codec.decode(bytes))
    return take()
  }

  function take(): Uint8Array {
    const text = out.length === 1 ? out[0]! : out.join('')
    out = []
    return text === '' ? NOTHING : encoding!.codec.encode(text)
  }

  return {
    write(bytes) {
      if (held === null) return rewrite(bytes)
      const all: Uint8Array = held.length === 0 ? bytes : Buffer.concat([held, bytes])
      if (all.length >= startLength(options)) return start(all)
      held = all
      return NOTHING
    },
    end() {
      const first = held === null ? NOTHING : start(held)
      if (encoding === null) return first
      rewriter!.end()
      return Buffer.concat([first, take(), encoding.codec.rest()])
    },
  }
}

/** Style sheets tell their encoding in their first bytes (CSS Syntax, section 3.2). */
function startLength({ kind }: BodyOptions): number {
  return kind === 'css' ? 64 : MAX_MARK_LENGTH
}

function createRewriter(
  options: BodyOptions,
  encoding: Encoding,
  start: Uint8Array,
  emit: (text: string) => void,
): TextRewriter {
  const { kind, page } = options
  const { isLeadByte, isSure } = encoding
  if (kind === 'css') {
    const told = isSure ? null : AT_CHARSET.exec(Buffer.from(start.subarray(0, 64)).toString('latin1'))
    const named = told === null ? null : encodingOf(told[1]!, NOTHING)
    const { map } = new PageAddresses(page.place, page.origin, page.path)
    return createCssRewriter(map, emit, named?.isLeadByte ?? isLeadByte)
  }
  return createHtmlRewriter(
    {
      page,
      isDocument: options.isDocument && kind === 'html',
      isXml: kind === 'xhtml',
      isLeadByte,
      isEncodingOpen: !isSure,
    },
    emit,
  )
}
