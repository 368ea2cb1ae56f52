/**
 * After ESPUI: an empty page with root-relative scripts and style sheets; the whole interface comes as JSON over a
 * WebSocket, each control tells the device by a short text, and the device tells every page what changed.
 */
import { html } from '../page/answer.ts'
import { corpusDevice, file, type CorpusDevice, type PageSocket } from './fixture.ts'

const SCRIPT = String.raw`
var websock
function conStatus(text) { document.getElementById('conStatus').textContent = text }
function start() {
  conStatus('connecting')
  var port = window.location.port
  var scheme = location.protocol === 'https:' ? 'wss://' : 'ws://'
  websock = new WebSocket(scheme + window.location.hostname + (port != '' && port != 80 && port != 443 ? ':' + port : '') + '/ws')
  websock.onopen = function () { conStatus('connected') }
  websock.onclose = function () { conStatus('closed'); setTimeout(start, 1000) }
  websock.onmessage = function (event) {
    var data = JSON.parse(event.data)
    if (data.type === 'update') document.getElementById('l' + data.id).textContent = data.value
    else { document.title = data.title; document.getElementById('row').innerHTML = ''; data.controls.forEach(add) }
  }
}
function switcher(element, number) { websock.send((element.checked ? 'sactive:' : 'sinactive:') + number) }
function add(control) {
  var html = control.kind === 'switch'
    ? '<label class="card"><input type="checkbox" id="sw' + control.id + '" onclick="switcher(this,' + control.id + ')"> ' + control.label + '</label>'
    : '<div class="card"><img src="/css/icon.svg" alt=""> ' + control.label + ' <span id="l' + control.id + '">' + control.value + '</span></div>'
  document.getElementById('row').insertAdjacentHTML('beforeend', html)
}
`

export function espui(): CorpusDevice {
  const everybody = new Set<PageSocket>()
  return corpusDevice({
    routes: {
      'GET /': () =>
        html(`<!DOCTYPE html><html><head><meta charset="UTF-8"><title>Control</title><link rel="shortcut icon" href="data:"><link rel="stylesheet" href="/css/style.css"><script src="/js/controls.js"></script></head>
<body onload="javascript:start();"><span id="conStatus">Offline</span><div id="row"></div></body></html>`),
      'GET /js/controls.js': file('application/javascript', SCRIPT, { 'Cache-Control': 'max-age=600' }),
      'GET /css/style.css': file(
        'text/css',
        '@import "/css/normalize.css";.card{outline:1px solid rgb(1, 2, 3)}',
      ),
      'GET /css/normalize.css': file('text/css', 'body{margin:7px}'),
      'GET /css/icon.svg': file(
        'image/svg+xml',
        `<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>`,
      ),
    },
    sockets: {
      '/ws': {
        opened(socket) {
          everybody.add(socket)
          const controls = [
            { id: 1, kind: 'label', label: 'Relay', value: 'off' },
            { id: 2, kind: 'switch', label: 'Switch', value: '0' },
          ]
          socket.say(JSON.stringify({ type: 'initial', title: 'ESPUI Control', controls }))
        },
        heard(words) {
          const value = words.startsWith('sactive:') ? 'on' : 'off'
          for (const socket of everybody) socket.say(JSON.stringify({ type: 'update', id: 1, value }))
        },
      },
    },
  })
}
