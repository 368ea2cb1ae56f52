/** The HTML of the controller's page, as a small device would write it. Pure. */
import type { Reading } from '../device/sensors.ts'
import type { PageModel, StoredFile } from './model.ts'

/** Text safe inside HTML and inside a quoted attribute. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`)
}

function layout(page: PageModel, title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)} – ${escapeHtml(page.settings.name)}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/style.css">
<script src="/app.js" defer></script>
</head>
<body>
<header><h1>${escapeHtml(page.settings.name)}</h1>
<nav><a href="/">Status</a> <a href="settings">Settings</a> <a href="/files">Files</a> <a href="about">About</a></nav></header>
<main>
${body}
</main>
<footer>${escapeHtml(page.model)} · firmware ${escapeHtml(page.firmware)}</footer>
</body>
</html>
`
}

/** Live values and the switch. `hasEvents`: the script may ask for them as a stream, else it asks again and again. */
export function statusPage(page: PageModel, reading: Reading, hasEvents: boolean): string {
  const rows = (
    [
      ['temperature', 'Temperature', '°C'],
      ['humidity', 'Humidity', '%'],
      ['rssi', 'Signal', 'dBm'],
      ['uptime', 'Uptime', 's'],
      ['heap', 'Free heap', 'bytes'],
    ] as const
  ).map(
    ([key, label, unit]) =>
      `<tr><th scope="row">${label}</th><td><output data-live="${key}">${reading[key]}</output> ${unit}</td></tr>`,
  )
  return layout(
    page,
    'Status',
    `<h2>Status</h2>
<table${hasEvents ? ' data-events="/api/events"' : ''}><tbody>
${rows.join('\n')}
</tbody></table>
<form method="post" action="/switch">
<p>Heater: <strong id="switch-state">${page.isOn ? 'on' : 'off'}</strong></p>
<button id="switch" name="on" value="${page.isOn ? '0' : '1'}">Turn ${page.isOn ? 'off' : 'on'}</button>
</form>`,
  )
}

/** The settings form; `saved` after a change. */
export function settingsPage(page: PageModel, options: { isSaved: boolean; error: string | null }): string {
  const { settings } = page
  const note = options.isSaved ? '<p role="status">Saved</p>' : ''
  const error = options.error ? `<p role="alert">${escapeHtml(options.error)}</p>` : ''
  return layout(
    page,
    'Settings',
    `<h2>Settings</h2>
${note}${error}<form method="post" action="settings">
<label>Name <input name="name" maxlength="40" required value="${escapeHtml(settings.name)}"></label>
<label>Target, °C <input name="targetCelsius" type="number" min="5" max="90" value="${settings.targetCelsius}"></label>
<label>Report every, s <input name="reportSec" type="number" min="1" max="3600" value="${settings.reportSec}"></label>
<button>Save</button>
</form>`,
  )
}

/** Uploads so far, with size and digest. */
export function filesPage(page: PageModel): string {
  const rows = [...page.files.values()].map(fileRow).join('\n')
  const list = rows
    ? `<table><thead><tr><th>Name</th><th>Bytes</th><th>SHA-256</th></tr></thead><tbody>\n${rows}\n</tbody></table>`
    : '<p>Nothing uploaded yet.</p>'
  return layout(
    page,
    'Files',
    `<h2>Files</h2>
${list}
<form method="post" action="/upload" enctype="multipart/form-data">
<label>File <input type="file" name="file" required></label>
<button>Upload</button>
</form>`,
  )
}

function fileRow({ name, size, bytes, sha256 }: StoredFile): string {
  const href = `/files/${encodeURIComponent(name)}`
  const shown = bytes ? `<a href="${escapeHtml(href)}">${escapeHtml(name)}</a>` : escapeHtml(name)
  return `<tr><td>${shown}</td><td>${size}</td><td><code>${sha256}</code></td></tr>`
}

/** What this is, and links of every kind. */
export function aboutPage(page: PageModel): string {
  return layout(
    page,
    'About',
    `<h2>About</h2>
<p>A simulated controller. Its page has what real ones have.</p>
<ul>
<li><a href="./settings">a relative link</a></li>
<li><a href="/files">an absolute path</a></li>
<li><a href="/old-status">a page that moved</a></li>
<li><a href="api/status">values as JSON</a></li>
</ul>`,
  )
}

/** Anything that is not there. */
export function notFoundPage(page: PageModel): string {
  return layout(page, 'Not found', '<h2>Not found</h2>\n<p><a href="/">Back to the status</a></p>')
}

/** What another port of the device serves: a page whose WebSocket is at the same port. */
export function portPage(page: PageModel, port: string): string {
  return layout(
    page,
    `Port ${port}`,
    `<h2>Port ${escapeHtml(port)}</h2>
<p>The WebSocket here says: <output id="echo">…</output></p>
<script>
const socket = new WebSocket('ws://' + location.hostname + ':${Number(port)}/')
socket.onopen = () => socket.send('hello, port ${Number(port)}')
socket.onmessage = ({ data }) => { document.querySelector('#echo').textContent = data }
</script>`,
  )
}
