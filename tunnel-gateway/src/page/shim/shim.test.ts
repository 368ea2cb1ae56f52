/** The shim in Chromium, in pages as the rewriter makes them: what it lets a page reach, and what the page sees of itself. */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { after, before, suite, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { openBrowser, untilTrue } from '@wmoc/testkit/chromium'
import type { TestBrowser } from '@wmoc/testkit/chromium'
import type { BrowserContext, Frame, Page } from 'playwright-core'
import { until } from '#src/testing/harness.ts'
import type { PagePlace } from './addresses.ts'
import { SHIM, SHIM_ADDRESS } from './script.ts'
import { FRAME_SANDBOX } from '#src/user/frame-answer.ts'

const FRAMED = '/c/1~cap'

/** What a page does, and the request that comes of it. */
const REQUESTS: readonly (readonly [script: string, request: string])[] = [
  [`fetch('/a')`, 'GET {}/a'],
  [`fetch('../../../a?climbed')`, 'GET {}/a?climbed'],
  [`fetch(location.origin + '/a?origin')`, 'GET {}/a?origin'],
  [`fetch(new URL('/a?url', document.baseURI))`, 'GET {}/a?url'],
  [
    `fetch('http://esp.local/a?host', { method: 'POST', credentials: 'include', mode: 'same-origin' })`,
    'POST {}/a?host',
  ],
  [`fetch(new Request('/a?request', { method: 'PUT', body: 'x' }))`, 'PUT {}/a?request'],
  [`fetch('http://' + location.hostname + ':81/a?port')`, 'GET {81}/a?port'],
  [`let x = new XMLHttpRequest; x.open('GET', '/b'); x.withCredentials = true; x.send()`, 'GET {}/b'],
  [`new EventSource('/c', { withCredentials: true })`, 'GET {}/c'],
  [`navigator.sendBeacon('/d', 'x')`, 'POST {}/d'],
  [`new WebSocket('ws://' + location.host + '/e', ['p'])`, 'GET {}/e'],
  [`new WebSocket('ws://' + location.hostname + ':81')`, 'GET {81}/'],
  [`new (class extends WebSocket {})('ws://esp.local:81/f')`, 'GET {81}/f'],
  [`new Worker('/g.js')`, 'GET {}/g.js'],
  [`new Worker('/h.js', { type: 'module' })`, 'GET {}/h.js'],
  [`new Image().src = '/i'`, 'GET {}/i'],
  [`new Image().srcset = '/j 1x, /k 2x'`, 'GET {}/j'],
  [`new Image().setAttribute('SRC', '/l')`, 'GET {}/l'],
  [`new Audio('/m').load()`, 'GET {}/m'],
  [`document.body.innerHTML += '<img alt="1 > 0" src="/n">'`, 'GET {}/n'],
  [`document.body.insertAdjacentHTML('beforeend', '<img src=/o>')`, 'GET {}/o'],
  [`document.body.append(document.createRange().createContextualFragment("<img src='/p'>"))`, 'GET {}/p'],
  [`document.body.append(Object.assign(document.createElement('script'), { src: '/q' }))`, 'GET {}/q'],
  [`document.body.append(Object.assign(document.createElement('iframe'), { src: '/r' }))`, 'GET {}/r'],
  [`document.body.insertAdjacentHTML('beforeend', '<i style="content:url(/s)">')`, 'GET {}/s'],
  [
    `let s = document.createElement('style'); s.textContent = '@import "/t"'; document.head.append(s)`,
    'GET {}/t',
  ],
  [`document.body.style.background = 'url(/w)'`, 'GET {}/w'],
  [`document.documentElement.style.cssText = 'background: url("http://esp.local/x")'`, 'GET {}/x'],
  [
    `let p = document.createElement('p'); p.textContent = 'p'; p.style.setProperty('background', 'url(/y)'); document.documentElement.append(p)`,
    'GET {}/y',
  ],
  [
    `let s = document.createElement('style'); s.append('html::after { content: url(/z) }'); document.head.append(s)`,
    'GET {}/z',
  ],
  [
    `document.head.appendChild(document.createElement('style')).sheet.insertRule('html::before { content: url(/0) }')`,
    'GET {}/0',
  ],
  [`document.body.attachShadow({ mode: 'open' }).innerHTML = '<img src="/u">'`, 'GET {}/u'],
  [
    `document.body.insertAdjacentHTML('beforeend', '<iframe name=v></iframe>'); let f = document.createElement('form'); f.action = '/v'; f.target = 'v'; document.body.append(f); f.submit()`,
    'GET {}/v?',
  ],
]

suite('the shim', () => {
  let server: Server
  let browser: TestBrowser
  let context: BrowserContext
  const asked: string[] = []
  const messages: string[] = []

  const place = (prefix: string, device: string): Omit<PagePlace, 'pageHost'> => ({
    prefix,
    publicPrefix: prefix === '' ? '' : `/c/${device}`,
    port: null,
    ports: [81],
    hosts: ['esp.local'],
  })

  function answer(request: IncomingMessage, response: ServerResponse): void {
    const url = request.url!
    if (url !== '/favicon.ico') asked.push(`${request.method} ${url}`)
    response.setHeader('access-control-allow-origin', 'null')
    response.setHeader('access-control-allow-methods', 'PUT')
    response.setHeader('cross-origin-resource-policy', 'cross-origin')
    if (url === '/shell') {
      const script = `addEventListener('message', (event) => console.log(JSON.stringify(event.data)))`
      return void response
        .setHeader('content-type', 'text/html')
        .end(`<script>${script}</script><iframe sandbox="${FRAME_SANDBOX}" src="${FRAMED}/page"></iframe>`)
    }
    if (url === '/strayed')
      return void response
        .setHeader('content-type', 'text/html')
        .end(`<script>parent.postMessage({ wmoc: 'strayed', path: location.pathname }, '*')</script>`)
    if (url.endsWith(SHIM_ADDRESS))
      return void response.setHeader('content-type', 'text/javascript').end(SHIM)
    const prefix = url.startsWith(FRAMED) ? FRAMED : ''
    if (!url.startsWith(`${prefix}/page`)) {
      if (url.endsWith('.js')) response.setHeader('content-type', 'text/javascript')
      return void response.end(
        url.endsWith('/g.js') ? `fetch('/in-worker'); importScripts('/imported.js')` : '',
      )
    }
    response.setHeader('content-type', 'text/html')
    if (prefix !== '') response.setHeader('content-security-policy', `sandbox ${FRAME_SANDBOX}`)
    const told = JSON.stringify(place(prefix, url.includes('other') ? '2' : '1'))
    response.end(
      `<!doctype html><script src="${prefix}${SHIM_ADDRESS}" data-page='${told}'></script><title>Page</title><body>`,
    )
  }

  before(async () => {
    server = createServer(answer)
    server.on('upgrade', (request, socket) => {
      asked.push(`${request.method} ${request.url}`)
      socket.destroy()
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    browser = await openBrowser()
    ;({ context } = await browser.newContext())
  })
  after(async () => {
    await browser?.close()
    server.closeAllConnections()
    server.close()
  })

  async function visit(path: string): Promise<Page> {
    const page = await context.newPage()
    page.on('console', (message) => messages.push(message.text()))
    asked.length = 0
    messages.length = 0
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`)
    return page
  }

  async function open(): Promise<Frame> {
    const page = await visit('/shell')
    const frame = await (await page.waitForSelector('iframe')).contentFrame()
    await untilTrue(frame!, `document.title === 'Page' && document.readyState === 'complete'`)
    return frame!
  }

  test('is no bigger than 3 KB as it travels', () => {
    assert.ok(gzipSync(SHIM, { level: 9 }).length <= 3_072)
  })

  test('sends what a page in a frame asks for below its prefix, and nothing elsewhere', async () => {
    const frame = await open()
    for (const [script] of REQUESTS) await frame.evaluate(`{ ${script} } 0`)
    const at = (pattern: string) => pattern.replace('{81}', `${FRAMED}~81`).replace('{}', FRAMED)
    const wanted = [
      ...REQUESTS.map(([, request]) => at(request)),
      ...['/in-worker', '/imported.js'].map((path) => `GET ${FRAMED}${path}`),
    ]
    await until(() => wanted.every((request) => asked.includes(request))).catch(() => undefined)
    assert.deepEqual(
      wanted.filter((request) => !asked.includes(request)),
      [],
    )
    assert.deepEqual(
      asked.filter((request) => !request.includes(FRAMED)),
      ['GET /shell'],
    )
  })

  test('leaves a page on an origin of its own alone, but for other ports and the device’s own names', async () => {
    const page = await visit('/page')
    for (const [script] of REQUESTS) await page.evaluate(`{ ${script} } 0`)
    const wanted = REQUESTS.map(([, request]) => request.replace('{81}', '/_wmoc/port/81').replace('{}', ''))
    await until(() => wanted.every((request) => asked.includes(request))).catch(() => undefined)
    assert.deepEqual(
      wanted.filter((request) => !asked.includes(request)),
      [],
    )
    await page.evaluate(`location.href = 'http://esp.local:81/navigated'`)
    await page.waitForURL('**/_wmoc/port/81/navigated')
  })

  test('tells the shell where the page is and what it is called', async () => {
    const frame = await open()
    await frame.evaluate(`history.pushState(null, '', '/pushed?q#h'); document.title = 'New'`)
    const told = JSON.stringify({ wmoc: 'page', path: '/pushed?q#h', title: 'New' })
    await until(() => messages.includes(told))
    assert.ok(messages.includes(JSON.stringify({ wmoc: 'page', path: '/page', title: 'Page' })))
    await frame.evaluate(`location.hash = 'moved'`)
    await until(() => messages.some((text) => text.includes('/pushed?q#moved')))
  })

  test('brings back a frame inside the page that went to an address of the portal', async () => {
    const frame = await open()
    await frame.evaluate(`document.body.innerHTML = '<iframe src="/page?inner"></iframe>'`)
    await until(() => frame.childFrames()[0]?.url().endsWith('/page?inner') === true)
    await frame.childFrames()[0]!.evaluate(`location.href = '/strayed'`)
    await until(() => asked.includes(`GET ${FRAMED}/strayed`))
  })

  test('looks like the browser’s own, and gives a page without an origin what it would have at home', async () => {
    const frame = await open()
    const values = await frame.evaluate(`[
      fetch.name, String(fetch), WebSocket.OPEN, String(WebSocket), Object.keys(window).includes('SHIM'),
      document.scripts.length, 'serviceWorker' in navigator, 'caches' in window, 'SharedWorker' in window,
      window.name, localStorage.length, localStorage.missing, localStorage.getItem('missing'),
    ]`)
    assert.deepEqual(values, [
      'fetch',
      'function () { [native code] }',
      1,
      'function () { [native code] }',
      false,
      0,
      false,
      false,
      false,
      '',
      0,
      undefined,
      null,
    ])
  })

  test('carries storage to the device’s next page in the frame, and gives it to no other device', async () => {
    const frame = await open()
    await frame.evaluate(
      `localStorage.theme = 1; sessionStorage.setItem('length', 'x'); name = 'mine'; location.href = 'page?2'`,
    )
    await frame.waitForURL(/page\?2/)
    const kept = `[localStorage.theme, localStorage.length, Object.keys(localStorage).join(), sessionStorage.getItem('other'), name]`
    assert.deepEqual(await frame.evaluate(kept), ['1', 1, 'theme', null, 'mine'])
    await frame.evaluate(`location.href = 'page?other'`)
    await frame.waitForURL(/page\?other/)
    assert.deepEqual(await frame.evaluate(kept), [undefined, 0, '', null, ''])
  })

  test('does not break a page that it was not made for', async () => {
    const frame = await open()
    const values = await frame.evaluate(`(async () => {
      const outcomes = []
      const attempt = (work) => { try { outcomes.push(String(work())) } catch (error) { outcomes.push(error.name) } }
      attempt(() => new WebSocket('ftp://esp'))
      attempt(() => new Worker('http://['))
      attempt(() => document.body.setAttribute('src', { toString() { throw new RangeError('no') } }))
      attempt(() => { document.body.innerHTML = null; return document.body.innerHTML })
      attempt(() => { const img = new Image(); img.src = 'data:,x'; return img.src })
      outcomes.push(await fetch('http://[').catch((error) => error.name))
      return outcomes
    })()`)
    assert.deepEqual(values, ['SyntaxError', 'SyntaxError', 'RangeError', '', 'data:,x', 'TypeError'])
  })
})
