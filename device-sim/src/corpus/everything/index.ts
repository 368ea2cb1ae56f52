/**
 * A page that uses every way to name an address that the web has, absolute and root-relative wherever it can, as if it were
 * alone on its host. What works says `ok` in a table; the table goes on over three documents.
 */
import { headerOf, html, redirect, type Answer, type Route } from '../../page/answer.ts'
import { bodyOf, corpusDevice, file, text, type CorpusDevice } from '../fixture.ts'
import { childPage, endPage, goerPage, landedPage, mainPage, sinkPage } from './pages.ts'
import { FILES } from './scripts.ts'

const PIXEL = `<svg xmlns="http://www.w3.org/2000/svg" width="7" height="7"><rect width="7" height="7"/></svg>`

export function everything(): CorpusDevice {
  /** Paths with their queries, of what nobody sees arrive in the page. */
  const seen = new Set<string>()
  const seeing =
    (route: Route): Route =>
    (request, url) => {
      seen.add(url.pathname + url.search)
      return route(request, url)
    }
  const sink: Route = async (request, url) => {
    const body = request.method === 'POST' ? await bodyOf(request) : url.search
    return html(sinkPage(url.searchParams.get('from') ?? '', body))
  }
  const files: Record<string, Route> = {}
  for (const [path, [type, body]] of Object.entries(FILES)) files[`GET ${path}`] = seeing(file(type, body))

  return corpusDevice({
    ports: [81, 8080],
    routes: {
      ...files,
      'GET /': () =>
        html(mainPage(), 200, { 'Set-Cookie': ['device=1; Path=/', 'hidden=1; Path=/; HttpOnly'] }),
      'GET /all/pixel.svg': seeing(file('image/svg+xml', PIXEL)),
      'GET /api/landed': () => html(landedPage()),
      'GET /all/end': () => html(endPage()),
      'GET /all/child': () => html(childPage()),
      'GET /all/goer': () => html(goerPage()),
      'GET /all/moved': () => redirect(302, '/all/data.json'),
      'GET /all/seen': () => jsonOf([...seen]),
      'GET /all/cookies': (request) => text(headerOf(request, 'cookie') ?? ''),
      'POST /all/echo': async (request) => text(await bodyOf(request)),
      'POST /all/beacon': seeing(() => ({ status: 204, headers: {} })),
      'GET /all/events': ({ isLive }) => (isLive ? events() : text('no events here', 501)),
      'GET /all/sink': sink,
      'POST /all/sink': sink,
      '8080 GET /all/data.json': () => jsonOf({ port: 8080 }),
      '8080 GET /all/child': () => html(childPage('8080')),
      '8080 GET /all/data.js': file('text/javascript', `done('port-script', true)`),
    },
    sockets: {
      '/all/ws': { heard: (words, socket) => socket.say(`echo ${words}`) },
      '81 /': { opened: (socket) => socket.say('port 81') },
    },
  })
}

function jsonOf(value: unknown): Answer {
  return {
    status: 200,
    headers: { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' },
    body: JSON.stringify(value),
  }
}

function events(): Answer {
  return {
    status: 200,
    headers: { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' },
    body: [Buffer.from('data: hello\n\n')],
  }
}
