/** Contracts → Koa: the only file that knows the router. Validates what comes in and what goes out. */
import { appError } from '@wmoc/platform/errors'
import type { Store } from '@wmoc/platform/store'
import type { Context, Middleware } from 'koa'
import Router from 'koa-router'
import type { z } from 'zod'
import type { Authenticator } from './authenticator.ts'
import type { RouteDescription } from './contract.ts'
import { withReplicaReads } from './db.ts'
import type { Idempotency } from './idempotency.ts'
import type { AccessChecker, Caller, Handler, Module, SseFrame } from './module.ts'
import { permissionCheck } from './permission-check.ts'
import type { PermissionCheck } from './permission-check.ts'
import { RATE_LIMITS } from './rate-limit.ts'
import type { RateLimiter } from './rate-limit.ts'
import { readJsonBody, refuseUnstorable } from './request-body.ts'
import { createRequestContext } from './request-context.ts'
import { writeSse } from './sse.ts'
import { limitKeyOfAddress } from '@wmoc/platform/client-address'

/** After a write of their own a person reads from the primary for this long. */
const READ_OWN_WRITES_MS = 2_000

export interface BindingDeps {
  readonly authenticator: Authenticator
  readonly access: AccessChecker
  readonly limiter: RateLimiter
  readonly idempotency: Idempotency
  readonly store: Store
  readonly hasReplicas: boolean
  /** Aborted when the process stops: streams end. */
  readonly draining: AbortSignal
}

interface BoundRoute {
  readonly id: string
  readonly route: RouteDescription
  readonly handler: Handler<RouteDescription>
  readonly requirePermission: PermissionCheck
}

/** Routes of all modules; 404 for a path and 405 with `Allow` for a method that is not there. */
export function bindModules(modules: readonly Module[], deps: BindingDeps): Middleware {
  const router = new Router()
  for (const bound of sortedRoutes(modules, deps.access)) {
    const { method, path } = bound.route
    const methods = method === 'GET' ? ['HEAD', 'GET'] : [method]
    router.register(path, methods, (context) => answer(bound, context, deps))
  }
  const routes = router.routes()
  return async (context, next) => {
    const { path, route } = router.match(context.path, context.method)
    if (!route && path.length > 0) {
      const allowed = [...new Set(path.flatMap((layer) => layer.methods))].toSorted()
      context.set('allow', allowed.join(', '))
      throw appError('method_not_allowed')
    }
    if (!route) throw appError('not_found')
    await routes(context, next)
  }
}

/** `/api/controllers/summary` before `/api/controllers/:id`. */
function sortedRoutes(modules: readonly Module[], access: AccessChecker): BoundRoute[] {
  const all = modules.flatMap((module) =>
    module.routes.flatMap(({ contract, handlers }) =>
      Object.entries(contract.routes).map(([name, route]) => {
        const handler = handlers[name]
        if (!handler) throw new Error(`${contract.name}.${name} has no handler`)
        const id = `${contract.name}.${name}`
        return { id, route, handler, requirePermission: permissionCheck(id, route, access) }
      }),
    ),
  )
  const rank = ({ route }: BoundRoute) => route.path.replaceAll('/:', '/~')
  return all.toSorted((a, b) => (rank(a) < rank(b) ? -1 : 1))
}

async function answer(bound: BoundRoute, context: Context, deps: BindingDeps): Promise<void> {
  const { route } = bound
  context.state['route'] = bound.id
  const caller = await identify(route, context, deps)
  const body = await readJsonBody(context.req)
  const input = parseInput(route, context, body?.value)
  if (caller) await bound.requirePermission(caller.userId, context['params'] as Record<string, string>)
  const request = createRequestContext(context, caller, deps)
  const run = async () => bound.handler(input as never, request.value) as Promise<unknown>
  try {
    const result = await readingWhereAllowed(route, caller, deps, () =>
      onceIfAsked(route, context, caller, body?.text ?? '', deps, run),
    )
    if (route.stream) await stream(context, result as AsyncIterable<SseFrame>)
    else respond(bound, context, result)
  } finally {
    request.end()
  }
}

/** Signs the caller in where the route asks for it, and counts the request against the limits. */
async function identify(
  route: RouteDescription,
  context: Context,
  deps: BindingDeps,
): Promise<Caller | null> {
  const address = limitKeyOfAddress(String(context.state['remoteAddress']))
  if (route.rateLimit && route.rateLimit !== 'default')
    await limit(context, deps, route.rateLimit, `ip:${address}`)
  if (route.access === 'public') {
    if (!route.rateLimit || route.rateLimit === 'default')
      await limit(context, deps, 'default', `ip:${address}`)
    return null
  }
  const token = /^Bearer ([A-Za-z0-9._-]{1,4096})$/i.exec(context.get('authorization'))?.[1]
  if (token === undefined) {
    await limit(context, deps, 'default', `ip:${address}`)
    throw appError('unauthenticated')
  }
  const caller = await deps.authenticator.authenticate(token)
  context.state['userId'] = caller.userId
  const rule = { burst: caller.requestsPerMinute, count: caller.requestsPerMinute, periodMs: 60_000 }
  await limit(context, deps, 'default', `user:${caller.userId}`, rule)
  return { userId: caller.userId, sessionId: caller.sessionId }
}

/** `RateLimit-*` of draft-ietf-httpapi-ratelimit-headers-05; the figures of the last bucket asked stand. */
async function limit(
  context: Context,
  { limiter }: BindingDeps,
  name: keyof typeof RATE_LIMITS,
  key: string,
  rule = RATE_LIMITS[name],
): Promise<void> {
  const result = await limiter.take(`${name}:${key}`, rule)
  context.set('ratelimit-limit', String(result.limit))
  context.set('ratelimit-remaining', String(result.remaining))
  context.set('ratelimit-reset', String(Math.ceil(result.resetAfterMs / 1_000)))
  if (!result.allowed) throw appError('rate_limited', { retryAfterMs: result.retryAfterMs })
}

function parseInput(route: RouteDescription, context: Context, body: unknown): Record<string, unknown> {
  const params = context['params'] as Record<string, string>
  const query = { ...context.query }
  refuseUnstorable(query, 'query')
  if (!route.body && body !== undefined)
    throw appError('validation_failed', { detail: 'This takes no body.' })
  return {
    params: route.params ? parseParams(route.params, params) : undefined,
    query: route.query ? parsePart('query', route.query, query) : undefined,
    body: route.body ? parsePart('body', route.body, body) : undefined,
    headers: route.headers ? parsePart('headers', route.headers, context.headers) : undefined,
  }
}

/** A malformed id is as unknown as a random one, and answered the same. */
function parseParams(schema: z.ZodType, params: unknown): unknown {
  const parsed = schema.safeParse(params)
  if (!parsed.success) throw appError('not_found')
  return parsed.data
}

function parsePart(part: string, schema: z.ZodType, value: unknown): unknown {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const fields = parsed.error.issues.slice(0, 20).map((issue) => ({
    path: [part, ...issue.path.map(String)].join('.').slice(0, 200),
    code: issue.code,
    message: issue.message.slice(0, 300),
  }))
  throw appError('validation_failed', { fields })
}

async function onceIfAsked<T>(
  route: RouteDescription,
  context: Context,
  caller: Caller | null,
  body: string,
  { idempotency }: BindingDeps,
  run: () => Promise<T>,
): Promise<T> {
  const key = context.get('idempotency-key')
  if (!route.idempotent || caller === null || key === '') return run()
  const fingerprint = `${route.method} ${context.path}\n${body}`
  return idempotency.once({ userId: caller.userId, key, fingerprint }, run)
}

/** With replicas: a person's GET may be answered from one, unless they have just written. */
async function readingWhereAllowed<T>(
  route: RouteDescription,
  caller: Caller | null,
  { hasReplicas, store }: BindingDeps,
  run: () => Promise<T>,
): Promise<T> {
  if (!hasReplicas || caller === null || route.stream) return run()
  const marker = `wmoc:wrote:${caller.userId}`
  const mark = () => store.set(marker, '1', { ttlMs: READ_OWN_WRITES_MS }).catch(() => false)
  if (route.method !== 'GET') {
    await mark()
    const result = await run()
    await mark()
    return result
  }
  // Without the store nobody knows who wrote: the primary answers.
  const wroteLately = await store.get(marker).catch(() => '1')
  const { value, wrote } = await withReplicaReads(wroteLately === null, run)
  if (wrote) await mark()
  return value
}

function respond({ id, route }: BoundRoute, context: Context, result: unknown): void {
  context.status = route.status
  if (!route.response || route.status === 204) {
    context.body = null
    context.status = route.status
    return
  }
  const parsed = route.response.safeParse(result)
  if (!parsed.success) throw new Error(`${id} broke its own contract: ${parsed.error.message}`)
  context.type = 'application/json; charset=utf-8'
  context.body = JSON.stringify(parsed.data)
}

async function stream(context: Context, frames: AsyncIterable<SseFrame>): Promise<void> {
  context.status = 200
  context.set({ 'content-type': 'text/event-stream; charset=utf-8', 'x-accel-buffering': 'no' })
  if (context.method === 'HEAD') {
    await frames[Symbol.asyncIterator]().return?.()
    return
  }
  context.respond = false
  await writeSse(context.res, frames)
}
