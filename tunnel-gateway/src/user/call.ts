/** One request of a person or a program, before it is known what it may do. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { clientAddress } from '@wmoc/platform/client-address'
import type { Span } from '@wmoc/platform/tracing'
import type { BrowserHints } from '#src/core/access-rules.ts'
import type { UpgradeRequest } from './proxy.ts'

export interface Call {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly host: string
  readonly target: string
  readonly hints: BrowserHints
  readonly clientAddress: string
  readonly expectsContinue: boolean
  /** Of a WebSocket; null: an ordinary request. */
  readonly upgrade: Pick<UpgradeRequest, 'socket' | 'head' | 'subprotocols'> | null
  readonly span: Span | null
}

/** What the role must allow: a WebSocket can change anything. */
export function needOf({ request, upgrade }: Call): string {
  return upgrade === null ? request.method! : 'WEBSOCKET'
}

export function hintsOf({ method, headers }: IncomingMessage): BrowserHints {
  return {
    method: method!,
    fetchSite: one(headers['sec-fetch-site']),
    fetchMode: one(headers['sec-fetch-mode']),
    fetchDest: one(headers['sec-fetch-dest']),
    origin: headers.origin,
    accept: headers.accept,
  }
}

/** @param trustedHops Proxies of ours in front. */
export function addressOf({ socket, headers }: IncomingMessage, trustedHops: number): string {
  return clientAddress(socket.remoteAddress, headers['x-forwarded-for'], trustedHops)
}

function one(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value
}
