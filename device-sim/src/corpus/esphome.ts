/**
 * After ESPHome's web_server: a page of one custom element, its script at an absolute address, states and the log by one
 * EventSource, commands by POST without a body, all drawn inside shadow roots.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { html } from '../page/answer.ts'
import { corpusDevice, file, text, type CorpusDevice } from './fixture.ts'

const SCRIPT = String.raw`
class EspApp extends HTMLElement {
  connectedCallback() {
    const root = this.attachShadow({ mode: 'open' })
    root.innerHTML = '<link rel="stylesheet" href="/0.css"><h1></h1><table><tbody></tbody></table><pre></pre>'
    this.source = new EventSource('/events')
    this.source.addEventListener('ping', (event) => { if (event.data) { const config = JSON.parse(event.data); document.title = config.title; root.querySelector('h1').textContent = config.title } })
    this.source.addEventListener('state', (event) => this.show(JSON.parse(event.data)))
    this.source.addEventListener('log', (event) => { root.querySelector('pre').textContent += event.data + '\n' })
  }
  show({ id, name, state }) {
    const body = this.shadowRoot.querySelector('tbody')
    let row = body.querySelector('[data-id="' + id + '"]')
    if (!row) {
      body.insertAdjacentHTML('beforeend', '<tr data-id="' + id + '"><td>' + name + '</td><td class="state"></td><td></td></tr>')
      row = body.lastElementChild
      if (id.startsWith('switch-')) {
        const button = document.createElement('button')
        button.textContent = 'Toggle'
        button.onclick = () => fetch('/' + id.replace('-', '/') + '/toggle', { method: 'POST', headers: { 'Content-Type': 'application/x-www-form-urlencoded' } })
        row.lastElementChild.append(button)
      }
    }
    row.querySelector('.state').textContent = state
  }
}
customElements.define('esp-app', EspApp)
`

export function esphome(): CorpusDevice {
  let isOn = false
  let changes = 0
  const state = () =>
    JSON.stringify({ id: 'switch-relay', name: 'Relay', state: isOn ? 'ON' : 'OFF', value: isOn })

  async function* events(signal: AbortSignal): AsyncGenerator<Buffer> {
    yield Buffer.from(`retry: 3000\nid: 1\nevent: ping\ndata: {"title":"livingroom","ota":true}\n\n`)
    yield Buffer.from(
      `event: state\ndata: ${state()}\n\nevent: state\ndata: {"id":"sensor-temp","name":"Temp","state":"21.5 °C"}\n\n`,
    )
    let told = changes
    while (!signal.aborted) {
      if (told !== changes) {
        told = changes
        yield Buffer.from(
          `event: state\ndata: ${state()}\n\nevent: log\ndata: [D][switch:055]: 'Relay' ${isOn ? 'ON' : 'OFF'}\n\n`,
        )
      }
      await sleep(50, undefined, { ref: false })
    }
  }

  return corpusDevice({
    routes: {
      'GET /': () =>
        html(
          `<!DOCTYPE html><html lang=en><head><meta charset=UTF-8><link rel=icon href=data:><title>ESPHome</title></head><body><esp-app></esp-app><script src="/0.js"></script></body></html>`,
        ),
      'GET /0.js': file('text/javascript', SCRIPT),
      'GET /0.css': file('text/css', '.state{color:rgb(0, 128, 0)}'),
      'GET /events': ({ signal }) => ({
        status: 200,
        headers: { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' },
        body: events(signal),
      }),
      'POST /switch/relay/toggle': () => {
        isOn = !isOn
        changes += 1
        return text('', 200)
      },
    },
  })
}
