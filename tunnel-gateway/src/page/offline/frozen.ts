/** The last good copy of a page of a device that is away: it shows, and does nothing. */
import { languageOf } from '#src/page/own-page.ts'
import { withOwnHeaders } from '#src/user/problem.ts'
import type { ProxyRequest } from '#src/user/proxy.ts'
import { withStamp } from './core/frozen-page.ts'
import type { WholeCopy } from './copies.ts'
import { timeElement } from './offline-page.ts'

const TEXTS = {
  en: {
    asOf: 'As of',
    text: 'The device is away. This is a copy to look at; nothing in it works.',
    again: 'Try again',
  },
  ru: {
    asOf: 'По состоянию на',
    text: 'Устройство не в сети. Это копия для просмотра, в ней ничего не работает.',
    again: 'Попробовать снова',
  },
} as const

const STILL =
  "script-src 'none'; form-action 'none'; connect-src 'none'; worker-src 'none'; object-src 'none'"
const RETRY_SEC = 30

const STYLE =
  'all:initial;position:fixed;left:0;right:0;bottom:0;z-index:2147483647;box-sizing:border-box;padding:8px 12px;' +
  'font:14px/1.4 system-ui,sans-serif;color:#1c1f23;background:#ffe9b8;border-top:1px solid #b98900'

/** The page, stamped; 503, since it is not what was asked for. */
export function sendFrozenPage(proxied: ProxyRequest, copy: WholeCopy): void {
  const { response, request, surface } = proxied
  const language = languageOf(request.headers['accept-language'])
  const { asOf, text, again } = TEXTS[language]
  const stamp =
    `<div role="status" lang="${language}" style="${STYLE}"><b>${asOf} ${timeElement(copy.at, language)}.</b> ${text} ` +
    `<a href="" style="color:#0b4fc0">${again}</a></div>`
  const body = withStamp(copy.body, stamp)
  // In a frame the portal's shell opens the page again; a sandbox without scripts would not let the page do it anyway.
  const inFrame = surface === 'frame'
  send(proxied, 503, copy, body, [
    'Content-Security-Policy',
    inFrame
      ? `sandbox allow-popups allow-popups-to-escape-sandbox allow-downloads; ${STILL}`
      : `${STILL}; frame-ancestors 'self'`,
    ...(inFrame ? [] : ['Refresh', String(RETRY_SEC)]),
    'Retry-After',
    String(RETRY_SEC),
  ])
  response.end(request.method === 'HEAD' ? undefined : body)
}

/** A picture, a style sheet or a font of such a page. */
export function sendFrozenPart(proxied: ProxyRequest, copy: WholeCopy): void {
  send(proxied, 200, copy, copy.body, ['Content-Security-Policy', `sandbox; ${STILL}`])
  proxied.response.end(proxied.request.method === 'HEAD' ? undefined : copy.body)
}

function send(
  { response }: ProxyRequest,
  status: number,
  { type, at }: WholeCopy,
  body: Uint8Array,
  headers: readonly string[],
): void {
  response.writeHead(
    status,
    withOwnHeaders(response, [
      'Content-Type',
      type,
      'X-WMOC-Frozen',
      new Date(at).toISOString(),
      'Referrer-Policy',
      'same-origin',
      'Cross-Origin-Resource-Policy',
      'same-origin',
      ...headers,
      'Content-Length',
      String(body.length),
    ]),
  )
}
