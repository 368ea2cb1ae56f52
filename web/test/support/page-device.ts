/** A device's own web page for tests of the shell around it: small, plain, and with one page that means harm. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** The page says where it is itself, as the script of the gateway does for pages that know nothing of it. */
const tell = (path: string) =>
  `parent.postMessage({wmoc:'page',path:${JSON.stringify(path)},title:document.title},'*')`

interface Page {
  readonly title: string
  readonly body: string
  readonly script: string
}

const documentOf = ({ title, body, script }: Page) => `<!doctype html>
<html lang="en"><head><title>${title}</title>
<style>body { font: 16px sans-serif; margin: 24px } a { color: #0550ae }</style></head>
<body><h1>${title}</h1>${body}<script>${script}</script></body></html>`

const PAGES: Readonly<Record<string, Page>> = {
  '/': {
    title: 'Heating',
    body: '<p id="here">Boiler at 61 °C</p><a href="setup.html?tab=wifi">Set up</a> <button>Leave</button>',
    script: `${tell('/')}
      document.querySelector('button').onclick = () => { location = '/setup.html?tab=wifi' }`,
  },
  '/setup.html': {
    title: 'Set up',
    body: '<p id="here">Set up</p><a href="./">Back</a> <button>Save</button><output></output>',
    script: `${tell('/setup.html?tab=wifi')}
      document.querySelector('button').onclick = async () => {
        const answer = await fetch('save', { method: 'POST', body: 'x' }).catch(() => ({ status: 0 }))
        document.querySelector('output').textContent = 'status ' + answer.status
      }`,
  },
  '/hostile': {
    title: '\u202EWMOC · Sign in',
    body: '<p id="here">Hostile</p>',
    script: `
      const say = (path, title = 'Sign in') => parent.postMessage({ wmoc: 'page', path, title }, '*')
      for (const path of ['/../../account', '/%2e%2e/%2e%2e/account', '//../../../x', 'account', '/\\\\evil'])
        say(path)
      parent.postMessage('page', '*'); parent.postMessage({ wmoc: 'page', path: {}, title: 1 }, '*')
      for (let n = 0; n < 20000; n++) say('/flood/' + n)
      const tries = [() => top.location = '/account', () => top.document.title = 'owned', () => top.history.back(),
        () => localStorage.setItem('a', 'b'), () => navigator.serviceWorker.register('/sw.js')]
      for (const attempt of tries) try { attempt() } catch {}
      setTimeout(() => say('/hostile', document.title), 2000)`,
  },
}

export interface PageDevice {
  readonly url: string
  /** `METHOD path` of what arrived. */
  readonly requests: readonly string[]
  stop(): Promise<void>
}

export async function startPageDevice(): Promise<PageDevice> {
  const requests: string[] = []
  const server = createServer((request, response) => {
    const path = request.url!.split('?')[0]!
    requests.push(`${request.method} ${path}`)
    const page = PAGES[path]
    const status = request.method === 'POST' || page ? 200 : 404
    response.writeHead(status, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' })
    response.end(request.method === 'POST' || !page ? 'saved' : documentOf(page))
  }).listen(0, '127.0.0.1')
  await new Promise((done) => server.once('listening', done))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    stop: () =>
      new Promise<void>((done) => {
        server.close(() => done())
        server.closeAllConnections()
      }),
  }
}
