/**
 * After WLED: a compressed single page whose script makes absolute addresses from `location`, talks JSON over fetch and
 * over a WebSocket on the same port, shows a live view in a frame, and goes to its settings by `location.href`.
 */
import { gzipSync } from 'node:zlib'
import { html, json } from '../page/answer.ts'
import { bodyOf, corpusDevice, file, type CorpusDevice, type PageSocket } from './fixture.ts'

const INDEX = `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="theme-color" content="#222"><link rel="shortcut icon" href="/favicon.ico"/><link rel="stylesheet" href="skin.css"><title>WLED</title>
<script>
var ws, lastState;
function getURL(path) { return location.protocol + '//' + location.host + path }
function gId(id) { return document.getElementById(id) }
function show(s) { lastState = s; gId('power').textContent = s.on ? 'on' : 'off'; gId('sliderBri').value = s.bri; gId('bri').textContent = s.bri }
function makeWS() {
  if (ws) return
  var url = (location.protocol === 'https:' ? 'wss' : 'ws') + '://' + location.host + '/ws'
  ws = new WebSocket(url)
  ws.onmessage = function (e) { var j = JSON.parse(e.data); if (j.state) { gId('conn').textContent = 'live'; show(j.state) } }
  ws.onclose = function () { ws = null; gId('conn').textContent = 'gone'; setTimeout(makeWS, 1500) }
}
function requestJson(command) {
  if (command && ws && ws.readyState === 1) { command.v = true; ws.send(JSON.stringify(command)); return }
  fetch(getURL(command ? '/json/state' : '/json/si'), { method: command ? 'post' : 'get', headers: { 'Content-type': 'application/json; charset=UTF-8' }, body: command ? JSON.stringify(command) : undefined })
    .then(function (r) { return r.json() }).then(function (j) { show(j.state || j); makeWS() })
}
function loadEffects() {
  fetch(getURL('/json/effects'), { method: 'get' }).then(function (r) { return r.json() }).then(function (list) {
    gId('fxlist').innerHTML = list.map(function (name, i) { return '<div class="lstI"><img src="/fx/' + i + '.svg" alt=""><span>' + name + '</span></div>' }).join('')
  })
}
function onLoad() { requestJson(); loadEffects(); gId('ver').textContent = getComputedStyle(document.body).getPropertyValue('--ver') }
</script></head><body onload="onLoad()">
<button id="buttonPower" onclick="requestJson({on: !lastState.on})">Power <b id="power">?</b></button>
<label>Brightness <input id="sliderBri" type="range" min="1" max="255" onchange="requestJson({bri: parseInt(this.value)})"></label> <output id="bri"></output>
<span id="conn"></span><span id="ver"></span><div id="fxlist"></div>
<button id="peek" onclick="gId('liveview').src = getURL('/liveview')">Peek</button><iframe id="liveview" src="about:blank"></iframe>
<button id="config" onclick="window.location.href = getURL('/settings')">Config</button>
</body></html>`

const LIVE = `<!DOCTYPE html><html><head><meta charset="utf-8"><title>WLED Live Preview</title></head><body><div id="canv">waiting</div><script>
var s = new WebSocket((location.protocol === 'https:' ? 'wss' : 'ws') + '://' + document.location.host + '/ws')
s.onopen = function () { s.send("{'lv':true}") }
s.onmessage = function (e) { if (e.data.indexOf('leds') > 0) document.getElementById('canv').textContent = 'leds' }
</script></body></html>`

export function wled(): CorpusDevice {
  const state = { on: true, bri: 128 }
  let name = 'WLED'
  const everybody = new Set<PageSocket>()
  const tell = () => JSON.stringify({ state, info: { name } })
  function change(wish: unknown): void {
    const { on, bri } = wish as { on?: unknown; bri?: unknown }
    if (typeof on === 'boolean') state.on = on
    if (typeof bri === 'number') state.bri = bri
    for (const socket of everybody) socket.say(tell())
  }
  const page = gzipSync(INDEX)
  return corpusDevice({
    routes: {
      'GET /': file('text/html', page, {
        'Content-Encoding': 'gzip',
        'Cache-Control': 'no-cache',
        ETag: '"2409170"',
      }),
      'GET /skin.css': file('text/css', `:root{--ver:0.15}body{background:url("/bg.svg")}`, { ETag: '"s1"' }),
      'GET /bg.svg': file('image/svg+xml', `<svg xmlns="http://www.w3.org/2000/svg"/>`),
      'GET /favicon.ico': file('image/x-icon', Buffer.alloc(16)),
      'GET /fx/0.svg': file('image/svg+xml', SQUARE),
      'GET /fx/1.svg': file('image/svg+xml', SQUARE),
      'GET /json/si': () => json({ state, info: { name } }),
      'GET /json/effects': () => json(['Solid', 'Blink']),
      'POST /json/state': async (request) => {
        change(JSON.parse(await bodyOf(request)))
        return json(state)
      },
      'GET /liveview': () => html(LIVE),
      'GET /settings': () =>
        html(
          `<!DOCTYPE html><html><head><title>WLED Settings</title></head><body><form method="post" action="/settings/ui"><input name="DS" value="${name}"><button type="submit">Save</button></form><button type="button" id="back" onclick="window.open('/','_self')">Back</button></body></html>`,
        ),
      'POST /settings/ui': async (request) => {
        name = new URLSearchParams(await bodyOf(request)).get('DS')?.replaceAll(/[^\w ]/g, '') ?? name
        return html(
          `<!DOCTYPE html><html><head><title>Saved</title><meta http-equiv="refresh" content="1; url=/settings"></head><body><h2 id="saved">UI settings saved.</h2></body></html>`,
        )
      },
    },
    sockets: {
      '/ws': {
        opened(socket) {
          everybody.add(socket)
          socket.say(tell())
        },
        heard(words, socket) {
          if (words.includes("'lv'")) socket.say('{"leds":["FF0000"]}')
          else change(JSON.parse(words))
        },
      },
    },
  })
}

const SQUARE = `<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16"><rect width="16" height="16"/></svg>`
