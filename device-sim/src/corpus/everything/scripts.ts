/** The files of the fixture: by path, their type and text. */

const JS = 'text/javascript; charset=utf-8'
const CSS = 'text/css'

/** The table, and what of it came from the document before. */
const RESULTS = String.raw`
var results = {}
function done(name, ok, detail) {
  if (results[name] === 'ok') return
  results[name] = ok ? 'ok' : 'failed ' + (detail || '')
  show()
}
function show() {
  for (var name in results) {
    var row = document.getElementById(name)
    if (row) row.lastChild.textContent = results[name]
  }
}
function goOn() { results = Object.assign(JSON.parse(sessionStorage.getItem('results') || '{}'), results); keep() }
function keep() { sessionStorage.setItem('results', JSON.stringify(results)) }
addEventListener('DOMContentLoaded', show)
`

const MAIN = String.raw`
function attempt(name, work) { Promise.resolve().then(work).then((ok) => done(name, ok !== false, ok), (error) => done(name, false, String(error))) }
function later(test) { return new Promise((resolve, reject) => { var left = 600; (function look() { if (test()) resolve(true); else if (--left) setTimeout(look, 50); else reject(new Error('never')) })() }) }
var $ = (id) => document.getElementById(id)
var shown = (id) => () => $(id).naturalWidth === 7
var wide = (id) => () => $(id).getBoundingClientRect().width === 7
var colored = (id, color) => () => getComputedStyle($(id)).color === color
var seen = async (path) => { for (var left = 200; left; left--) { if ((await (await fetch('/all/seen')).json()).includes(path)) return true; await new Promise((resolve) => setTimeout(resolve, 100)) } return false }
var isData = (value) => value.name === 'data'
var box = $('box')

attempt('css-link', () => later(colored('style-link', 'rgb(1, 2, 3)')))
attempt('css-import', () => later(colored('style-import', 'rgb(4, 5, 6)')))
attempt('css-url', () => later(wide('style-url')))
attempt('css-inline', () => later(wide('style-inline')).then(() => seen('/all/inline.css')))
attempt('css-attribute', () => later(wide('style-attribute')))
attempt('css-rule', () => { var style = document.createElement('style'); document.head.append(style); style.sheet.insertRule('#style-rule{content:url(/all/pixel.svg?rule)}'); return later(wide('style-rule')) })
attempt('font', () => seen('/all/font.woff2'))
attempt('img', () => later(shown('img-1')))
attempt('img-relative', () => later(shown('img-2')))
attempt('img-srcset', () => later(shown('img-3')))
attempt('img-picture', () => later(shown('img-4')))
attempt('document-write', () => later(shown('img-5')))
attempt('video-poster', () => seen('/all/pixel.svg?poster'))
attempt('svg-image', () => seen('/all/pixel.svg?svg'))

attempt('fetch', () => fetch('/all/data.json').then((r) => r.json()).then(isData))
attempt('fetch-relative', () => fetch('all/data.json').then((r) => r.json()).then(isData))
attempt('fetch-origin', () => fetch(location.protocol + '//' + location.host + '/all/data.json').then((r) => r.json()).then(isData))
attempt('fetch-url', () => fetch(new URL('/all/data.json', location)).then((r) => r.json()).then(isData))
attempt('fetch-request', () => fetch(new Request('/all/echo', { method: 'POST', body: 'x' })).then((r) => r.text()).then((t) => t === 'x'))
attempt('fetch-post', () => fetch('/all/echo', { method: 'POST', headers: { 'Content-Type': 'application/json', 'X-Custom': '1' }, body: '{"a":1}' }).then((r) => r.text()).then((t) => t === '{"a":1}'))
attempt('fetch-credentials', () => fetch('/all/data.json', { credentials: 'include', mode: 'same-origin' }).then((r) => r.json()).then(isData))
attempt('fetch-redirect', () => fetch('/all/moved').then((r) => r.json()).then(isData))
function xhr(credentials, method, body) {
  return new Promise((resolve, reject) => {
    var http = new XMLHttpRequest()
    http.open(method, method === 'GET' ? '/all/data.json' : '/all/echo')
    http.withCredentials = credentials
    http.onload = () => resolve(http.responseText)
    http.onerror = () => reject(new Error('xhr'))
    http.send(body)
  })
}
attempt('xhr', () => xhr(false, 'GET', null).then((t) => isData(JSON.parse(t))))
attempt('xhr-credentials', () => xhr(true, 'POST', 'y').then((t) => t === 'y'))
attempt('websocket', () => new Promise((resolve, reject) => {
  var socket = new WebSocket(location.protocol.replace('http', 'ws') + '//' + location.host + '/all/ws')
  socket.onopen = () => socket.send('hi')
  socket.onmessage = ({ data }) => { resolve(data === 'echo hi'); socket.close() }
  socket.onerror = () => reject(new Error('error'))
}))
attempt('eventsource', () => new Promise((resolve) => {
  var source = new EventSource('/all/events')
  source.onmessage = ({ data }) => { resolve(data === 'hello'); source.close() }
}))
var worker = new Worker('/all/worker.js')
worker.onmessage = ({ data }) => done(data.name, data.ok, data.detail)
worker.onerror = (event) => done('worker', false, event.message)
attempt('worker-module', () => new Promise((resolve, reject) => {
  var module = new Worker('/all/worker-module.js', { type: 'module' })
  module.onmessage = ({ data }) => resolve(data === 'module heard hello')
  module.onerror = (event) => reject(new Error(event.message))
  module.postMessage('hello')
}))

attempt('inner-html', () => { box.innerHTML = '<img id="img-6" src="/all/pixel.svg?inner" alt="">'; return later(shown('img-6')) })
attempt('insert-html', () => { box.insertAdjacentHTML('beforeend', "<img id=img-7 src=/all/pixel.svg?adjacent alt='1 > 0'>"); return later(shown('img-7')) })
attempt('set-attribute', () => { var img = new Image(); img.id = 'img-8'; img.setAttribute('src', '/all/pixel.svg?attribute'); box.append(img); return later(shown('img-8')) })
attempt('fragment', () => { box.append(document.createRange().createContextualFragment('<img id="img-9" src="/all/pixel.svg?fragment">')); return later(shown('img-9')) })
attempt('audio', () => { new Audio('/all/tone.wav').load(); return seen('/all/tone.wav') })
var script = document.createElement('script')
script.src = '/all/inserted.js'
document.body.append(script)

var sinks = {
  'form-get': (body) => body === '?from=form-get',
  'form-post': (body) => body === 'a=b+c',
  'form-multipart': (body) => body.includes('filename="f.txt"') && body.includes('content of f'),
  'form-script': (body) => body === 'x=y',
  'frame-location': (body) => body === '?from=frame-location',
  link: (body) => body === '?from=link',
}
addEventListener('message', ({ data }) => {
  if (data && sinks[data.from]) done(data.from, sinks[data.from](data.body), data.body)
  else if (data && data.from) done(data.from, data.ok)
})
/** A frame of its own for each, so that none cuts another one off. */
function sink(name) { var frame = document.createElement('iframe'); frame.name = name; frame.title = name; document.body.append(frame); return name }
$('get').target = sink('sink-get'); $('get').requestSubmit()
$('post').target = sink('sink-post'); $('post').submit()
var transfer = new DataTransfer()
transfer.items.add(new File(['content of f'], 'f.txt'))
$('multipart').elements.file.files = transfer.files
$('multipart').target = sink('sink-multipart'); $('multipart').requestSubmit()
var made = document.createElement('form')
made.method = 'post'; made.action = '/all/sink?from=form-script'; made.target = sink('sink-script')
made.innerHTML = '<input name="x" value="y">'
document.body.append(made); made.submit()
$('a').target = sink('sink-link'); $('a').click()

attempt('history', () => {
  var before = location.href
  history.pushState({ here: 1 }, '', '/all/pushed?x#y')
  var is = location.pathname.endsWith('/all/pushed') && location.search === '?x' && history.state.here === 1
  history.replaceState(null, '', before)
  return is
})
attempt('storage', () => {
  localStorage.clear(); sessionStorage.clear()
  localStorage.setItem('kept', 'yes'); sessionStorage.mine = 'too'; localStorage.number = 7; localStorage.setItem('gone', '1'); localStorage.removeItem('gone')
  return localStorage.getItem('gone') === null && localStorage.number === '7' && localStorage.length === 2 && Object.keys(localStorage).length === 2 && localStorage.key(0) !== null
})
attempt('cookie-device', () => document.cookie.includes('device=1') && !document.cookie.includes('hidden'))
attempt('cookie-script', async () => {
  document.cookie = 'script=set; path=/'
  var sent = await (await fetch('/all/cookies')).text()
  return document.cookie.includes('script=set') && sent.includes('script=set') && sent.includes('hidden=1')
})
attempt('beacon', () => { navigator.sendBeacon('/all/beacon?1', 'bye'); return seen('/all/beacon?1') })

attempt('port-websocket', () => new Promise((resolve, reject) => {
  var socket = new WebSocket('ws://' + location.hostname + ':81')
  socket.onmessage = ({ data }) => { resolve(data === 'port 81'); socket.close() }
  socket.onerror = () => reject(new Error('error'))
}))
attempt('port-fetch', () => fetch('http://' + location.hostname + ':8080/all/data.json').then((r) => r.json()).then((data) => data.port === 8080))
document.body.insertAdjacentHTML('beforeend', '<iframe title="port" src="http://' + location.hostname + ':8080/all/child"></iframe>')
var ported = document.createElement('script')
ported.src = 'http://' + location.hostname + ':8080/all/data.js'
document.body.append(ported)

var there = new Set(['location', 'storage-kept', 'meta-refresh'])
later(() => [...document.querySelectorAll('#results tr')].every((row) => there.has(row.id) || row.lastChild.textContent !== 'waiting'))
  .catch(() => {}).then(() => { keep(); location.href = '/api/landed' })
`

const WORKER = String.raw`
importScripts('/all/worker-part.js')
fetch('/all/data.json').then((r) => r.json()).then((data) => postMessage({ name: 'worker', ok: data.name === 'data' && location.pathname.endsWith('/all/worker.js') }), (error) => postMessage({ name: 'worker', ok: false, detail: String(error) }))
`

export const FILES: Readonly<Record<string, readonly [type: string, body: string]>> = {
  '/all/results.js': [JS, RESULTS],
  '/all/main.js': [JS, MAIN],
  '/all/classic.js': [JS, `done('script-classic', true)`],
  '/all/relative.js': [JS, `done('script-relative', true)`],
  '/all/inserted.js': [JS, `done('script-inserted', true)`],
  '/all/module.js': [
    JS,
    `import { name } from '/all/imported.js'
import { name as relative } from './relative-import.js'
done('module', true)
done('module-import', name === 'imported')
done('module-relative', relative === 'relative')
import('/all/dynamic.js').then(({ name }) => done('module-dynamic', name === 'dynamic'), (error) => done('module-dynamic', false, String(error)))`,
  ],
  '/all/imported.js': [JS, `export const name = 'imported'`],
  '/all/relative-import.js': [JS, `export const name = 'relative'`],
  '/all/dynamic.js': [JS, `export const name = 'dynamic'`],
  '/all/worker.js': [JS, WORKER],
  '/all/worker-part.js': [JS, `postMessage({ name: 'worker-import', ok: true })`],
  '/all/worker-module.js': [JS, `onmessage = ({ data }) => postMessage('module heard ' + data)`],
  '/all/main.css': [
    CSS,
    `@import url(/all/imported.css);
@font-face { font-family: Fixture; src: url("/all/font.woff2") format("woff2") }
#style-link { color: rgb(1, 2, 3) }
#style-url { content: url( '/all/pixel.svg?css' ) }
iframe { width: 1px; height: 1px; border: 0 }`,
  ],
  '/all/imported.css': [CSS, `#style-import { color: rgb(4, 5, 6) }`],
  '/all/inline.css': [CSS, `#results { border-collapse: collapse }`],
  '/all/font.woff2': ['font/woff2', ''],
  '/all/tone.wav': ['audio/wav', ''],
  '/all/data.json': ['application/json', `{"name":"data"}`],
}
