/** What a route of the page says, and how that is written to a sink. */
import type { HeaderBlock } from '@wmoc/protocol/messages'
import type { DeviceRequest, RequestHandler, ResponseSink } from '../device/handler.ts'
import { BodyTooLargeError } from '../device/request-body.ts'
import { rangeOf } from './content.ts'

export type Answer = {
  status: number
  headers: HeaderBlock
  /** Whole, or in pieces as they come. */
  body?: Buffer | string | AsyncIterable<Uint8Array> | Iterable<Buffer>
  trailers?: HeaderBlock
}

export type Route = (request: DeviceRequest, url: URL) => Answer | Promise<Answer>

/** A handler that says what `find` answers. */
export function answering(find: Route): RequestHandler {
  return async (request, sink) => {
    const url = URL.parse(request.path, 'http://device') ?? new URL('http://device/none')
    const answer = await tryFind(find, request, url)
    const { status, headers, body = '' } = answer
    const isBodiless = status === 204 || status === 304
    if (typeof body === 'string' || Buffer.isBuffer(body)) {
      const bytes = typeof body === 'string' ? Buffer.from(body) : body
      const framed = isBodiless ? headers : { ...headers, 'Content-Length': String(bytes.length) }
      await sink.whole(status, framed, request.method === 'HEAD' || isBodiless ? undefined : bytes)
    } else if (request.method === 'HEAD') await sink.whole(status, headers)
    else await stream(request, sink, { ...answer, body })
  }
}

async function tryFind(find: Route, request: DeviceRequest, url: URL): Promise<Answer> {
  try {
    return await find(request, url)
  } catch (error) {
    if (error instanceof BodyTooLargeError) return json({ error: error.message }, 413)
    throw error
  }
}

async function stream(
  request: DeviceRequest,
  sink: ResponseSink,
  { status, headers, body, trailers }: Answer & { body: AsyncIterable<Uint8Array> | Iterable<Buffer> },
): Promise<void> {
  await sink.begin(status, headers)
  for await (const piece of body) {
    if (request.signal.aborted) return
    const room = sink.write(piece)
    if (room) await room
  }
  await sink.end(trailers)
}

export function html(body: string, status = 200, headers: HeaderBlock = {}): Answer {
  return {
    status,
    headers: { 'Content-Type': 'text/html; charset=utf-8', 'Cache-Control': 'no-store', ...headers },
    body,
  }
}

export function json(value: unknown, status = 200): Answer {
  return {
    status,
    headers: { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' },
    body: JSON.stringify(value),
  }
}

export function redirect(status: number, location: string, headers: HeaderBlock = {}): Answer {
  return { status, headers: { Location: location, ...headers } }
}

/** Content of a known length, or the part of it that the request asks for. `read` answers bytes from a place on. */
export function ranged(
  request: DeviceRequest,
  length: number,
  headers: HeaderBlock,
  read: (offset: number, length: number) => Iterable<Buffer>,
): Answer {
  const range = rangeOf(headerOf(request, 'range'), length)
  if (range === 'none') return { status: 416, headers: { 'Content-Range': `bytes */${length}` } }
  const { start, end } = range ?? { start: 0, end: length - 1 }
  const size = end - start + 1
  return {
    status: range ? 206 : 200,
    headers: {
      ...headers,
      'Accept-Ranges': 'bytes',
      'Content-Length': String(size),
      ...(range ? { 'Content-Range': `bytes ${start}-${end}/${length}` } : {}),
    },
    body: read(start, size),
  }
}

/** First value of a header, whatever its case. */
export function headerOf(request: DeviceRequest, name: string): string | null {
  for (const [key, value] of Object.entries(request.headers)) {
    if (key.toLowerCase() === name) return typeof value === 'string' ? value : (value[0] ?? null)
  }
  return null
}

export function cookieOf(request: DeviceRequest, name: string): string | null {
  const pairs = (headerOf(request, 'cookie') ?? '').split(/;\s*/)
  return pairs.find((pair) => pair.startsWith(`${name}=`))?.slice(name.length + 1) ?? null
}

/** A whole number of the query between 0 and `max`; null when it is missing or none. */
export function numberOf(url: URL, name: string, max: number): number | null {
  const text = url.searchParams.get(name) ?? ''
  const number = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
  return number <= max ? number : null
}
