/** A user's request for a WebSocket, before anybody is asked whether there shall be one (RFC 6455 section 4.2.1). */
import { ServerResponse } from 'node:http'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { ErrorCode } from '@wmoc/platform/errors'
import { HEADER_NAME } from '#src/core/header-names.ts'

export type UpgradeCheck =
  | { readonly ok: true; readonly subprotocols: readonly string[] }
  | { readonly ok: false; readonly code: ErrorCode; readonly headers: readonly string[] }

const KEY = /^[+/0-9A-Za-z]{22}==$/
const MAX_SUBPROTOCOLS = 16

/** Whether it is a sound handshake of a WebSocket, and what it offers. */
export function checkUpgrade({ headers, method }: IncomingMessage): UpgradeCheck {
  if (headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined)
    return { ok: false, code: 'malformed', headers: [] }
  if (headers.upgrade?.toLowerCase() !== 'websocket' || method !== 'GET')
    return { ok: false, code: 'upgrade_required', headers: ['Upgrade', 'websocket'] }
  if (headers['sec-websocket-version'] !== '13' || !KEY.test(headers['sec-websocket-key'] ?? ''))
    return { ok: false, code: 'upgrade_required', headers: ['Sec-WebSocket-Version', '13'] }
  const offered = headers['sec-websocket-protocol']
  const names = offered === undefined ? [] : offered.split(',').map((name) => name.trim())
  const isSound = names.every((name) => HEADER_NAME.test(name)) && new Set(names).size === names.length
  if (!isSound || names.length > MAX_SUBPROTOCOLS) return { ok: false, code: 'malformed', headers: [] }
  return { ok: true, subprotocols: names }
}

/** An ordinary answer on a socket whose request asked for another protocol: the last thing that it says. */
export function responseOn(request: IncomingMessage, socket: Socket): ServerResponse {
  const response = new ServerResponse(request)
  response.shouldKeepAlive = false
  response.assignSocket(socket)
  response.once('finish', () => socket.destroySoon())
  socket.on('error', () => socket.destroy())
  return response
}
