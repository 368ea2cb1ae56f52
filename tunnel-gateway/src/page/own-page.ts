/** Pages of ours in place of a device's: plain HTML under a policy that lets nothing in, readable without script. */
import { createHash } from 'node:crypto'
import type { Answer } from '#src/user/answer.ts'
import { withOwnHeaders } from '#src/user/problem.ts'
import { OWN_PAGE } from './layers.ts'

export type Language = 'en' | 'ru'

export interface OwnPage {
  readonly status: number
  readonly language: Language
  readonly title: string
  /** Inside of `<main>`; whatever comes from outside is escaped by `escapeHtml`. */
  readonly body: string
  /** Outside of `<main>`, a constant script and `<noscript>` for one. */
  readonly after?: string
  /** In the head. */
  readonly head?: string
  /** Constant texts of inline scripts that may run. */
  readonly scripts?: readonly string[]
  /** `https://host`: what its form may be sent to and its script may ask. */
  readonly origin: string
  readonly headers?: readonly string[]
}

const STYLE =
  ':root{color-scheme:light dark}' +
  'body{font:16px/1.5 system-ui,sans-serif;max-width:26rem;margin:14vh auto;padding:0 1.25rem;color:#1c1f23;background:#fff}' +
  'h1{font-size:1.375rem;line-height:1.25;margin:0 0 .75rem;overflow-wrap:anywhere}p{margin:0 0 1rem;overflow-wrap:anywhere}' +
  '.muted{color:#5a6472}.error{border-left:4px solid #c4320a;padding:.25rem .75rem}' +
  'label{display:block;margin:0 0 .875rem;font-weight:500}label.tick{display:flex;gap:.5rem;align-items:center;font-weight:400}' +
  'input[type=text],input[type=password]{box-sizing:border-box;width:100%;font:inherit;margin-top:.25rem;padding:.5rem .625rem;border:1px solid #8a94a3;border-radius:.375rem;color:inherit;background:transparent}' +
  'input[type=checkbox]{width:1.125rem;height:1.125rem;margin:0}' +
  'button{font:inherit;font-weight:600;padding:.5rem 1.25rem;border:0;border-radius:.375rem;color:#fff;background:#1d5bd6;cursor:pointer}' +
  'input:focus-visible,button:focus-visible{outline:3px solid #74a4ff;outline-offset:2px}' +
  '@media(prefers-color-scheme:dark){body{color:#e8eaed;background:#15181c}.muted{color:#a3adba}button{background:#3b76ee}.error{border-color:#ff8a65}}'
const STYLE_HASH = hashOf(STYLE)

/** Sends it, not to be kept, changed or framed by anybody but the portal and the page's own origin. */
export function sendOwnPage(response: Answer, page: OwnPage): void {
  const { status, language, title, body, after = '', head = '', scripts = [], origin, headers = [] } = page
  const html =
    `<!doctype html><html lang="${language}"><head><meta charset="utf-8">` +
    `<meta name="viewport" content="width=device-width,initial-scale=1">${head}<title>${escapeHtml(title)}</title>` +
    `<style>${STYLE}</style></head><body><main>${body}</main>${after}</body></html>`
  const scriptSources = scripts.map((script) => `'sha256-${hashOf(script)}'`).join(' ')
  const policy =
    `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; script-src ${scriptSources === '' ? "'none'" : scriptSources}; ` +
    `connect-src ${origin}; form-action ${origin}; base-uri 'none'; frame-ancestors 'self'`
  response.writeHead(
    status,
    withOwnHeaders(response, [
      ...OWN_PAGE,
      // Not `no-referrer`: its form would come from nowhere.
      'Referrer-Policy',
      'same-origin',
      'Content-Type',
      'text/html; charset=utf-8',
      'Content-Security-Policy',
      policy,
      ...headers,
      'Content-Length',
      String(Buffer.byteLength(html)),
    ]),
  )
  response.end(response.req.method === 'HEAD' ? undefined : html)
}

/** Of two languages the one that is wanted more (RFC 9110 section 12.5.4); English for everybody else. */
export function languageOf(acceptLanguage = ''): Language {
  let best: { language: Language; weight: number } = { language: 'en', weight: 0 }
  for (const range of acceptLanguage.split(',', 20)) {
    const match = /^\s*(en|ru)(?:-[a-z0-9-]*)?\s*(?:;\s*q=([01](?:\.\d{0,3})?)\s*)?$/i.exec(range)
    if (match === null) continue
    const weight = Number(match[2] ?? 1)
    if (weight > best.weight) best = { language: match[1]!.toLowerCase() === 'ru' ? 'ru' : 'en', weight }
  }
  return best.language
}

export function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`)
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('base64')
}
