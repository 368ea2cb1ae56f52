/** The simulated controller's own web server: a route table over the page model. */
import { z } from 'zod'
import type { DeviceRequest, Handlers } from '../device/handler.ts'
import { answering, cookieOf, headerOf, html, json, redirect, type Answer, type Route } from './answer.ts'
import { ASSETS, type Asset } from './assets.ts'
import { serveFile, storeUpload } from './files.ts'
import { aboutPage, filesPage, notFoundPage, portPage, settingsPage, statusPage } from './html.ts'
import type { PageModel } from './model.ts'
import { createSockets } from './sockets.ts'
import { streamRoutes } from './streams.ts'

/** Bytes of a form or of JSON. */
const MAX_FORM_BYTES = 16_384

const SettingsForm = z.object({
  name: z.string().trim().min(1).max(40),
  targetCelsius: z.coerce.number().min(5).max(90),
  reportSec: z.coerce.number().int().min(1).max(3_600),
})

/** Serves the page; `onChange` hears in a sentence what a person changed. */
export function createPage(page: PageModel, onChange: (sentence: string) => void): Handlers {
  function setSwitch(isOn: boolean): void {
    page.isOn = isOn
    onChange(`heater turned ${isOn ? 'on' : 'off'} from the web page`)
  }

  function status(): Record<string, unknown> {
    return { ...page.read(), switch: page.isOn, name: page.settings.name, firmware: page.firmware }
  }

  const routes: Record<string, Route> = {
    'GET /': ({ isLive }) => html(statusPage(page, page.read(), isLive)),
    'GET /index.html': () => redirect(301, '/'),
    'GET /old-status': () => redirect(302, '/?moved=1'),
    'GET /settings': (request) =>
      html(settingsPage(page, { isSaved: cookieOf(request, 'saved') === '1', error: null }), 200, {
        'Set-Cookie': ['saved=; Path=/; Max-Age=0', 'seen=settings; Path=/; HttpOnly'],
      }),
    'POST /settings': async (request) => {
      const form = SettingsForm.safeParse(Object.fromEntries(new URLSearchParams(await textOf(request))))
      if (!form.success) return html(settingsPage(page, { isSaved: false, error: 'Check the fields' }), 422)
      page.settings = form.data
      onChange('settings changed from the web page')
      return redirect(303, '/settings', { 'Set-Cookie': 'saved=1; Path=/; Max-Age=30' })
    },
    'POST /switch': async (request) => {
      setSwitch(new URLSearchParams(await textOf(request)).get('on') === '1')
      return redirect(303, '/')
    },
    'GET /files': () => html(filesPage(page)),
    'POST /upload': async (request) => {
      const stored = await storeUpload(page, request)
      if (!stored) return html(notFoundPage(page), 400)
      onChange(`a file of ${stored.size} bytes uploaded`)
      return redirect(303, '/files')
    },
    'GET /about': () => html(aboutPage(page)),
    'GET /api/status': () => json(status()),
    'PUT /api/switch': async (request) => {
      const wish = z.object({ on: z.boolean() }).safeParse(parseJson(await textOf(request)))
      if (!wish.success) return json({ error: 'expected {"on": true|false}' }, 400)
      setSwitch(wish.data.on)
      return json(status())
    },
    'DELETE /api/files': () => {
      page.files.clear()
      return { status: 204, headers: {} }
    },
    ...streamRoutes(status),
  }

  function find(request: DeviceRequest, url: URL): Answer | Promise<Answer> {
    const method = request.method === 'HEAD' ? 'GET' : request.method
    const port = headerOf(request, 'x-forwarded-port')
    if (port !== null && method === 'GET' && url.pathname === '/') return html(portPage(page, port))
    const asset = ASSETS.get(url.pathname)
    if (asset && method === 'GET') return serveAsset(request, asset)
    const route = routes[`${method} ${url.pathname}`]
    if (route) return route(request, url)
    if (method === 'GET' && url.pathname.startsWith('/files/')) {
      return serveFile(page, request, url.pathname.slice(7)) ?? html(notFoundPage(page), 404)
    }
    if (method === 'GET' && url.pathname.startsWith('/bytes/')) return serveBytes(url.pathname.slice(7))
    const known = Object.keys(routes).filter((key) => key.endsWith(` ${url.pathname}`))
    if (known.length === 0) return html(notFoundPage(page), 404)
    return { status: 405, headers: { Allow: known.map((key) => key.split(' ')[0]).join(', ') } }
  }

  return { request: answering(find), socket: createSockets(status, setSwitch) }
}

async function textOf(request: DeviceRequest): Promise<string> {
  return (await request.body.collect(MAX_FORM_BYTES)).toString('utf8')
}

/** `/bytes/1024`: that many letters, for measurements. */
function serveBytes(count: string): Answer {
  const length = /^\d{1,7}$/.test(count) ? Number(count) : -1
  if (length < 0 || length > 4_194_304) return { status: 400, headers: {} }
  return { status: 200, headers: { 'Content-Type': 'text/plain' }, body: Buffer.alloc(length, 'x') }
}

function serveAsset(request: DeviceRequest, asset: Asset): Answer {
  const candidates = (headerOf(request, 'if-none-match') ?? '')
    .split(',')
    .map((tag) => tag.trim().replace(/^W\//, ''))
  if (candidates.includes(asset.etag) || candidates.includes('*')) {
    return { status: 304, headers: { ETag: asset.etag, 'Cache-Control': 'no-cache' } }
  }
  return { status: 200, headers: asset.headers, body: asset.bytes }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
