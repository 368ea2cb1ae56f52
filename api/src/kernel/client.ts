/**
 * The typed client, made of the contracts at run time: no generated code. Pure and browser-safe; the portal and the
 * tests use the same one.
 */
import type { z } from 'zod'
import type { ClientInput, ClientOutput, Contract, RouteDescription } from './contract.ts'
import { Problem } from './schemas.ts'

/** An answer other than the one the contract promises; `problem.code` is stable. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly status: number
  readonly problem: Problem
  /** From `Retry-After`; null where the answer had none. */
  readonly retryAfterMs: number | null

  constructor(status: number, problem: Problem, retryAfterMs: number | null) {
    super(`${status} ${problem.code}: ${problem.detail ?? problem.title}`)
    this.status = status
    this.problem = problem
    this.retryAfterMs = retryAfterMs
  }

  get code(): string {
    return this.problem.code
  }
}

/** One event of a stream; `id` is the place to go on from. Comments arrive as events without data. */
export interface StreamedEvent<T> {
  readonly id: string | null
  readonly event: string | null
  readonly data: T | null
}

type RawInput = {
  params?: object
  query?: object
  body?: unknown
  headers?: Readonly<Record<string, string>>
  signal?: AbortSignal
}

type Call<R extends RouteDescription> = R extends { readonly stream: infer S extends z.ZodType }
  ? (input?: Loose<R>) => AsyncGenerator<StreamedEvent<z.output<S>>, void, undefined>
  : RequiredKeys<ClientInput<R>> extends never
    ? (input?: ClientInput<R>) => Promise<ClientOutput<R>>
    : (input: ClientInput<R>) => Promise<ClientOutput<R>>

type Loose<R extends RouteDescription> = Partial<ClientInput<R>> & Pick<RawInput, 'signal' | 'headers'>
type RequiredKeys<T> = { [K in keyof T]-?: object extends Pick<T, K> ? never : K }[keyof T]

export type Client<C extends Readonly<Record<string, Contract>>> = {
  readonly [M in keyof C]: { readonly [K in keyof C[M]['routes']]: Call<C[M]['routes'][K]> }
}

export interface ClientOptions {
  readonly fetch?: typeof globalThis.fetch
  /** Without a slash at its end; empty: the page's own origin. */
  readonly baseUrl?: string
  /** The access token for routes that are not public; null: go without. */
  readonly getToken?: () => Promise<string | null> | string | null
}

/**
 * `createClient({ auth, controllers }).controllers.get({ params: { id } })` resolves to the parsed response, rejects
 * with `ApiError`, and with the fetch's own error when there was no answer. Stream routes answer an async generator
 * that ends with the stream.
 */
export function createClient<const C extends Readonly<Record<string, Contract>>>(
  contracts: C,
  options: ClientOptions = {},
): Client<C> {
  const module = (contract: Contract) =>
    mapValues(contract.routes, (description) => (input: RawInput = {}) => {
      if (description.stream) return readStream(description, input, options)
      return readJson(description, input, options)
    })
  return mapValues(contracts, module) as unknown as Client<C>
}

async function readJson(route: RouteDescription, input: RawInput, options: ClientOptions): Promise<unknown> {
  const response = await send(route, input, options)
  if (route.status === 204 || !route.response) return undefined
  return route.response.parse(await response.json())
}

async function* readStream(
  route: RouteDescription,
  input: RawInput,
  options: ClientOptions,
): AsyncGenerator<StreamedEvent<unknown>, void, undefined> {
  const response = await send(route, input, options)
  if (!response.body) return
  for await (const block of blocks(response.body)) {
    const event = parseEvent(block)
    yield { ...event, data: event.data === null ? null : route.stream?.parse(JSON.parse(event.data)) }
  }
}

async function send(route: RouteDescription, input: RawInput, options: ClientOptions): Promise<Response> {
  const token = route.access === 'public' ? null : ((await options.getToken?.()) ?? null)
  const request = options.fetch ?? globalThis.fetch
  const response = await request(`${options.baseUrl ?? ''}${urlOf(route.path, input)}`, {
    method: route.method,
    headers: {
      accept: route.stream ? 'text/event-stream' : 'application/json',
      ...(input.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...input.headers,
    },
    credentials: 'same-origin',
    ...(input.body === undefined ? {} : { body: JSON.stringify(input.body) }),
    ...(input.signal ? { signal: input.signal } : {}),
  })
  if (response.status !== route.status) throw await toApiError(response)
  return response
}

/** Path and query of a call; values are escaped, `undefined` is left out, arrays repeat their name. */
export function urlOf(path: string, input: { params?: object; query?: object }): string {
  const params = new Map(Object.entries(input.params ?? {}))
  const filled = path.replaceAll(/:([A-Za-z]+)/g, (_, name: string) =>
    encodeURIComponent(String(params.get(name))),
  )
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(input.query ?? {})) {
    for (const item of Array.isArray(value) ? value : [value]) {
      if (item !== undefined && item !== null) query.append(name, String(item))
    }
  }
  return query.size === 0 ? filled : `${filled}?${query.toString()}`
}

async function toApiError(response: Response): Promise<ApiError> {
  const body: unknown = await response.json().catch(() => null)
  const parsed = Problem.safeParse(body)
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN)
  return new ApiError(
    response.status,
    parsed.success
      ? parsed.data
      : {
          type: 'about:blank',
          title: response.statusText,
          status: response.status,
          code: 'unexpected_answer',
        },
    Number.isFinite(seconds) ? seconds * 1_000 : null,
  )
}

async function* blocks(body: ReadableStream<Uint8Array>): AsyncGenerator<string, void, undefined> {
  const reader = body.getReader()
  const decoder = new TextDecoder()
  let rest = ''
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      const parts = (rest + decoder.decode(value, { stream: true })).split('\n\n')
      rest = parts.pop() ?? ''
      yield* parts
    }
  } finally {
    await reader.cancel().catch(() => {})
  }
}

/** Fields of one event as our server writes them (WHATWG server-sent events, lines end in LF). */
function parseEvent(block: string): StreamedEvent<string> {
  const found = { id: null as string | null, event: null as string | null, data: null as string | null }
  for (const line of block.split('\n')) {
    const colon = line.indexOf(':')
    const name = line.slice(0, colon)
    const value = line.slice(colon + 1).replace(/^ /, '')
    if (name === 'id' || name === 'event') found[name] = value
    if (name === 'data') found.data = found.data === null ? value : `${found.data}\n${value}`
  }
  return found
}

function mapValues<T, U>(table: Readonly<Record<string, T>>, map: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(table).map(([key, value]) => [key, map(value)]))
}
