/** The gateway's listener: CONTROL_PLANE over HTTP, never reachable through the ingress. */
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { AppError, appError, toProblem } from '@wmoc/platform/errors'
import { safeEqual, uuidv7 } from '@wmoc/platform/ids'
import type { Logger } from '@wmoc/platform/log'
import type { Metrics } from '@wmoc/platform/metrics'
import type { Tracing } from '@wmoc/platform/tracing'
import { CONTROL_PLANE, JWKS_PATH } from '@wmoc/protocol/control-plane'
import type { ControlPlaneCall } from '@wmoc/protocol/control-plane'
import type { JSONWebKeySet } from 'jose'
import { explainError } from './errors.ts'
import type { Module } from './module.ts'

/** A batch of 500 ingest messages of 64 KiB each. */
const BODY_LIMIT_BYTES = 33_554_432

type InternalHandler = (input: never) => Promise<unknown>

export interface InternalServerOptions {
  readonly token: string
  readonly modules: readonly Module[]
  readonly jwks: () => Promise<JSONWebKeySet>
  readonly log: Logger
  readonly metrics: Metrics
  readonly tracing: Tracing | null
}

/**
 * `POST /internal/<call>` with `Authorization: Bearer INTERNAL_TOKEN`; input and output are validated by the same
 * schemas the gateway uses. `GET /internal/jwks` needs the token too. Throws at once when a call has no handler or two.
 */
export function createInternalServer(options: InternalServerOptions): Server {
  const handlers = collectHandlers(options.modules)
  const seconds = options.metrics.histogram(
    'wmoc_api_internal_request_seconds',
    'Duration of calls of the gateway',
    {
      labelNames: ['call', 'status'],
    },
  )
  const traced = tracedBy(options.tracing)
  return createServer({ requestTimeout: 30_000, keepAliveTimeout: 65_000 }, (request, response) => {
    const started = performance.now()
    void traced(request, response, () => answer(request, response, handlers, options)).then((call) => {
      seconds.observe({ call, status: String(response.statusCode) }, (performance.now() - started) / 1_000)
    })
  })
}

/** Calls of the gateway that belong to a request that is traced. */
function tracedBy(tracing: Tracing | null) {
  return async (request: IncomingMessage, response: ServerResponse, work: () => Promise<string>) => {
    const { traceparent } = request.headers
    if (tracing === null || typeof traceparent !== 'string') return await work()
    const span = tracing.start('internal call', { kind: 'server', parent: traceparent })
    const call = await tracing.within(span, work)
    span.rename(`internal ${call}`)
    span.set({ 'http.response.status_code': response.statusCode })
    span.end(response.statusCode >= 500 ? String(response.statusCode) : undefined)
    return call
  }
}

/** Answers one request, whatever happens; resolves to the name of the call for the metric. */
async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  handlers: ReadonlyMap<string, InternalHandler>,
  options: InternalServerOptions,
): Promise<string> {
  const requestId = uuidv7()
  const name = request.url?.replace(/^\/internal\//, '') ?? ''
  const call = handlers.has(name) ? name : 'other'
  try {
    authorise(request, options.token)
    if (request.method === 'GET' && request.url === JWKS_PATH) {
      send(response, 200, await options.jwks())
      return 'jwks'
    }
    const handler = handlers.get(name)
    if (!handler) throw appError('not_found')
    if (request.method !== 'POST') throw appError('method_not_allowed')
    send(response, 200, await perform(name as ControlPlaneCall, handler, await readJson(request)))
  } catch (thrown) {
    const error = explainError(thrown)
    if (!(error instanceof AppError)) {
      options.log.error('http', 'an internal call failed unexpectedly', {
        call,
        error,
        request_id: requestId,
      })
    }
    const problem = toProblem(error, requestId)
    if (!request.complete) response.setHeader('connection', 'close')
    send(response, problem.status, problem.body, problem.headers)
  }
  return call
}

async function perform(name: ControlPlaneCall, handler: InternalHandler, body: unknown): Promise<unknown> {
  const { input, output } = CONTROL_PLANE[name]
  const parsed = input.safeParse(body)
  if (!parsed.success) throw appError('validation_failed', { detail: parsed.error.message.slice(0, 1_000) })
  const result = output.safeParse(await handler(parsed.data as never))
  if (!result.success) throw new Error(`${name} broke its own contract: ${result.error.message}`)
  return result.data
}

function collectHandlers(modules: readonly Module[]): Map<string, InternalHandler> {
  const handlers = new Map<string, InternalHandler>()
  for (const module of modules) {
    for (const [name, handler] of Object.entries(module.internal ?? {})) {
      if (handlers.has(name)) throw new Error(`two modules answer ${name}`)
      handlers.set(name, handler)
    }
  }
  const missing = Object.keys(CONTROL_PLANE).filter((name) => !handlers.has(name))
  if (missing.length > 0) throw new Error(`no module answers ${missing.join(', ')}`)
  return handlers
}

function authorise(request: IncomingMessage, token: string): void {
  const given = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? ''
  if (!safeEqual(given, token)) throw appError('unauthenticated')
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > BODY_LIMIT_BYTES) throw appError('payload_too_large')
    chunks.push(chunk)
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown
  } catch (cause) {
    throw appError('malformed', { cause })
  }
}

function send(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = { 'content-type': 'application/json' },
): void {
  if (response.destroyed) return
  response.writeHead(status, headers)
  response.end(JSON.stringify(body))
}
