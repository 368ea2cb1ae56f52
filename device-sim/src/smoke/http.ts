/** Requests of the smoke test: to any address, under a host of its choice, which `fetch` doesn't allow. */
import { request } from 'node:http'
import { text } from 'node:stream/consumers'
import type { Shard } from './shards.ts'

export interface Answer {
  readonly status: number
  readonly body: string
}

const TIMEOUT_MS = 15_000

/** Sends a request and reads all of its answer. Rejects where there is none within 15 s. */
export async function send(
  to: Shard,
  path: string,
  options: {
    readonly method?: string
    readonly headers?: Readonly<Record<string, string>>
    /** Sent as JSON. */
    readonly body?: unknown
  } = {},
): Promise<Answer> {
  const payload = options.body === undefined ? undefined : JSON.stringify(options.body)
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  const outgoing = request(
    {
      host: to.address,
      port: to.port,
      path,
      method: options.method ?? 'GET',
      agent: false,
      signal: AbortSignal.timeout(TIMEOUT_MS),
      headers: {
        ...(payload === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) }),
        ...options.headers,
      },
    },
    (response) => {
      text(response).then((body) => resolve({ status: response.statusCode ?? 0, body }), reject)
    },
  )
  outgoing.on('error', reject)
  outgoing.end(payload)
  return promise
}
