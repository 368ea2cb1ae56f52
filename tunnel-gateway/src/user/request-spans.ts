/**
 * The spans of a proxied request: one for what the user waits for, and one for the leg from here, through the tunnel or
 * to the shard that holds it. A WebSocket is traced until it is open: how long it lives is no measure of anything.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Span, Tracing } from '@wmoc/platform/tracing'
import type { Upstream } from '#src/core/upstream.ts'
import type { Hop, Outcome } from './traffic.ts'

/** Begins with the request and ends with its answer. Neither path nor query is told: they are the device's. */
export function beginRequest(tracing: Tracing, request: IncomingMessage, response: ServerResponse): Span {
  const { method, headers } = request
  const span = tracing.start(`${method} device`, {
    kind: 'server',
    parent: one(headers['traceparent']) ?? '',
    attributes: { 'http.request.method': method! },
  })
  // Later than whoever else listens, so that what they tell is in it.
  response.once('close', () => process.nextTick(endRequest, span, response))
  return span
}

function endRequest(span: Span, { headersSent, statusCode }: ServerResponse): void {
  if (headersSent) span.set({ 'http.response.status_code': statusCode })
  span.end(statusCode >= 500 ? String(statusCode) : undefined)
}

/** Its `traceparent` is what the device, or the other shard, gets. */
export function beginLeg(tracing: Tracing, request: Span, { hop, controllerId }: Upstream): Span {
  return tracing.start(hop === 'local' ? 'tunnel' : 'hop', {
    kind: 'client',
    parent: request.traceparent,
    attributes: { 'wmoc.controller.id': controllerId },
  })
}

export interface Told {
  readonly status: number
  readonly outcome: Outcome
  readonly hop: Hop
}

/** The request is decided: ends the leg, and the request where it has become a WebSocket. */
export function tellSpans(request: Span, leg: Span | null, { status, outcome, hop }: Told): void {
  const isGood = outcome === 'ok' || outcome === 'user_left'
  leg?.end(isGood ? undefined : outcome)
  request.set({ 'wmoc.outcome': outcome, 'wmoc.hop': hop })
  if (status !== 101) return
  request.set({ 'http.response.status_code': status })
  request.end()
}

function one(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value
}
