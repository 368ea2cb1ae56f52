/** One request to the API server: signed, paced, timed, counted; its refusals as KubeErrors. */
import { request } from 'undici'
import type { Agent, Dispatcher } from 'undici'
import { createConnections } from './connections.ts'
import { KubeError, KubeconfigError } from './errors.ts'
import type { ClusterAccess, Credentials } from './kubeconfig.ts'
import { refusal } from './refusal.ts'
import { createTokenBucket } from './token-bucket.ts'

export type Verb = 'get' | 'list' | 'watch' | 'apply' | 'patch' | 'create' | 'update' | 'delete' | 'raw'

export interface KubeClientOptions {
  readonly access: ClusterAccess
  /** Average of requests; twice as many at once. Default 20. */
  readonly requestsPerSecond?: number
  /** Time for the server to answer. Default 15 s. */
  readonly timeoutMs?: number
  /**
   * Silence of a watch after which its connection counts as dead. The server sends a bookmark about once a minute;
   * default 150 s.
   */
  readonly watchSilenceMs?: number
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
  /** Longest time between two pieces of the answer; 0: any. */
  readonly silenceMs?: number
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

interface GuardedCall extends Call {
  /** Throws where the call must not be sent any more. */
  readonly check: () => void
}

interface Opened {
  readonly body: Dispatcher.ResponseData['body']
  /** What an error of reading it is to the caller. */
  readonly fail: (error: unknown) => KubeError
}

export function createTransport(options: KubeClientOptions): Transport {
  const { access, timeoutMs = 15_000, requestsPerSecond = 20, watchSilenceMs = 150_000 } = options
  const bucket = createTokenBucket(requestsPerSecond, requestsPerSecond * 2)
  const connections = createConnections(timeoutMs)

  async function send(call: Call, dispatcher: Agent, headers: Credentials['headers']) {
    const hasBody = call.body !== undefined
    const limitMs = call.timeoutMs ?? timeoutMs
    return request(access.server + call.path + queryOf(call.query), {
      dispatcher,
      method: call.method,
      headers: {
        accept: 'application/json',
        'user-agent': options.userAgent ?? 'wmoc-operator',
        ...(hasBody ? { 'content-type': call.contentType ?? 'application/json' } : {}),
        ...headers,
      },
      body: hasBody ? JSON.stringify(call.body) : null,
      headersTimeout: limitMs,
      bodyTimeout: call.silenceMs ?? limitMs,
      signal: call.signal ?? null,
    })
  }

  async function open(call: GuardedCall): Promise<Opened> {
    let agent: Agent | null = null
    const fail = (error: unknown) => {
      if (agent !== null) connections.failed(agent, error)
      return unreachable(error, call)
    }
    try {
      await bucket.take(call.signal)
      const { headers, tls } = await access.credentials()
      // Both may have taken long.
      call.check()
      agent = connections.current(tls)
      const response = await send(call, agent, headers)
      options.onRequest?.(call.verb, String(response.statusCode))
      if (response.statusCode >= 200 && response.statusCode < 300) return { body: response.body, fail }
      throw refusal(response.statusCode, await response.body.text(), response.headers['retry-after'])
    } catch (error) {
      if (error instanceof KubeError) throw error
      if (call.signal?.aborted !== true) options.onRequest?.(call.verb, 'error')
      throw fail(error)
    }
  }

  async function* pieces({ body, fail }: Opened): AsyncGenerator<Uint8Array> {
    try {
      yield* body as AsyncIterable<Uint8Array>
    } catch (error) {
      throw fail(error)
    } finally {
      body.destroy()
    }
  }

  function make(bound: AbortSignal | undefined, isAllowed: () => boolean): Transport {
    const guarded = (call: Call): GuardedCall => {
      const check = () => {
        if (bound?.aborted !== true && isAllowed()) return
        throw new KubeError(0, 'Aborted', `${call.verb} ${call.path} was not sent: the time for it is over`)
      }
      check()
      const both = [bound, call.signal].filter((signal) => signal !== undefined)
      return { ...call, check, signal: both.length > 1 ? AbortSignal.any(both) : both[0] }
    }
    const text = async (call: Call) => {
      const { body, fail } = await open(guarded(call))
      return body.text().catch((error: unknown) => {
        throw fail(error)
      })
    }
    return {
      text,
      json: async <T>(call: Call) => JSON.parse(await text(call)) as T,
      stream: async (call) => pieces(await open(guarded({ silenceMs: watchSilenceMs, ...call }))),
      bind: (signal, allowed) =>
        make(bound === undefined ? signal : AbortSignal.any([bound, signal]), () => isAllowed() && allowed()),
      close: () => connections.close(),
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
  const where = error instanceof KubeconfigError ? '' : 'the API server does not answer: '
  return new KubeError(0, 'Unreachable', `${call.verb} ${call.path}: ${where}${why}`, { cause: error })
}
