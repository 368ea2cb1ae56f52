/** How a fixture device is put together: routes by method and path, WebSockets by port and path. */
import type { DeviceRequest, DeviceSocket, Handlers } from '../device/handler.ts'
import { answering, headerOf, type Answer, type Route } from '../page/answer.ts'
import { wholeMessages } from '../page/sockets.ts'

/** A device whose page is made as those of a well-known firmware are: the ways they use, in few lines of our own. */
export interface CorpusDevice {
  readonly handlers: Handlers
  /** Ports beside 80 that its pages use, to be announced. */
  readonly ports: readonly number[]
}

/** One WebSocket that a page opened; texts only. */
export interface PageSocket {
  say(text: string): void
  close(): void
}

export interface PageSocketListener {
  opened?(socket: PageSocket): void
  heard?(text: string, socket: PageSocket): void
}

export interface Fixture {
  /** `GET /path`, at another port `81 GET /path`. A GET answers HEAD too. */
  readonly routes: Readonly<Record<string, Route>>
  /** `/path`, at another port `81 /path`. */
  readonly sockets?: Readonly<Record<string, PageSocketListener & { subprotocol?: string }>>
  readonly ports?: readonly number[]
}

export function corpusDevice({ routes, sockets = {}, ports = [] }: Fixture): CorpusDevice {
  function find(request: DeviceRequest, url: URL): Answer | Promise<Answer> {
    const method = request.method === 'HEAD' ? 'GET' : request.method
    const route = routes[`${portPrefix(request)}${method} ${url.pathname}`]
    return route?.(request, url) ?? text('Not Found', 404)
  }

  function socket(request: DeviceRequest, opened: DeviceSocket): void {
    const { pathname } = URL.parse(request.path, 'http://device') ?? { pathname: '' }
    const listener = sockets[`${portPrefix(request)}${pathname}`]
    if (listener === undefined) return opened.refuse(404, {}, Buffer.from('no such WebSocket'))
    const side: PageSocket = {
      say: (words) => void opened.send(Buffer.from(words), false),
      close: () => opened.close(1000, ''),
    }
    const { subprotocol } = listener
    opened.accept(subprotocol === undefined ? {} : { 'Sec-WebSocket-Protocol': subprotocol }, {
      message: wholeMessages(opened, (bytes) => listener.heard?.(bytes.toString(), side)),
      closed: () => undefined,
    })
    listener.opened?.(side)
  }

  return { handlers: { request: answering(find), socket }, ports }
}

/** The platform names the port that the page meant, where it is not the one that the page came from. */
function portPrefix(request: DeviceRequest): string {
  const port = headerOf(request, 'x-forwarded-port')
  return port === null ? '' : `${port} `
}

export function text(body: string, status = 200): Answer {
  return { status, headers: { 'Content-Type': 'text/plain' }, body }
}

/** A file as small devices keep them. */
export function file(type: string, body: string | Buffer, headers: Record<string, string> = {}): Route {
  return () => ({ status: 200, headers: { 'Content-Type': type, ...headers }, body })
}

/** A body of a form or of JSON as text. */
export async function bodyOf(request: DeviceRequest, maxBytes = 65_536): Promise<string> {
  return (await request.body.collect(maxBytes)).toString()
}
