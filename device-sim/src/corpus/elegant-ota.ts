/**
 * After ElegantOTA: a compressed page at `/update` that announces the update with the file's hash, sends it by
 * XMLHttpRequest with progress as multipart, and then shows that the device starts anew.
 */
import { gzipSync } from 'node:zlib'
import { html, redirect } from '../page/answer.ts'
import { storeUpload } from '../page/files.ts'
import type { PageModel } from '../page/model.ts'
import { corpusDevice, file, text, type CorpusDevice } from './fixture.ts'

const PAGE = `<!DOCTYPE html><html lang="en"><head><meta charset="UTF-8"><title>ElegantOTA</title></head><body><h1>ElegantOTA</h1>
<select id="mode"><option value="fr">Firmware</option><option value="fs">LittleFS / SPIFFS</option></select><input type="file" id="file" accept=".bin,.bin.gz"><p id="state">idle</p><progress id="progress" max="100" value="0"></progress>
<script type="module">
const $ = (id) => document.getElementById(id)
async function start(file) {
  const response = await fetch('/ota/start?mode=' + $('mode').value + '&size=' + file.size)
  if (!response.ok) throw new Error(await response.text())
}
function upload(file) {
  const form = new FormData()
  form.append('file', file, file.name)
  const request = new XMLHttpRequest()
  request.open('POST', '/ota/upload')
  request.upload.addEventListener('progress', (event) => { $('progress').value = (event.loaded / event.total) * 100 })
  request.onload = () => { $('state').textContent = request.status === 200 ? 'Update Successful: ' + request.responseText : request.responseText || 'failed' }
  request.onerror = () => { $('state').textContent = 'Unknown error' }
  request.send(form)
}
$('file').addEventListener('change', async () => {
  try { await start($('file').files[0]); $('state').textContent = 'uploading'; upload($('file').files[0]) } catch (error) { $('state').textContent = error.message }
})
</script></body></html>`

export function elegantOta(model: PageModel): CorpusDevice {
  let expected = -1
  return corpusDevice({
    routes: {
      'GET /': () => html(`<!DOCTYPE html><title>Device</title><p>Hi! <a href="/update">Update</a></p>`),
      'GET /ota': () => redirect(302, '/update'),
      'GET /update': file('text/html', gzipSync(PAGE), { 'Content-Encoding': 'gzip' }),
      'GET /ota/start': (_request, url) => {
        const size = url.searchParams.get('size') ?? ''
        if (!/^\d+$/.test(size)) return text('Size missing', 400)
        expected = Number(size)
        return text('OK')
      },
      'POST /ota/upload': async (request) => {
        const stored = await storeUpload(model, request)
        if (stored === null || stored.size !== expected) return text('Flash size mismatch', 400)
        return text(`${stored.size} bytes`)
      },
    },
  })
}
