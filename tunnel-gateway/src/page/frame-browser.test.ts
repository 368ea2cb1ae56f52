import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { untilTrue } from '@wmoc/testkit/chromium'
import { answer, onlineV2 } from '#src/testing/raw-device-v2.ts'
import type { Asked } from '#src/testing/raw-device-v2.ts'
import { openBrowserStage } from './testing/browser.ts'
import type { BrowserStage } from './testing/browser.ts'
import { served } from './testing/frames.ts'

const PAGE = `<!doctype html><title>Boiler</title><link rel=stylesheet href=style.css>
<script type=module>import { word } from './module.js'; said.module = word</script>
<iframe src=inner></iframe>
<form method=post action=form><button>Save</button></form>
<script>
const said = window.said = {}
const tell = (name, work) => work.then((value) => (said[name] = value), (error) => (said[name] = error.name))
const text = (path, init) => fetch(path, init).then((response) => response.text())
tell('get', text('data'))
tell('put', text('data', { method: 'PUT', headers: { 'X-Odd': '1', 'Content-Type': 'application/json' }, body: '{}' }))
tell('root', text('/api/me'))
new WebSocket(location.href.replace('http', 'ws') + 'socket').onmessage = ({ data }) => (said.socket = data)
new EventSource('events').onmessage = ({ data }) => (said.events = data)
</script>`

suite('a page in a sandboxed frame, in a browser', () => {
  let stage: BrowserStage
  before(async () => {
    stage = await openBrowserStage()
  })
  after(() => stage?.stop())

  function serve(asked: Asked): void {
    const { path, method } = asked.request
    const typed = (type: string, body: string) => answer(asked, body, 200, ['content-type', type])
    if (asked.kind === 'websocket') {
      asked.stream.respond({ status: 101, headers: [] }, false)
      asked.stream.message(Buffer.from('hello'), false)
    } else if (path === '/') typed('text/html', PAGE)
    else if (path === '/module.js') typed('text/javascript', 'export const word = "loaded"')
    else if (path === '/style.css') typed('text/css', 'body { color: rgb(1, 2, 3) }')
    else if (path === '/events') typed('text/event-stream', 'data: one\n\n')
    else typed('text/html', `${method} ${path}`)
  }

  test('works with modules, styles, sockets, events, forms and frames, and is shown nowhere else', async () => {
    const { harness } = stage
    const { known, id, person } = await served(harness)
    const device = await onlineV2(harness.port, known, {
      rx_window: 65_536,
      rx_budget: 1_048_576,
      credentials: { max_streams: 32 },
    })
    device.serve(serve)
    const { frame, src, newPage, close } = await stage.show(id, person)
    await untilTrue(frame, 'Object.keys(window.said ?? {}).length === 6')
    assert.deepEqual(await frame.evaluate('window.said'), {
      module: 'loaded',
      get: 'GET /data',
      put: 'PUT /data',
      // Of its own device, never of the portal.
      root: 'GET /api/me',
      socket: 'hello',
      events: 'one',
    })
    await untilTrue(frame, 'getComputedStyle(document.body).color === "rgb(1, 2, 3)"')
    assert.equal(await frame.evaluate('self.origin'), 'null')
    await frame.frameLocator('iframe').getByText('GET /inner', { exact: true }).waitFor()
    await frame.click('button')
    await frame.waitForURL('**/form')
    await frame.getByText('POST /form', { exact: true }).waitFor()

    const alone = await newPage()
    await alone.goto(`http://localhost:8080${src}inner`)
    assert.equal(alone.url(), `http://localhost:8080/open/${id}/inner`)
    await close()
    device.stop()
  })
})
