/** Routes of the page whose answers grow while they are sent: events, downloads, echoes, slow ones. */
import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { headerOf, json, numberOf, ranged, type Route } from './answer.ts'
import { contentAt } from './content.ts'

const EVENT_EVERY_MS = 2_000
const MAX_DOWNLOAD_BYTES = 100 * 1_024 ** 3
const MAX_WAIT_MS = 600_000
const BAD_NUMBER = json({ error: 'not a number that I take' }, 400)

/** By method and path. `status` is what an event tells. */
export function streamRoutes(status: () => unknown): Record<string, Route> {
  return {
    /** Server-sent events: the status now, and again every two seconds. */
    'GET /api/events': ({ isLive, signal }) => {
      if (!isLive) return json({ error: 'no events over dialect v1' }, 501)
      return {
        status: 200,
        headers: { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' },
        body: events(status, signal),
      }
    },
    /** `?bytes=N`: so many bytes, see `contentAt`. Ranges work. */
    'GET /api/download': (request, url) => {
      const length = numberOf(url, 'bytes', MAX_DOWNLOAD_BYTES)
      if (length === null) return BAD_NUMBER
      return ranged(request, length, { 'Content-Type': 'application/octet-stream' }, contentAt)
    },
    /** `?ms=N`: answers after that time. */
    'GET /api/slow': async ({ signal }, url) => {
      const waitMs = numberOf(url, 'ms', MAX_WAIT_MS)
      if (waitMs === null) return BAD_NUMBER
      await sleep(waitMs, undefined, { signal })
      return json({ waitedMs: waitMs })
    },
    /** `?bytes=N&ms=M`: one byte every M milliseconds. */
    'GET /api/drip': ({ signal }, url) => {
      const bytes = numberOf(url, 'bytes', 100_000)
      const everyMs = numberOf(url, 'ms', MAX_WAIT_MS)
      if (bytes === null || everyMs === null) return BAD_NUMBER
      return {
        status: 200,
        headers: { 'Content-Type': 'text/plain', 'Content-Length': String(bytes) },
        body: drip(bytes, everyMs, signal),
      }
    },
    /** Gives the body back while it comes. */
    'POST /api/echo': (request) => ({
      status: 200,
      headers: { 'Content-Type': headerOf(request, 'content-type') ?? 'application/octet-stream' },
      body: request.body,
    }),
    /** Takes a body of any size and says what it was. */
    'POST /api/digest': async ({ body }) => {
      const hash = createHash('sha256')
      let bytes = 0
      for await (const piece of body) {
        hash.update(piece)
        bytes += piece.length
      }
      return json({ bytes, sha256: hash.digest('hex') })
    },
    /** A body whose digest comes after it. */
    'GET /api/trailers': () => {
      const body = [...contentAt(0, 1_000)]
      const digest = createHash('sha256').update(Buffer.concat(body)).digest('base64')
      return {
        status: 200,
        headers: { 'Content-Type': 'application/octet-stream', Trailer: 'X-Digest' },
        body,
        trailers: { 'X-Digest': `sha-256=${digest}` },
      }
    },
  }
}

async function* events(status: () => unknown, signal: AbortSignal): AsyncGenerator<Buffer, void> {
  yield Buffer.from(`retry: ${EVENT_EVERY_MS}\n\n`)
  while (!signal.aborted) {
    yield Buffer.from(`data: ${JSON.stringify(status())}\n\n`)
    await sleep(EVENT_EVERY_MS, undefined, { signal })
  }
}

async function* drip(bytes: number, everyMs: number, signal: AbortSignal): AsyncGenerator<Buffer, void> {
  for (const piece of contentAt(0, bytes)) {
    for (let at = 0; at < piece.length; at += 1) {
      yield piece.subarray(at, at + 1)
      await sleep(everyMs, undefined, { signal })
    }
  }
}
