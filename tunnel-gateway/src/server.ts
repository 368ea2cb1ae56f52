/** The public HTTP server, hardened, and which listener a request belongs to. */
import { createServer } from 'node:http'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { listen } from '@wmoc/platform/listen'
import { refuseUpgrade } from './device/listener.ts'
import type { TunnelListener } from './device/listener.ts'
import { guardRequest } from './user/http-guard.ts'
import { isInOrder, mayUpgrade, refuseBytes } from './user/connection-order.ts'
import { LeanResponse } from './user/lean-response.ts'
import type { UserListener } from './user/listener.ts'
import { sendProblem } from './user/problem.ts'

export interface PublicServer {
  readonly port: number
  /** Connections from outside, as of the last `sample`. */
  readonly connections: number
  /** To be called about every second. */
  sample(): void
  start(): Promise<void>
  /** No new connections; those that are idle end. Resolves when the last is gone. */
  stop(): Promise<void>
}

const MAX_HEADER_BYTES = 16_384

export function createPublicServer(options: {
  host: string
  port: number
  /** Time for the head of a request to arrive, 15 s at most. */
  requestTimeoutMs: number
  maxConnections: number
  /** Every answer is the last of its connection: who keeps one open is to open the next somewhere else. */
  isDraining(): boolean
  users: UserListener
  devices: TunnelListener
}): PublicServer {
  const server = createServer({
    ServerResponse: LeanResponse,
    // What has no body is no stream either: nobody listens for its end.
    optimizeEmptyRequests: true,
    insecureHTTPParser: false,
    // Looked at with the rest of the head: Node would go on with what follows a request that it refuses.
    requireHostHeader: false,
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: Math.min(15_000, options.requestTimeoutMs),
    // A body that streams may take as long as it likes as long as it goes on; whoever reads it watches that.
    requestTimeout: 0,
    keepAliveTimeout: 65_000,
    connectionsCheckingInterval: Math.min(5_000, options.requestTimeoutMs / 2),
    noDelay: true,
    // Else a flood of names costs more than the limit in bytes says.
    joinDuplicateHeaders: false,
  })
  server.maxHeadersCount = 200
  server.maxConnections = options.maxConnections

  server.on('request', (request, response) => dispatch(request, response, false))
  server.on('checkContinue', (request, response) => dispatch(request, response, true))
  server.on('upgrade', (request, socket, head) => upgrade(request, socket, head))
  server.on('clientError', (error, socket) => refuseBytes(error, socket as Socket))
  server.on('connect', (request: IncomingMessage, socket: Duplex) => {
    if (mayUpgrade(request)) refuseUpgrade(socket, 'method_not_allowed')
    else socket.destroy()
  })

  function dispatch(request: IncomingMessage, response: LeanResponse, expectsContinue: boolean): void {
    if (options.isDraining()) response.shouldKeepAlive = false
    if (!isInOrder(request, response)) return void request.socket.pause()
    if (isTunnel(request)) {
      const guarded = guardRequest(request)
      if (guarded.ok)
        sendProblem(response, 'upgrade_required', {}, [
          'Upgrade',
          'websocket',
          'Connection',
          'close, Upgrade',
        ])
      else sendProblem(response, guarded.code, {}, [...(guarded.headers ?? []), 'Connection', 'close'])
      return
    }
    options.users.handle(request, response, expectsContinue)
  }

  function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (!mayUpgrade(request)) return void socket.destroy()
    if (!isTunnel(request)) return options.users.upgrade(request, socket as Socket, head)
    const guarded = guardRequest(request)
    if (!guarded.ok) return refuseUpgrade(socket, guarded.code)
    const hasBody =
      request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined
    if (hasBody) refuseUpgrade(socket, 'malformed')
    else if (request.headers.upgrade?.toLowerCase() === 'websocket')
      options.devices.upgrade(request, socket, head)
    else refuseUpgrade(socket, 'upgrade_required', undefined, 'Upgrade: websocket\r\n')
  }

  let port = 0
  let connections = 0
  return {
    get connections() {
      return connections
    },
    sample() {
      server.getConnections((error, count) => {
        if (error === null) connections = count
      })
    },
    get port() {
      return port
    },
    async start() {
      port = await listen(server, { port: options.port, host: options.host, backlog: 4_096 })
    },
    stop() {
      return new Promise((resolve) => {
        server.close(() => resolve())
        server.closeIdleConnections()
      })
    },
  }
}

function isTunnel(request: IncomingMessage): boolean {
  const url = request.url ?? ''
  return url === '/tunnel' || url.startsWith('/tunnel?')
}
