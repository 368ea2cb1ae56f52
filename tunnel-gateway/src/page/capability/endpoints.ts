/** What the portal's shell asks the gateway: to open a controller's page, to keep it open, to close it (surface C, JSON). */
import { appError } from '@wmoc/platform/errors'
import { limitKeyOfAddress } from '@wmoc/platform/client-address'
import { sha256Hex } from '@wmoc/platform/ids'
import { PageScope } from '@wmoc/protocol/control-plane'
import { z } from 'zod'
import type { ControlPlane } from '#src/control-plane/client.ts'
import type { Directory } from '#src/control-plane/directory.ts'
import { createBuckets } from '#src/core/buckets.ts'
import type { ByteBudget } from '#src/core/byte-budget.ts'
import { collectBody, UserLeft } from '#src/user/body.ts'
import type { Call } from '#src/user/call.ts'
import type { Gatekeeper } from '#src/user/principal.ts'
import { sendProblem } from '#src/user/problem.ts'
import type { Capabilities, OpenPage } from './capabilities.ts'
import type { Capability } from './codec.ts'

/** `POST /c/{id}/_wmoc/page`. A guest's link is its token; who signed in needs none. */
export const OpenInput = z.strictObject({ link: z.string().min(1).max(100).optional() })

const held = z.strictObject({ capability: z.string().min(1).max(100) })
/** `POST /c/{id}/_wmoc/page/renew` and `/revoke`. */
export const RenewInput = held
export const RevokeInput = held

const times = {
  /** Milliseconds since 1970. */
  expiresAt: z.int(),
  /** From now. */
  renewAfterMs: z.int(),
}

export const OpenOutput = z.discriminatedUnion('kind', [
  /** In a sandboxed frame: `src` is its address below the portal's origin. */
  z.object({
    kind: z.literal('frame'),
    src: z.string(),
    capability: z.string(),
    scope: PageScope,
    ...times,
  }),
  /** The device has an origin of its own, where `url` leads. */
  z.object({ kind: z.literal('own_origin'), url: z.url() }),
])
export type OpenOutput = z.infer<typeof OpenOutput>

export const RenewOutput = z.object(times)
export type RenewOutput = z.infer<typeof RenewOutput>

export interface PageEndpoints {
  /** Answers a request below `/c/{id}/_wmoc/page`; rejects with what went wrong. `path` begins with `/_wmoc/`. */
  handle(call: Call, controllerId: string, path: string): Promise<void>
}

export interface PageEndpointsOptions {
  readonly portalOrigin: string
  readonly scheme: 'http' | 'https'
  /** Empty: pages are shown in frames. */
  readonly deviceDomain: string
  readonly ttlMs: number
  readonly capabilities: Capabilities
  readonly gatekeeper: Gatekeeper
  readonly directory: Directory
  readonly controlPlane: ControlPlane
  readonly bodies: ByteBudget
  readonly opened: (kind: OpenedKind) => void
  /** Tells all shards. */
  readonly announceRevoked: (capability: Capability) => Promise<void>
}

/** Closed: a metric's label. */
export type OpenedKind = 'own_origin' | 'frame' | 'guest'

const MAX_BODY_BYTES = 2_048
const BODY_MS = 10_000
/** Of one person: whoever comes back to a browser full of pages opens them all. */
const OPENINGS = { burst: 100, count: 100, periodMs: 60_000 }
/** Of one address, or one network of IPv6: enough for an office of guests, nothing for somebody who guesses. */
const GUESSES = { burst: 20, count: 20, periodMs: 60_000 }

export function createPageEndpoints(options: PageEndpointsOptions): PageEndpoints {
  const { capabilities, gatekeeper, directory } = options
  const guesses = createBuckets(50_000)
  const openings = createBuckets(50_000)
  const renewAfterMs = Math.ceil(options.ttlMs / 3)

  async function open(
    call: Call,
    controllerId: string,
    { link }: z.infer<typeof OpenInput>,
  ): Promise<OpenOutput> {
    if (link !== undefined) return frame(await openForGuest(call, controllerId, link), 'guest')
    const principal = await gatekeeper.fromBearer(bearerOf(call))
    const record = await gatekeeper.admit(principal, controllerId, 'GET')
    if (options.deviceDomain !== '') {
      options.opened('own_origin')
      return { kind: 'own_origin', url: `${options.portalOrigin}/c/${controllerId}/` }
    }
    // Each may be renewed and closed, of which the store keeps note for hours.
    const retryAfterMs = openings.take(principal.userId, OPENINGS, performance.now())
    if (retryAfterMs > 0) throw appError('rate_limited', { retryAfterMs })
    const role = await directory.role(principal.userId, controllerId)
    return frame(capabilities.open(principal, record, role === 'viewer' ? 'view' : 'use'), 'frame')
  }

  async function openForGuest(
    { clientAddress }: Call,
    controllerId: string,
    token: string,
  ): Promise<OpenPage> {
    const retryAfterMs = guesses.take(limitKeyOfAddress(clientAddress), GUESSES, performance.now())
    if (retryAfterMs > 0) throw appError('rate_limited', { retryAfterMs })
    const tokenHash = sha256Hex(token)
    const { link } = await options.controlPlane.call('page-links/check', { controllerId, tokenHash })
    const record = link === null ? null : await directory.record(controllerId)
    if (link === null || record === null || record.state === 'revoked')
      throw appError('not_found', { detail: 'The link is wrong, has expired or was withdrawn' })
    return capabilities.openForGuest(link)
  }

  function frame({ capability, text, scope, expiresAt }: OpenPage, kind: OpenedKind): OpenOutput {
    options.opened(kind)
    const src = `/c/${capability.controllerId}~${text}/`
    return { kind: 'frame', src, capability: text, scope, expiresAt, renewAfterMs }
  }

  /** The capability, for whoever it was made for: a guest has nothing but it, a person shows who they are. */
  async function heldBy(call: Call, controllerId: string, text: string): Promise<Capability> {
    const capability = capabilities.read(controllerId, text)
    if (capability !== null && capability.linkId !== null) return capability
    const principal = await gatekeeper.fromBearer(bearerOf(call))
    if (capability?.sessionId !== principal.sessionId) throw appError('not_found')
    return capability
  }

  async function renew(
    call: Call,
    controllerId: string,
    { capability }: z.infer<typeof held>,
  ): Promise<RenewOutput> {
    const page = await heldBy(call, controllerId, capability)
    await capabilities.admit(page, 'GET')
    return { expiresAt: await capabilities.renew(page), renewAfterMs }
  }

  async function revoke(
    call: Call,
    controllerId: string,
    { capability }: z.infer<typeof held>,
  ): Promise<null> {
    const page = await heldBy(call, controllerId, capability)
    await Promise.all([capabilities.revoke(page), options.announceRevoked(page)])
    return null
  }

  const table: Readonly<Record<string, (call: Call, controllerId: string) => Promise<unknown>>> = {
    '/_wmoc/page': async (call, id) => OpenOutput.parse(await open(call, id, await input(call, OpenInput))),
    '/_wmoc/page/renew': async (call, id) =>
      RenewOutput.parse(await renew(call, id, await input(call, RenewInput))),
    '/_wmoc/page/revoke': async (call, id) => revoke(call, id, await input(call, RevokeInput)),
  }

  /** No cookie authorises anything here; that it is our own page that asks costs nothing to look at. */
  function isForeign({ hints, host }: Call): boolean {
    const { origin, fetchSite } = hints
    if (origin !== undefined)
      return origin !== options.portalOrigin && origin !== `${options.scheme}://${host}`
    return fetchSite !== undefined && fetchSite !== 'same-origin' && fetchSite !== 'none'
  }

  async function input<Schema extends z.ZodType>(call: Call, schema: Schema): Promise<z.infer<Schema>> {
    const { request, response, expectsContinue } = call
    if (!/^application\/json\s*(?:;|$)/i.test(request.headers['content-type'] ?? ''))
      throw appError('unsupported_media_type', { detail: 'Send JSON as application/json' })
    let taken = 0
    const body = await collectBody(request, {
      maxBytes: MAX_BODY_BYTES,
      timeoutMs: BODY_MS,
      budget: options.bodies,
      onTaken(bytes) {
        if (taken === 0) response.once('close', () => options.bodies.give(taken))
        taken += bytes
      },
      allow: () => expectsContinue && response.writeContinue(),
    })
    return parse(body, schema)
  }

  return {
    async handle(call, controllerId, path) {
      const { request, response } = call
      const answer = Object.hasOwn(table, path) ? table[path] : undefined
      if (answer === undefined || call.upgrade !== null) throw appError('not_found')
      if (request.method !== 'POST') return sendProblem(response, 'method_not_allowed', {}, ['Allow', 'POST'])
      if (isForeign(call)) throw appError('csrf_rejected')
      try {
        send(call, await answer(call, controllerId))
      } catch (error) {
        if (!(error instanceof UserLeft)) throw error
      }
    },
  }
}

function bearerOf({ request }: Call): string {
  const { authorization } = request.headers
  if (authorization === undefined) throw appError('unauthenticated')
  return authorization
}

function parse<Schema extends z.ZodType>(body: Uint8Array, schema: Schema): z.infer<Schema> {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(body).toString())
  } catch {
    throw appError('malformed', { detail: 'The body is not JSON' })
  }
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const fields = parsed.error.issues.map(({ path, code, message }) => ({
    path: path.join('.'),
    code,
    message,
  }))
  throw appError('validation_failed', { fields })
}

/** @param output Null: there is nothing to say. */
function send({ response }: Call, output: unknown): void {
  const common = [
    'Cache-Control',
    'no-store',
    'Referrer-Policy',
    'no-referrer',
    'X-Content-Type-Options',
    'nosniff',
  ]
  if (output === null) {
    response.writeHead(204, common)
    response.end()
    return
  }
  const body = JSON.stringify(output)
  const length = String(Buffer.byteLength(body))
  response.writeHead(200, [
    ...common,
    'Content-Type',
    'application/json; charset=utf-8',
    'Content-Length',
    length,
  ])
  response.end(body)
}
