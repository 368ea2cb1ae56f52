/** Typed calls of the API's internal listener. Answers are parsed by the shared schemas; failures are AppErrors. */
import { AppError, appError } from '@wmoc/platform/errors'
import type { Tracing } from '@wmoc/platform/tracing'
import { CONTROL_PLANE, JWKS_PATH } from '@wmoc/protocol/control-plane'
import type { ControlPlaneCall, ControlPlaneInput, ControlPlaneOutput } from '@wmoc/protocol/control-plane'
import { Client, Pool } from 'undici'
import { createRecentCalls } from './recent-calls.ts'
import type { RecentCalls } from './recent-calls.ts'
import { createRepeats } from './repeats.ts'

export interface ControlPlane {
  /**
   * Calls one internal endpoint. Rejects with `dependency_unavailable` where the API is away or over its head (repeat
   * later), with `malformed` where it says that the input is wrong (repeating is useless).
   */
  call<C extends ControlPlaneCall>(name: C, input: ControlPlaneInput<C>): Promise<ControlPlaneOutput<C>>
  /** The public keys of access tokens, as the JSON of RFC 7517. */
  jwks(): Promise<unknown>
  /** How calls ended lately; one that the API refused with good reason was answered. */
  recent: RecentCalls['read']
  close(): Promise<void>
}

const TIMEOUT_MS = 10_000
const CONNECT_MS = 1_000
/** A look-up takes a few milliseconds. */
const SILENT_MS = 500
const MAX_ATTEMPTS = 16
const BUDGET = 20

/**
 * What somebody waits for, and the API may be asked twice at once: it reads, or (`promote`) does
 * nothing the second time. Not so: what makes a secret or counts; and what is kept here and sent again by an outbox.
 */
const REPEATABLE: ReadonlySet<string> = new Set<ControlPlaneCall>([
  'access/check',
  'controllers/away',
  'controllers/lookup',
  'credentials/promote',
  'page-credentials/get',
  'page-links/alive',
  'page-links/check',
  'sessions/alive',
  'sessions/identify',
])

/** No connection was made: whatever was to be done has not even begun. */
function isUnsent(error: unknown): boolean {
  const { code, syscall, errors } = error as { code?: string; syscall?: string; errors?: unknown[] }
  if (code === 'UND_ERR_CONNECT_TIMEOUT' || syscall === 'connect' || syscall === 'getaddrinfo') return true
  return errors !== undefined && errors.every(isUnsent)
}

interface Sent {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly headers: Record<string, string>
  readonly body: string | null
}

/** Speaks to the API at `url`; a try that finds a replica that is away is repeated on a new connection. */
export function createControlPlane(options: {
  url: string
  token: string
  tracing: Tracing | null
}): ControlPlane {
  const times = { headersTimeout: TIMEOUT_MS, bodyTimeout: TIMEOUT_MS, connectTimeout: CONNECT_MS }
  const pool = new Pool(options.url, { ...times, connections: 16, keepAliveTimeout: 30_000 })
  /** Of repeats under way. */
  const extra = new Set<Client>()
  const repeats = createRepeats({
    silentMs: SILENT_MS,
    totalMs: TIMEOUT_MS,
    maxAttempts: MAX_ATTEMPTS,
    budget: BUDGET,
  })
  const recent = createRecentCalls()
  const headers = { authorization: `Bearer ${options.token}`, 'content-type': 'application/json' }
  const { tracing } = options

  /** A call for a request that is traced is a part of its trace. */
  function headersNow(): Record<string, string> {
    const span = tracing?.active() ?? null
    return span === null ? headers : { ...headers, traceparent: span.traceparent }
  }

  async function send(through: Pool | Client, sent: Sent, signal: AbortSignal) {
    const response = await through.request({ ...sent, signal })
    return { status: response.statusCode, text: await response.body.text() }
  }

  async function sendAnew(sent: Sent, signal: AbortSignal) {
    const client = new Client(options.url, times)
    extra.add(client)
    try {
      return await send(client, sent, signal)
    } finally {
      extra.delete(client)
      void client.destroy()
    }
  }

  async function request(method: 'GET' | 'POST', path: string, isRepeatable: boolean, body?: string) {
    const sent = { method, path, headers: headersNow(), body: body ?? null }
    const answer = await repeats
      .ask(
        (attempt, signal) => (attempt === 0 ? send(pool, sent, signal) : sendAnew(sent, signal)),
        (error) => !pool.destroyed && (isRepeatable || (error !== null && isUnsent(error))),
      )
      .catch((cause: unknown) => {
        throw appError('dependency_unavailable', { detail: 'the API is away', retryAfterMs: 2_000, cause })
      })
    const { status, text } = answer
    if (status === 200) return JSON.parse(text) as unknown
    if (status === 400 || status === 404 || status === 413 || status === 422) {
      throw appError('malformed', { detail: `the API refused ${path} with ${status}` })
    }
    throw appError('dependency_unavailable', {
      detail: `the API answered ${path} with ${status}`,
      retryAfterMs: 2_000,
    })
  }

  async function counted<Answer>(work: Promise<Answer>): Promise<Answer> {
    try {
      const answer = await work
      recent.ended(true)
      return answer
    } catch (error) {
      recent.ended(error instanceof AppError && error.code === 'malformed')
      throw error
    }
  }

  async function call<C extends ControlPlaneCall>(name: C, input: ControlPlaneInput<C>) {
    const answer = await request('POST', `/internal/${name}`, REPEATABLE.has(name), JSON.stringify(input))
    return CONTROL_PLANE[name].output.parse(answer) as ControlPlaneOutput<C>
  }

  return {
    call: (name, input) => counted(call(name, input)),
    jwks: () => counted(request('GET', JWKS_PATH, true)),
    recent: recent.read,
    async close() {
      await Promise.all([pool, ...extra].map((each) => each.destroy()))
    },
  }
}
