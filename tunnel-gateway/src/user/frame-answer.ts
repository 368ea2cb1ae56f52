/**
 * The answer to a page in a sandboxed frame (surface B), whoever made it: a device, a layer or the gateway. Its origin is
 * opaque, so that its own requests are cross-origin ones, and nothing in it may act for the portal's origin.
 */
import { AnswerLayer } from './answer.ts'
import type { Answer } from './answer.ts'

/** Documents that may run scripts; any other that a browser would show (SVG, XML) may not. */
const SCRIPTED = /^(?:text\/html|application\/xhtml\+xml)\s*(?:;|$)/i
export const FRAME_SANDBOX =
  'allow-scripts allow-forms allow-popups allow-popups-to-escape-sandbox allow-modals allow-downloads'
const BEARER = /^bearer(?: |$)/i
const OURS = [
  'Referrer-Policy',
  'no-referrer',
  'X-Content-Type-Options',
  'nosniff',
  'Cross-Origin-Resource-Policy',
  'cross-origin',
  'Access-Control-Allow-Origin',
  'null',
  'Access-Control-Expose-Headers',
  '*',
]
const REPLACED: ReadonlySet<string> = new Set([
  'referrer-policy',
  'x-content-type-options',
  'cross-origin-resource-policy',
  'access-control-allow-origin',
  'access-control-expose-headers',
])

export class FrameAnswer extends AnswerLayer {
  readonly #ancestors: string

  /**
   * @param isAskedByShell Else it is asked for by the page itself, which may have frames of its own: for those
   *   `frame-ancestors` would name the page's opaque origin, and no policy can. What keeps others from framing it is that
   *   nobody else knows its address.
   */
  constructor(inner: Answer, isAskedByShell: boolean) {
    super(inner)
    this.#ancestors = isAskedByShell ? "; frame-ancestors 'self'" : ''
  }

  override writeHead(status: number, headers: string[]): unknown {
    const out: string[] = []
    let isScripted = false
    for (let at = 0; at < headers.length; at += 2) {
      const name = headers[at]!.toLowerCase()
      if (REPLACED.has(name)) continue
      // The browser would keep what a person answers for the whole portal, other devices included.
      if (name === 'www-authenticate' && !BEARER.test(headers[at + 1]!)) continue
      if (name === 'content-type') isScripted = SCRIPTED.test(headers[at + 1]!)
      out.push(headers[at]!, headers[at + 1]!)
    }
    const sandbox = isScripted ? `sandbox ${FRAME_SANDBOX}` : 'sandbox'
    out.push(...OURS, 'Content-Security-Policy', sandbox + this.#ancestors)
    return super.writeHead(status, out)
  }
}
