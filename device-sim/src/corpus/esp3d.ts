/**
 * After ESP3D: one compressed page, commands as GETs with a text, what the printer says over a WebSocket at port 81 with
 * the subprotocol `arduino`, files uploaded by XMLHttpRequest with progress.
 */
import { gzipSync } from 'node:zlib'
import { json } from '../page/answer.ts'
import { storeUpload } from '../page/files.ts'
import type { PageModel } from '../page/model.ts'
import { corpusDevice, file, text, type CorpusDevice, type PageSocket } from './fixture.ts'

const INDEX = String.raw`<!DOCTYPE html><html><head><meta charset="UTF-8"><title>ESP3D WebUI</title></head><body>
<h3 id="fw"></h3><pre id="terminal"></pre><form id="form"><input id="custom_cmd_txt"><button>Send</button></form>
<input id="files" type="file" multiple><button id="upload">Upload</button><progress id="prg" max="100" value="0"></progress><ul id="list"></ul>
<script>
var ws_source
function id(name) { return document.getElementById(name) }
function get(url, done) { var http = new XMLHttpRequest(); http.onreadystatechange = function () { if (http.readyState === 4) done(http.status, http.responseText) }; http.open('GET', url, true); http.send(null) }
function startSocket() {
  var address = 'ws://' + document.location.hostname + ':81'
  ws_source = new WebSocket(address, ['arduino'])
  ws_source.binaryType = 'arraybuffer'
  ws_source.onopen = function () { id('terminal').textContent += 'Connected ' + ws_source.protocol + '\n' }
  ws_source.onmessage = function (e) { id('terminal').textContent += (typeof e.data === 'string' ? e.data : new TextDecoder().decode(e.data)) + '\n' }
  ws_source.onclose = function () { setTimeout(startSocket, 3000) }
}
function files() { get('/files?path=/', function (status, response) { id('list').innerHTML = JSON.parse(response).files.map(function (f) { return '<li><a href="/SD/' + f.name + '">' + f.name + '</a> ' + f.size + '</li>' }).join('') }) }
id('form').onsubmit = function (e) { e.preventDefault(); get('/command?commandText=' + encodeURIComponent(id('custom_cmd_txt').value) + '&PAGEID=', function () {}) }
id('upload').onclick = function () {
  var data = new FormData(); data.append('path', '/')
  for (var f of id('files').files) { data.append(f.name + 'S', f.size); data.append('myfile[]', f, f.name) }
  var http = new XMLHttpRequest(); http.upload.onprogress = function (e) { if (e.lengthComputable) id('prg').value = (e.loaded / e.total) * 100 }
  http.onload = files; http.open('POST', '/files', true); http.send(data)
}
get('/command?plain=' + encodeURIComponent('[ESP800]'), function (status, response) { id('fw').textContent = response; startSocket(); files() })
</script></body></html>`

export function esp3d(model: PageModel): CorpusDevice {
  const everybody = new Set<PageSocket>()
  return corpusDevice({
    ports: [81],
    routes: {
      'GET /': file('text/html', gzipSync(INDEX), { 'Content-Encoding': 'gzip' }),
      'GET /command': (_request, url) => {
        if (url.searchParams.has('plain'))
          return text('FW version:2.1.1 # FW target:grbl # webcommunication: Sync: 81')
        const command = url.searchParams.get('commandText') ?? ''
        for (const socket of everybody) socket.say(command === 'M105' ? 'ok T:21.3 /0.0' : `echo: ${command}`)
        return text('ok')
      },
      'GET /files': () =>
        json({
          files: [...model.files].map(([name, bytes]) => ({ name, size: bytes.size })),
          path: '/',
          status: 'Ok',
        }),
      'POST /files': async (request) => {
        const stored = await storeUpload(model, request, 'myfile[]')
        return json({ status: stored ? `${stored.name} uploaded` : 'failed' }, stored ? 200 : 400)
      },
    },
    sockets: {
      '81 /': {
        subprotocol: 'arduino',
        opened(socket) {
          everybody.add(socket)
          socket.say('CURRENT_ID:0')
        },
      },
    },
  })
}
