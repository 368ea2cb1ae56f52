/** What the rewriter makes of a page, in Chromium: a strict policy of the page's own, and absolute addresses everywhere. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, suite, test } from 'node:test'
import { untilTrue } from '@wmoc/testkit/chromium'
import { openBrowserStage } from '#src/page/testing/browser.ts'
import type { BrowserStage } from '#src/page/testing/browser.ts'
import { served } from '#src/page/testing/frames.ts'
import { answer, onlineV2 } from '#src/testing/raw-device-v2.ts'
import type { Asked } from '#src/testing/raw-device-v2.ts'

const CLASSIC = 'said.classic = "ran"'
const INTEGRITY = `sha256-${createHash('sha256').update(CLASSIC).digest('base64')}`
const PIXEL = Buffer.from('R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7', 'base64')
/** Inline scripts are forbidden, the page's own origin is allowed: ours must run, and 'self' must mean the portal's address. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src http://192.168.1.5; connect-src 'self'"

const PAGE = `<html><head><title>Old</title>
<link rel=stylesheet href="/css/style.css" integrity="sha256-AAAA">
<script src="/start.js"></script>
<script src="/classic.js" integrity="${INTEGRITY}"></script>
<script type=module src="/app/main.js"></script>
<script>said.inline = "ran"</script></head>
<body><img src="http://192.168.1.5/pixel.gif"><p>text</p></body></html>`

const FILES: Readonly<Record<string, readonly [type: string, body: string | Uint8Array]>> = {
  '/': ['text/html; charset=windows-1251', PAGE],
  '/css/style.css': ['text/css', '@import "/css/more.css"; body { color: rgb(1, 2, 3) }'],
  '/css/more.css': ['text/css', 'p { background: url(/pixel.gif); color: rgb(4, 5, 6) }'],
  '/start.js': ['text/javascript', 'window.said = {}'],
  '/classic.js': ['text/javascript', CLASSIC],
  '/app/main.js': [
    'text/javascript',
    `import { word } from '/lib/word.js'; import { near } from './near.js'
     said.word = word; said.near = near
     import('/lib/late.js').then(({ late }) => (said.late = late))
     fetch('/data').then((response) => response.text()).then((text) => (said.data = text))`,
  ],
  '/app/near.js': ['text/javascript', "export { word as near } from '/lib/word.js'"],
  '/lib/word.js': ['text/javascript', 'export const word = "loaded"'],
  '/lib/late.js': ['text/javascript', 'export const late = "loaded"'],
  '/data': ['text/plain', 'data'],
  '/pixel.gif': ['image/gif', PIXEL],
}

suite('a rewritten page, in a browser', () => {
  let stage: BrowserStage
  before(async () => {
    stage = await openBrowserStage()
  })
  after(() => stage?.stop())

  function serve(asked: Asked): void {
    const [type, body] = FILES[asked.request.path] ?? ['text/plain', 'not here']
    const policy = type.startsWith('text/html') ? ['content-security-policy', POLICY] : []
    answer(asked, body, FILES[asked.request.path] === undefined ? 404 : 200, [
      'content-type',
      type,
      ...policy,
    ])
  }

  test('O1: runs under its own policy, with every absolute address below its prefix', async () => {
    const { harness } = stage
    const { known, id, person } = await served(harness)
    const credentials = { max_streams: 32, ip: '192.168.1.5' }
    const device = await onlineV2(harness.port, known, {
      rx_window: 65_536,
      rx_budget: 1_048_576,
      credentials,
    })
    device.serve(serve)
    const { frame, problems, close } = await stage.show(id, person)
    await untilTrue(
      frame,
      'Object.keys(window.said ?? {}).length === 5 && document.images[0].naturalWidth === 1',
    ).catch(() => undefined)
    assert.deepEqual(
      await frame.evaluate('window.said'),
      { classic: 'ran', word: 'loaded', near: 'loaded', late: 'loaded', data: 'data' },
      problems.join('\n'),
    )
    await untilTrue(frame, 'getComputedStyle(document.body).color === "rgb(1, 2, 3)"')
    await untilTrue(frame, 'getComputedStyle(document.querySelector("p")).color === "rgb(4, 5, 6)"')
    assert.equal(await frame.evaluate('document.compatMode'), 'BackCompat', 'in quirks mode as it was')
    assert.equal(await frame.evaluate('document.characterSet'), 'windows-1251')
    assert.equal(await frame.evaluate('document.images[0].naturalWidth'), 1)
    // The page's own inline script is what its policy forbids, and nothing else.
    const refused = problems.filter((text) => /^console: .*(refused|violates|blocked)/i.test(text))
    assert.equal(refused.length, 1, problems.join('\n'))
    await close()
    device.stop()
  })
})
