import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { untilTrue } from '@wmoc/testkit/chromium'
import type { Frame, Page } from 'playwright-core'
import { openBrowserStage } from '#src/page/testing/browser.ts'
import type { BrowserStage } from '#src/page/testing/browser.ts'
import { served } from '#src/page/testing/frames.ts'
import { startHarness } from '#src/testing/harness.ts'
import type { Harness } from '#src/testing/harness.ts'
import { answer, onlineV2 } from '#src/testing/raw-device-v2.ts'
import type { Asked } from '#src/testing/raw-device-v2.ts'
import { addController, look } from './testing/looker.ts'

const MAX_BYTES = 512
const ALL_ANSWERED = 'Object.keys(window.answered ?? {}).length === 7'
/** As a page of a device uses a browser: parts of all kinds, scripts that ask, forms that are sent, a socket. */
const PAGE = `<!doctype html><meta charset=utf-8><title>Page</title>
<link rel=icon href=favicon.ico><link rel=stylesheet href=style.css>
<img src=picture.png><script src=plain.js></script>
<script type=module>import './module.js'</script>
<form method=post action=save><input name=ssid value=net><button>Save</button></form>
<script>
const answered = (window.answered = {})
const done = (name) => () => (answered[name] = true)
const tell = (name, work) => work.then(done(name), done(name))
const json = { 'Content-Type': 'application/json' }
tell('fetch', fetch('api/state', { headers: { 'X-Requested-With': 'XMLHttpRequest' } }))
tell('post', fetch('api/state', { method: 'POST', headers: json, body: '{"on":true}' }))
tell('check', fetch('data.json', { cache: 'no-cache' }))
tell('import', import('./later.js'))
const xhr = new XMLHttpRequest()
xhr.open('GET', 'old?x=1')
xhr.onloadend = done('xhr')
xhr.send()
new EventSource('events').onmessage = done('events')
new WebSocket(new URL('socket', location.href).href.replace('http', 'ws'), ['arduino']).onmessage = done('socket')
</script>`

/** The request's head in bytes, as an HTTP/1.1 message. */
function headBytes({ request }: Asked): number {
  const { method, path, headers } = request
  const lines = headers.reduce((sum, text) => sum + text.length + 2, 0)
  return `${method} ${path} HTTP/1.1\r\n\r\n`.length + lines
}

function serve(asked: Asked): void {
  const { path } = asked.request
  const typed = (type: string, body: string, ...more: string[]) =>
    answer(asked, body, 200, ['content-type', type, ...more])
  if (asked.kind === 'websocket') {
    asked.stream.respond({ status: 101, headers: ['sec-websocket-protocol', 'arduino'] }, false)
    asked.stream.message(Buffer.from('hello'), false)
  } else if (path === '/')
    typed('text/html', PAGE, 'set-cookie', `session=${'s'.repeat(64)}; Path=/`, 'etag', `"${'e'.repeat(40)}"`)
  else if (path.endsWith('.js')) typed('text/javascript', 'export const word = 1')
  else if (path.endsWith('.css')) typed('text/css', 'body { background: url(back.png) }', 'etag', '"css"')
  else if (path === '/events') typed('text/event-stream', 'data: one\n\n')
  else typed('text/plain', path)
}

suite('a device that holds request heads of 512 bytes, and a real browser', () => {
  let onOrigin: Harness
  let stage: BrowserStage
  before(async () => {
    onOrigin = await startHarness()
    stage = await openBrowserStage({ '*.localhost:8080': onOrigin.port })
  })
  after(async () => {
    await stage?.stop()
    await onOrigin.stop()
  })

  const connect = (harness: Harness, known: Parameters<typeof onlineV2>[1]) =>
    onlineV2(harness.port, known, {
      rx_window: 65_536,
      rx_budget: 1_048_576,
      credentials: { max_streams: 8, max_req_header: MAX_BYTES },
    })

  /** Uses the page twice, so that cookies and validators are there, and says what the device got. */
  async function use(page: Page | Frame, reload: () => Promise<unknown>): Promise<void> {
    await untilTrue(page, ALL_ANSWERED)
    await reload()
    await untilTrue(page, ALL_ANSWERED)
    await page.click('button')
    await page.waitForURL('**/save')
  }

  function allFit(asked: readonly Asked[]): void {
    const kinds = new Set(asked.map(({ request, kind }) => `${kind} ${request.method} ${request.path}`))
    for (const path of [
      '/',
      '/style.css',
      '/back.png',
      '/picture.png',
      '/module.js',
      '/later.js',
      '/events',
      '/old?x=1',
    ])
      assert.ok(kinds.has(`request GET ${path}`), `${path} in ${[...kinds].join(', ')}`)
    assert.ok(kinds.has('request POST /api/state') && kinds.has('request POST /save'))
    assert.ok(kinds.has('websocket GET /socket'))
    for (const one of asked) {
      const bytes = headBytes(one)
      assert.ok(bytes <= MAX_BYTES, `${bytes} bytes: ${JSON.stringify(one.request)}`)
    }
    const withCookie = asked.filter(({ request }) => request.headers.includes(`session=${'s'.repeat(64)}`))
    assert.ok(withCookie.length > 0)
  }

  test('every request fits, on the device’s own origin', async () => {
    const known = addController(onOrigin)
    const device = await connect(onOrigin, known)
    device.serve(serve)
    const { cookie } = await look(onOrigin, known)
    const context = await stage.browser.newContext()
    const origin = `http://${known.record.pageLabel}.localhost:8080`
    const [name, value] = cookie.split(/=(.*)/s) as [string, string]
    await context.context.addCookies([
      { name, value, url: origin.replace('http:', 'https:'), secure: true, httpOnly: true, sameSite: 'Lax' },
    ])
    const page = await context.newPage()
    await page.goto(`${origin}/`)
    await use(page, () => page.reload())
    allFit(device.asked)
    await context.close()
    device.stop()
  })

  test('every request fits, in the portal’s frame', async () => {
    const { known, id, person } = await served(stage.harness)
    const device = await connect(stage.harness, known)
    device.serve(serve)
    const { frame, src, close } = await stage.show(id, person)
    await use(frame, () => frame.goto(`http://localhost:8080${src}`))
    allFit(device.asked)
    await close()
    device.stop()
  })

  test('cookies that leave no room are told, and never left out', async () => {
    const known = addController(onOrigin)
    const device = await connect(onOrigin, known)
    device.serve(serve)
    const owner = await look(onOrigin, known)
    const refused = await owner.load('/', { headers: { cookie: `session=${'x'.repeat(600)}` } })
    assert.equal(refused.status, 431)
    assert.match(refused.text, /at most 512 bytes: clear its page’s cookies/)
    assert.equal(device.asked.length, 0)
    device.stop()
  })
})
