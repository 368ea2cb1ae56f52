/** Typed calls of the API's internal listener. Answers are parsed by the shared schemas; failures are AppErrors. */
import { appError } from '@wmoc/platform/errors'
import type { Tracing } from '@wmoc/platform/tracing'
import { CONTROL_PLANE, JWKS_PATH } from '@wmoc/protocol/control-plane'
import type { ControlPlaneCall, ControlPlaneInput, ControlPlaneOutput } from '@wmoc/protocol/control-plane'
import { Pool } from 'undici'

export interface ControlPlane {
  /**
   * Calls one internal endpoint. Rejects with `dependency_unavailable` where the API is away or over its head (repeat
   * later), with `malformed` where it says that the input is wrong (repeating is useless).
   */
  call<C extends ControlPlaneCall>(name: C, input: ControlPlaneInput<C>): Promise<ControlPlaneOutput<C>>
  /** The public keys of access tokens, as the JSON of RFC 7517. */
  jwks(): Promise<unknown>
  close(): Promise<void>
}

const TIMEOUT_MS = 10_000

export function createControlPlane(options: {
  url: string
  token: string
  tracing: Tracing | null
}): ControlPlane {
  const pool = new Pool(options.url, {
    connections: 16,
    keepAliveTimeout: 30_000,
    headersTimeout: TIMEOUT_MS,
    bodyTimeout: TIMEOUT_MS,
    connectTimeout: 2_000,
  })
  const headers = { authorization: `Bearer ${options.token}`, 'content-type': 'application/json' }
  const { tracing } = options

  /** A call for a request that is traced is a part of its trace. */
  function headersNow(): Record<string, string> {
    const span = tracing?.active() ?? null
    return span === null ? headers : { ...headers, traceparent: span.traceparent }
  }

  async function request(method: 'GET' | 'POST', path: string, body?: string): Promise<unknown> {
    let status: number
    let text: string
    try {
      const response = await pool.request({
        method,
        path,
        headers: headersNow(),
        body: body ?? null,
        signal: AbortSignal.timeout(TIMEOUT_MS),
      })
      status = response.statusCode
      text = await response.body.text()
    } catch (cause) {
      throw appError('dependency_unavailable', { detail: 'the API is away', retryAfterMs: 2_000, cause })
    }
    if (status === 200) return JSON.parse(text) as unknown
    if (status === 400 || status === 404 || status === 413 || status === 422) {
      throw appError('malformed', { detail: `the API refused ${path} with ${status}` })
    }
    throw appError('dependency_unavailable', {
      detail: `the API answered ${path} with ${status}`,
      retryAfterMs: 2_000,
    })
  }

  return {
    async call(name, input) {
      const answer = await request('POST', `/internal/${name}`, JSON.stringify(input))
      return CONTROL_PLANE[name].output.parse(answer) as ControlPlaneOutput<typeof name>
    },
    jwks: () => request('GET', JWKS_PATH),
    close: () => pool.destroy(),
  }
}
