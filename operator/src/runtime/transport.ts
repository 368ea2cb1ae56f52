/** One request to the API server: signed, paced, timed, counted; its refusals as KubeErrors. */
import { Agent, request } from 'undici'
import type { Dispatcher } from 'undici'
import { KubeError } from './errors.ts'
import type { ClusterAccess } from './kubeconfig.ts'
import { refusal } from './refusal.ts'
import { createTokenBucket } from './token-bucket.ts'

export type Verb = 'get' | 'list' | 'watch' | 'apply' | 'patch' | 'create' | 'update' | 'delete' | 'raw'

export interface KubeClientOptions {
  readonly access: ClusterAccess
  /** Average of requests; twice as many at once. Default 20. */
  readonly requestsPerSecond?: number
  /** Time for the server to answer. Default 15 s. */
  readonly timeoutMs?: number
  /** Called with each answer: its HTTP status, or `error` where there was none. */
  readonly onRequest?: (verb: Verb, code: string) => void
  /** Of the program, as the server's audit log shows it. */
  readonly userAgent?: string
}

export interface Call {
  readonly verb: Verb
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly query?: Readonly<Record<string, string | undefined>>
  readonly body?: unknown
  readonly contentType?: string
  readonly timeoutMs?: number
  readonly signal?: AbortSignal | undefined
}

export interface Transport {
  /** The body as a stream; for watches. Errors while it is read are KubeErrors too. */
  stream(call: Call): Promise<AsyncIterable<Uint8Array>>
  text(call: Call): Promise<string>
  json<T>(call: Call): Promise<T>
  bind(signal: AbortSignal, isAllowed: () => boolean): Transport
  close(): Promise<void>
}

/** The server sends a bookmark about once a minute: longer silence means that the connection is dead. */
const WATCH_SILENCE_MS = 150_000

export function createTransport(options: KubeClientOptions): Transport {
  const { access, timeoutMs = 15_000, requestsPerSecond = 20 } = options
  const bucket = createTokenBucket(requestsPerSecond, requestsPerSecond * 2)
  const agent = new Agent({
    connect: {
      timeout: timeoutMs,
      rejectUnauthorized: !access.isInsecure,
      ...(access.ca === undefined ? {} : { ca: access.ca }),
      ...(access.cert === undefined ? {} : { cert: access.cert, key: access.key }),
      ...(access.serverName === undefined ? {} : { servername: access.serverName }),
    },
  })

  async function send(call: Call): Promise<Dispatcher.ResponseData> {
    const token = await access.token()
    const hasBody = call.body !== undefined
    const limitMs = call.timeoutMs ?? timeoutMs
    return request(access.server + call.path + queryOf(call.query), {
      dispatcher: agent,
      method: call.method,
      headers: {
        accept: 'application/json',
        'user-agent': options.userAgent ?? 'wmoc-operator',
        ...(hasBody ? { 'content-type': call.contentType ?? 'application/json' } : {}),
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      },
      body: hasBody ? JSON.stringify(call.body) : null,
      headersTimeout: limitMs,
      bodyTimeout: call.verb === 'watch' ? WATCH_SILENCE_MS : limitMs,
      signal: call.signal ?? null,
    })
  }

  async function open(call: Call): Promise<Dispatcher.ResponseData> {
    try {
      await bucket.take(call.signal)
      const response = await send(call)
      options.onRequest?.(call.verb, String(response.statusCode))
      if (response.statusCode >= 200 && response.statusCode < 300) return response
      throw refusal(response.statusCode, await response.body.text(), response.headers['retry-after'])
    } catch (error) {
      if (error instanceof KubeError) throw error
      if (call.signal?.aborted !== true) options.onRequest?.(call.verb, 'error')
      throw unreachable(error, call)
    }
  }

  async function* pieces(response: Dispatcher.ResponseData, call: Call): AsyncGenerator<Uint8Array> {
    try {
      yield* response.body as AsyncIterable<Uint8Array>
    } catch (error) {
      throw unreachable(error, call)
    } finally {
      response.body.destroy()
    }
  }

  function make(bound: AbortSignal | undefined, isAllowed: () => boolean): Transport {
    const guarded = (call: Call): Call => {
      if (bound?.aborted === true || !isAllowed()) {
        throw new KubeError(0, 'Aborted', `${call.verb} ${call.path} was not sent: the time for it is over`)
      }
      if (bound === undefined) return call
      return { ...call, signal: call.signal === undefined ? bound : AbortSignal.any([bound, call.signal]) }
    }
    const text = async (call: Call) => {
      const ours = guarded(call)
      const response = await open(ours)
      return response.body.text().catch((error: unknown) => {
        throw unreachable(error, ours)
      })
    }
    return {
      text,
      json: async <T>(call: Call) => JSON.parse(await text(call)) as T,
      async stream(call) {
        const ours = guarded(call)
        return pieces(await open(ours), ours)
      },
      bind: (signal, allowed) =>
        make(bound === undefined ? signal : AbortSignal.any([bound, signal]), () => isAllowed() && allowed()),
      close: () => agent.destroy(),
    }
  }
  return make(undefined, () => true)
}

function queryOf(query: Call['query']): string {
  const entries = Object.entries(query ?? {}).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  )
  return entries.length === 0 ? '' : `?${new URLSearchParams(entries).toString()}`
}

function unreachable(error: unknown, call: Call): KubeError {
  if (call.signal?.aborted === true) {
    return new KubeError(0, 'Aborted', `${call.verb} ${call.path} was given up`, { cause: error })
  }
  const why = error instanceof Error ? error.message : String(error)
  return new KubeError(
    0,
    'Unreachable',
    `${call.verb} ${call.path}: the API server does not answer: ${why}`,
    { cause: error },
  )
}
