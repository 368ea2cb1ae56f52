/** The `/tunnel` listener: takes the WebSocket, lets the session machine talk, ties both to the rest of the gateway. */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { clientAddress, limitKeyOfAddress } from '@wmoc/platform/client-address'
import { ERRORS } from '@wmoc/platform/errors'
import type { ErrorCode } from '@wmoc/platform/errors'
import { V1_LIMITS } from '@wmoc/protocol/messages'
import { WebSocketServer } from 'ws'
import type { WebSocket } from 'ws'
import type { Admission } from '#src/core/admission.ts'
import type { GatewayMetrics } from '#src/gateway-metrics.ts'

export interface TunnelListenerOptions {
  readonly trustedHops: number
  readonly admission: Admission
  readonly metrics: GatewayMetrics
  tunnels(): number
  /** Too little memory to take more on. */
  readonly isShedding: () => boolean
  accept(socket: WebSocket, stream: Duplex, address: string): void
}

export interface TunnelListener {
  /** An upgrade request to `/tunnel`. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void
}

const SUBPROTOCOL_V1 = 'wmoc.v1'
export const SUBPROTOCOL_V2 = 'wmoc.v2'
const SUBPROTOCOLS = [SUBPROTOCOL_V2, SUBPROTOCOL_V1]

export function createTunnelListener(options: TunnelListenerOptions): TunnelListener {
  const { admission, metrics } = options
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    // A compressed bomb cannot be sent where compression is never agreed to.
    perMessageDeflate: false,
    maxPayload: V1_LIMITS.maxMessageBytes,
    maxFragments: 1_024,
    maxBufferedChunks: 4_096,
    handleProtocols: (offered) => SUBPROTOCOLS.find((name) => offered.has(name)) ?? false,
  })
  server.on('wsClientError', (_error, socket) => {
    metrics.refusedUpgrades.inc({ reason: 'handshake' })
    refuseUpgrade(socket, 'malformed', undefined, 'Sec-WebSocket-Version: 13\r\n')
  })

  function refusal(request: IncomingMessage): { code: ErrorCode; reason: string } | null {
    const { headers } = request
    // Browsers send these and devices don't: a page must not be able to pose as a device.
    if (headers.origin !== undefined || headers.cookie !== undefined)
      return { code: 'forbidden', reason: 'browser' }
    const offered = headers['sec-websocket-protocol']
    if (offered !== undefined && !offered.split(',').some((name) => SUBPROTOCOLS.includes(name.trim()))) {
      return { code: 'malformed', reason: 'subprotocol' }
    }
    return null
  }

  return {
    upgrade(request, socket, head) {
      const refused = refusal(request)
      if (refused !== null) {
        metrics.refusedUpgrades.inc({ reason: refused.reason })
        return refuseUpgrade(socket, refused.code)
      }
      const address = clientAddress(
        request.socket.remoteAddress,
        request.headers['x-forwarded-for'],
        options.trustedHops,
      )
      const key = limitKeyOfAddress(address)
      const admitted = admission.enter(key, options.tunnels(), performance.now(), options.isShedding())
      if (admitted !== 'yes') {
        metrics.refusedUpgrades.inc({ reason: admitted })
        return refuseUpgrade(socket, admitted === 'full' ? 'overloaded' : 'rate_limited', 10)
      }
      let isOpen = false
      const abandoned = () => {
        if (!isOpen) admission.left(key)
      }
      socket.once('close', abandoned)
      server.handleUpgrade(request, socket, head, (webSocket) => {
        isOpen = true
        socket.off('close', abandoned)
        options.accept(webSocket, socket, address)
      })
    },
  }
}

/** Answers an upgrade request with a problem and ends the connection. */
export function refuseUpgrade(
  socket: Duplex,
  code: ErrorCode,
  retryAfterSec?: number,
  extraHeader = '',
  detail?: string,
): void {
  const { status, title } = ERRORS[code]
  const body = JSON.stringify({ type: `urn:wmoc:error:${code}`, title, status, code, detail })
  const retry = retryAfterSec === undefined ? '' : `Retry-After: ${retryAfterSec}\r\n`
  socket.on('error', () => socket.destroy())
  socket.end(
    `HTTP/1.1 ${status} ${title}\r\nContent-Type: application/problem+json; charset=utf-8\r\n${retry}${extraHeader}` +
      `Cache-Control: no-store\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    // A peer that does not read must not keep the socket.
    () => setTimeout(() => socket.destroy(), 1_000).unref(),
  )
}
