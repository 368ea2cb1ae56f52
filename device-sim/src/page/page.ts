/** The simulated controller's own web server: a route table over the page model. */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import type { HeaderBlock } from '@wmoc/protocol/messages'
import type { DeviceRequest, RequestHandler } from '../device/exchange.ts'
import { ASSETS, type Asset } from './assets.ts'
import { aboutPage, filesPage, notFoundPage, settingsPage, statusPage } from './html.ts'
import type { PageModel } from './model.ts'
import { parseMultipart } from './multipart.ts'

type Answer = { status: number; headers: HeaderBlock; body?: Buffer | string }
type Route = (request: DeviceRequest, url: URL) => Answer

const MAX_FILES = 20

const SettingsForm = z.object({
  name: z.string().trim().min(1).max(40),
  targetCelsius: z.coerce.number().min(5).max(90),
  reportSec: z.coerce.number().int().min(1).max(3_600),
})

/** Serves the page; `onChange` hears in a sentence what a person changed. */
export function createPage(page: PageModel, onChange: (sentence: string) => void): RequestHandler {
  function setSwitch(isOn: boolean): void {
    page.isOn = isOn
    onChange(`heater turned ${isOn ? 'on' : 'off'} from the web page`)
  }

  function status(): Record<string, unknown> {
    return { ...page.read(), switch: page.isOn, name: page.settings.name, firmware: page.firmware }
  }

  const routes: Record<string, Route> = {
    'GET /': () => html(statusPage(page, page.read())),
    'GET /index.html': () => redirect(301, '/'),
    'GET /old-status': () => redirect(302, '/?moved=1'),
    'GET /settings': (request) =>
      html(settingsPage(page, { isSaved: cookie(request, 'saved') === '1', error: null }), 200, {
        'Set-Cookie': ['saved=; Path=/; Max-Age=0', 'seen=settings; Path=/; HttpOnly'],
      }),
    'POST /settings': (request) => {
      const form = SettingsForm.safeParse(
        Object.fromEntries(new URLSearchParams(request.body.toString('utf8'))),
      )
      if (!form.success) return html(settingsPage(page, { isSaved: false, error: 'Check the fields' }), 422)
      page.settings = form.data
      onChange('settings changed from the web page')
      return redirect(303, '/settings', { 'Set-Cookie': 'saved=1; Path=/; Max-Age=30' })
    },
    'POST /switch': (request) => {
      setSwitch(new URLSearchParams(request.body.toString('utf8')).get('on') === '1')
      return redirect(303, '/')
    },
    'GET /files': () => html(filesPage(page)),
    'POST /upload': (request) => {
      const stored = storeUpload(page, request)
      if (!stored) return html(notFoundPage(page), 400)
      onChange(`a file of ${stored.bytes.length} bytes uploaded`)
      return redirect(303, '/files')
    },
    'GET /about': () => html(aboutPage(page)),
    'GET /api/status': () => json(status()),
    'PUT /api/switch': (request) => {
      const wish = z.object({ on: z.boolean() }).safeParse(parseJson(request.body))
      if (!wish.success) return json({ error: 'expected {"on": true|false}' }, 400)
      setSwitch(wish.data.on)
      return json(status())
    },
    'POST /api/echo': (request) => ({
      status: 200,
      headers: { 'Content-Type': header(request, 'content-type') ?? 'application/octet-stream' },
      body: request.body,
    }),
    'DELETE /api/files': () => {
      page.files.clear()
      return { status: 204, headers: {} }
    },
  }

  function find(request: DeviceRequest, url: URL): Answer {
    const method = request.method === 'HEAD' ? 'GET' : request.method
    const asset = ASSETS.get(url.pathname)
    if (asset && method === 'GET') return serveAsset(request, asset)
    const route = routes[`${method} ${url.pathname}`]
    if (route) return route(request, url)
    if (method === 'GET' && url.pathname.startsWith('/files/')) return serveFile(page, url.pathname.slice(7))
    if (method === 'GET' && url.pathname.startsWith('/bytes/')) return serveBytes(url.pathname.slice(7))
    const known = Object.keys(routes).filter((key) => key.endsWith(` ${url.pathname}`))
    if (known.length === 0) return html(notFoundPage(page), 404)
    return { status: 405, headers: { Allow: known.map((key) => key.split(' ')[0]).join(', ') } }
  }

  return async (request, sink) => {
    const url = URL.parse(request.path, 'http://device') ?? new URL('http://device/none')
    const { status: code, headers, body = '' } = find(request, url)
    const bytes = typeof body === 'string' ? Buffer.from(body) : body
    const isBodiless = code === 204 || code === 304
    const framed = isBodiless ? headers : { ...headers, 'Content-Length': String(bytes.length) }
    await sink.whole(code, framed, request.method === 'HEAD' || isBodiless ? undefined : bytes)
  }
}

function storeUpload(page: PageModel, request: DeviceRequest) {
  const parts = parseMultipart(header(request, 'content-type') ?? '', request.body)
  const part = parts?.find(({ name, filename }) => name === 'file' && filename)
  if (!part?.filename) return null
  const name = part.filename.slice(0, 100)
  const sha256 = createHash('sha256').update(part.bytes).digest('hex')
  const file = { name, contentType: part.contentType, bytes: Buffer.from(part.bytes), sha256 }
  page.files.delete(name)
  page.files.set(name, file)
  const [oldest] = page.files.keys()
  if (page.files.size > MAX_FILES && oldest !== undefined) page.files.delete(oldest)
  return file
}

function serveFile(page: PageModel, encodedName: string): Answer {
  const file = page.files.get(decode(encodedName))
  if (!file) return html(notFoundPage(page), 404)
  return {
    status: 200,
    headers: {
      // Not the uploaded type: what somebody uploads must not run as a page of the device.
      'Content-Type': 'application/octet-stream',
      'Content-Disposition': `attachment; filename*=UTF-8''${encodeURIComponent(file.name)}`,
      ETag: `"${file.sha256.slice(0, 16)}"`,
    },
    body: file.bytes,
  }
}

/** `/bytes/1024`: that many letters, for measurements. */
function serveBytes(count: string): Answer {
  const length = /^\d{1,7}$/.test(count) ? Number(count) : -1
  if (length < 0 || length > 4_194_304) return { status: 400, headers: {} }
  return { status: 200, headers: { 'Content-Type': 'text/plain' }, body: Buffer.alloc(length, 'x') }
}

function serveAsset(request: DeviceRequest, asset: Asset): Answer {
  const candidates = (header(request, 'if-none-match') ?? '')
    .split(',')
    .map((tag) => tag.trim().replace(/^W\//, ''))
  if (candidates.includes(asset.etag) || candidates.includes('*')) {
    return { status: 304, headers: { ETag: asset.etag, 'Cache-Control': 'no-cache' } }
  }
  return { status: 200, headers: asset.headers, body: asset.bytes }
}

function html(body: string, status = 200, headers: HeaderBlock = {}): Answer {
  return {
    status,
    headers: { 'Content-Type': 'text/html; charset=utf-8', 'Cache-Control': 'no-store', ...headers },
    body,
  }
}

function json(value: unknown, status = 200): Answer {
  return {
    status,
    headers: { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' },
    body: JSON.stringify(value),
  }
}

function redirect(status: number, location: string, headers: HeaderBlock = {}): Answer {
  return { status, headers: { Location: location, ...headers } }
}

/** First value of a header, whatever its case. */
function header(request: DeviceRequest, name: string): string | null {
  for (const [key, value] of Object.entries(request.headers)) {
    if (key.toLowerCase() === name) return typeof value === 'string' ? value : (value[0] ?? null)
  }
  return null
}

function cookie(request: DeviceRequest, name: string): string | null {
  const pairs = (header(request, 'cookie') ?? '').split(/;\s*/)
  return pairs.find((pair) => pair.startsWith(`${name}=`))?.slice(name.length + 1) ?? null
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    return undefined
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
