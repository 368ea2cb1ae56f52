/**
 * The one public port of a one-machine start. It sends each request to the process it is meant for, as the cluster's
 * ingress does: `/api` to the API; `/c`, `/tunnel` and device hosts to a gateway; the rest is the portal.
 */
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { appError } from '@wmoc/platform/errors'
import { listen } from '@wmoc/platform/listen'
import { createForwardAgent, forward, forwardUpgrade, refuse, refuseUpgrade } from './forward.ts'
import type { Before, Destination, Target } from './forward.ts'
import { createGatewayPool } from './gateway-pool.ts'
import type { GatewayPool, GatewayTarget } from './gateway-pool.ts'

export interface IngressOptions {
  readonly port: number
  /** Bound in turn; those the machine hasn't got are left out, but the first must work. */
  readonly hosts: readonly string[]
  readonly portal: (request: IncomingMessage, response: ServerResponse) => void
  /** Null, the default: the loopback names, and an origin of its own below `localhost` for every controller. */
  readonly oneHost?: OneHost | null
}

/** One host name for everything: controllers have no origins of their own. */
export interface OneHost {
  /** Lower case, without port. */
  readonly name: string
  readonly before: Before
}

export interface Ingress {
  readonly port: number
  /** Before this every request is told to come back soon. */
  open(targets: IngressTargets): void
  /** No new connections; what is under way may finish for `graceMs`. */
  stop(graceMs?: number): Promise<void>
}

export interface IngressTargets {
  readonly api: Target
  /** Those that run now, in any order. */
  readonly gateways: () => readonly GatewayTarget[]
}

/** A fleet that comes back all at once: a connection that finds no place here tries again only after a second. */
const BACKLOG = 4_096

type Route = 'api' | 'gateway' | 'portal' | 'nowhere'

/** What processes tell operators and each other on listeners of their own: never here, not even as the portal's page. */
const INTERNAL = /^\/(?:healthz|readyz|metrics|status|internal|debug)(?:\/|$)/

const LOOPBACK: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]'])

/** Where a request goes. `host` is the Host header; null: no host of ours. `oneHost` as in the options. */
export function routeOf(host: string, url: string, oneHost: string | null = null): Route | null {
  const name = host.toLowerCase().replace(/:\d*$/, '')
  if (oneHost === null && /^[a-z0-9-]+\.localhost$/.test(name)) return 'gateway'
  if (name !== oneHost && !LOOPBACK.has(name)) return null
  const path = url.split('?', 1)[0]!
  if (path === '/api' || path.startsWith('/api/')) return 'api'
  if (path === '/c' || path.startsWith('/c/') || path === '/tunnel') return 'gateway'
  return INTERNAL.test(path) ? 'nowhere' : 'portal'
}

const TUNNEL = /^\/tunnel(?:\?(.*))?$/

/** What is wrong with a request that Node's parser let through; null: nothing. */
function flaw(request: IncomingMessage): { code: 'malformed' | 'method_not_allowed'; detail: string } | null {
  if (request.httpVersionMajor !== 1) return { code: 'malformed', detail: 'HTTP/1.1 is spoken here' }
  let hosts = 0
  for (let index = 0; index < request.rawHeaders.length; index += 2) {
    if (request.rawHeaders[index]!.toLowerCase() === 'host') hosts += 1
  }
  if (hosts !== 1) return { code: 'malformed', detail: 'exactly one Host is needed' }
  if (request.httpVersionMinor === 0 && request.headers['transfer-encoding'] !== undefined) {
    return { code: 'malformed', detail: 'HTTP/1.0 has no Transfer-Encoding' }
  }
  if (!request.url?.startsWith('/')) return { code: 'malformed', detail: 'the target must be a path' }
  if (request.method === 'TRACE' || request.method === 'CONNECT') {
    return { code: 'method_not_allowed', detail: `${request.method} is not served` }
  }
  return null
}

/** Binds the port at once, so that a port in use is known before anything else starts. */
export async function startIngress(options: IngressOptions): Promise<Ingress> {
  const agent = createForwardAgent()
  const { name: oneHost = null, before = 'nobody' } = options.oneHost ?? {}
  let api: Destination | null = null
  let gateways: GatewayPool | null = null

  const gatewayFor = (url: string, pool: GatewayPool): Destination => {
    const tunnel = TUNNEL.exec(url)
    return tunnel ? pool.forTunnel(new URLSearchParams(tunnel[1]).get('shard')) : pool.forRequest()
  }

  const handle = (request: IncomingMessage, response: ServerResponse) => {
    const wrong = flaw(request)
    if (wrong) {
      response.shouldKeepAlive = false
      return refuse(response, appError(wrong.code, { detail: wrong.detail }), {
        connection: 'close',
        ...(wrong.code === 'method_not_allowed' ? { allow: 'GET, HEAD, POST, PUT, PATCH, DELETE' } : {}),
      })
    }
    const route = routeOf(request.headers.host!, request.url!, oneHost)
    if (!route) return refuse(response, appError('misdirected'))
    if (route === 'nowhere') return refuse(response, appError('not_found'))
    if (!api) return refuse(response, appError('dependency_unavailable', { retryAfterMs: 1_000 }))
    if (route === 'portal') return options.portal(request, response)
    forward(agent, request, response, route === 'api' ? api : gatewayFor(request.url!, gateways!), before)
  }
  const handleUpgrade = (request: IncomingMessage, socket: Socket, head: Buffer) => {
    const wrong = flaw(request)
    const route = wrong ? null : routeOf(request.headers.host!, request.url!, oneHost)
    if (wrong) refuseUpgrade(socket, appError(wrong.code, { detail: wrong.detail }))
    else if (route === 'gateway' && gateways)
      forwardUpgrade(request, socket, head, gatewayFor(request.url!, gateways), before)
    else
      refuseUpgrade(
        socket,
        appError(route === null ? 'misdirected' : gateways ? 'not_found' : 'dependency_unavailable'),
      )
  }

  const sockets = new Set<Socket>()
  const servers: Server[] = []
  let { port } = options
  for (const host of options.hosts) {
    const server = createIngressServer(handle, handleUpgrade, sockets)
    try {
      port = await listen(server, { host, port, ipv6Only: true, backlog: BACKLOG })
    } catch (error) {
      const isMissing = ['EADDRNOTAVAIL', 'EAFNOSUPPORT'].includes(
        (error as NodeJS.ErrnoException).code ?? '',
      )
      if (isMissing && servers.length > 0) continue
      for (const started of servers) started.close()
      throw error
    }
    servers.push(server)
  }

  return {
    port,
    open(targets) {
      api = { targets: [targets.api] }
      gateways = createGatewayPool(targets.gateways)
    },
    async stop(graceMs = 2_000) {
      const closed = Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
      for (const server of servers) server.closeIdleConnections()
      const timer = setTimeout(() => {
        for (const socket of sockets) socket.destroy()
      }, graceMs)
      await closed
      clearTimeout(timer)
      gateways?.stop()
      agent.destroy()
    },
  }
}

function createIngressServer(
  handle: (request: IncomingMessage, response: ServerResponse) => void,
  handleUpgrade: (request: IncomingMessage, socket: Socket, head: Buffer) => void,
  sockets: Set<Socket>,
): Server {
  const server = createServer(
    {
      insecureHTTPParser: false,
      maxHeaderSize: 32 * 1024,
      headersTimeout: 15_000,
      // Large uploads and event streams take as long as they take; the process behind has its own limits.
      requestTimeout: 0,
      // Longer than clients keep theirs: a connection must not end while a request is on its way.
      keepAliveTimeout: 65_000,
      shouldUpgradeCallback: (request) => request.headers.upgrade?.toLowerCase() === 'websocket',
    },
    handle,
  )
  // Whoever the request is for asks for its body.
  server.on('checkContinue', handle)
  server.on('upgrade', (request, socket, head) => handleUpgrade(request, socket as Socket, head))
  // Without a listener Node would close the connection without a word.
  server.on('connect', (_request, socket) => refuseUpgrade(socket as Socket, appError('method_not_allowed')))
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  return server
}
