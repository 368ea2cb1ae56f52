/** The page's files as a small device keeps them in flash: script compressed beforehand, all with an ETag. */
import { createHash } from 'node:crypto'
import { gzipSync } from 'node:zlib'

export type Asset = { bytes: Buffer; etag: string; headers: Record<string, string> }

const STYLE = `:root{font:16px/1.5 system-ui,sans-serif;color-scheme:light dark}
body{margin:0 auto;max-width:44rem;padding:1rem}
header{display:flex;flex-wrap:wrap;gap:1rem;align-items:baseline;border-bottom:1px solid #8886}
nav a{margin-right:.75rem}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.35rem .5rem;border-bottom:1px solid #8884}
label{display:block;margin:.6rem 0}
code{overflow-wrap:anywhere}
button{padding:.5rem 1rem;font:inherit}
footer{margin-top:2rem;opacity:.7;font-size:.85rem}
`

const SCRIPT = `'use strict'
const outputs = [...document.querySelectorAll('[data-live]')]
const address = document.querySelector('[data-events]')?.dataset.events
function show(values) {
  for (const output of outputs) output.textContent = values[output.dataset.live]
  const state = document.querySelector('#switch-state')
  if (state) state.textContent = values.switch ? 'on' : 'off'
}
async function refresh() {
  const response = await fetch('/api/status', { cache: 'no-store' })
  if (response.ok) show(await response.json())
}
function poll() {
  setInterval(() => refresh().catch(() => {}), 2000)
}
function listen() {
  const events = new EventSource(address)
  events.onmessage = ({ data }) => show(JSON.parse(data))
  events.onerror = () => events.readyState === EventSource.CLOSED && poll()
}
if (outputs.length > 0) (address ? listen : poll)()
`

const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="8" cy="8" r="7" fill="#0a7"/></svg>\n`

function asset(content: string, contentType: string, isCompressed: boolean): Asset {
  const bytes = isCompressed ? gzipSync(content) : Buffer.from(content)
  const etag = `"${createHash('sha256').update(bytes).digest('hex').slice(0, 16)}"`
  return {
    bytes,
    etag,
    headers: {
      'Content-Type': contentType,
      'Cache-Control': 'no-cache',
      ETag: etag,
      ...(isCompressed ? { 'Content-Encoding': 'gzip' } : {}),
    },
  }
}

/** By path; the same bytes for every controller of the process. */
export const ASSETS: ReadonlyMap<string, Asset> = new Map([
  ['/style.css', asset(STYLE, 'text/css; charset=utf-8', false)],
  ['/app.js', asset(SCRIPT, 'text/javascript; charset=utf-8', true)],
  ['/favicon.svg', asset(ICON, 'image/svg+xml', false)],
])
