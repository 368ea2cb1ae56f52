/** A small device with a page of forty parts: few streams, one processor, a slow radio. It says how much it had to do. */
import { createHash } from 'node:crypto'
import { createMemoryStore } from '../../device-sim/src/device/store.ts'
import { answering } from '../../device-sim/src/page/answer.ts'
import type { Answer } from '../../device-sim/src/page/answer.ts'
import { createSimulator } from '../../device-sim/src/simulator.ts'
import { sleep } from '../children.ts'

/** Stands in for an ESP32: time of its one processor for a request, and bytes a second that it sends. */
export const REQUEST_MS = 8
export const BYTES_PER_SEC = 200_000
export const STREAMS = 4

export interface SmallDevice {
  /** Requests that came and bytes of bodies that went, since the last look. */
  takeFigures(): { requests: number; bytes: number }
  stop(): Promise<void>
}

interface Asset {
  readonly path: string
  readonly type: string
  readonly body: string
  /** Null: the device says nothing, and the name has a hash. */
  readonly etag: string | null
}

const SCRIPTS = 12
const STYLES = 4
const PICTURES = 22

const filler = (seed: string, bytes: number) =>
  createHash('shake256', { outputLength: bytes >> 1 })
    .update(seed)
    .digest('hex')

/** Half of what a build tool names by its content, half files as they lie there; with the page itself, forty. */
function assets(): readonly Asset[] {
  const named = (kind: string, at: number) => filler(`${kind}${at}`, 8)
  const scripts = Array.from({ length: SCRIPTS }, (_, at) => ({
    path: `/js/part${at}.${named('js', at)}.js`,
    type: 'text/javascript',
    body: `// ${filler(`script ${at}`, 6_000)}\nwindow.parts = (window.parts ?? 0) + 1\n`,
    etag: null,
  }))
  const styles = Array.from({ length: STYLES }, (_, at) => ({
    path: `/css/part${at}.${named('css', at)}.css`,
    type: 'text/css',
    body: `.part${at} { color: teal }\n/* ${filler(`style ${at}`, 4_000)} */\n`,
    etag: null,
  }))
  const pictures = Array.from({ length: PICTURES }, (_, at) => ({
    path: `/img/${at}.svg`,
    type: 'image/svg+xml',
    body: `<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16"><!--${filler(`picture ${at}`, 1_500)}--></svg>`,
    etag: `"${named('svg', at)}"`,
  }))
  const parts = [...styles, ...scripts, ...pictures]
  const page =
    '<!doctype html><meta charset=utf-8><title>Boiler</title>' +
    parts.map(elementOf).join('') +
    `<script>addEventListener('load', async () => {
      await (await fetch('/api/state')).json()
      window.readyMs = performance.now()
    })</script>`
  const state = { path: '/api/state', type: 'application/json', body: '{"on":true}', etag: null }
  return [...parts, state, { path: '/', type: 'text/html', body: page, etag: '"page"' }]
}

function elementOf({ path, type }: Asset): string {
  if (type === 'text/css') return `<link rel=stylesheet href="${path}">`
  return type === 'text/javascript' ? `<script src="${path}"></script>` : `<img src="${path}">`
}

/** Connects the device to a gateway; resolves when it is registered. */
export async function startSmallDevice(
  url: string,
  { controllerId, secret }: { readonly controllerId: string; readonly secret: string },
): Promise<SmallDevice> {
  const byPath = new Map(assets().map((asset) => [asset.path, asset]))
  let figures = { requests: 0, bytes: 0 }
  let busy: Promise<unknown> = Promise.resolve()

  /** One thing after the other. */
  function work(ms: number): Promise<unknown> {
    busy = busy.then(() => sleep(ms))
    return busy
  }

  const handler = answering(async ({ headers }, { pathname }): Promise<Answer> => {
    figures.requests += 1
    const asset = byPath.get(pathname)
    const etag = asset?.etag ?? null
    const isKnown = etag !== null && headers['if-none-match'] === etag
    const body = asset === undefined || isKnown ? '' : asset.body
    await work(REQUEST_MS + (body.length / BYTES_PER_SEC) * 1_000)
    figures.bytes += body.length
    if (asset === undefined) return { status: 404, headers: {} }
    const tag: Record<string, string> = etag === null ? {} : { ETag: etag }
    return { status: isKnown ? 304 : 200, headers: { 'Content-Type': asset.type, ...tag }, body }
  })
  const simulator = createSimulator({
    url,
    store: createMemoryStore({ current: { controller_id: controllerId, secret }, next: null }),
    handler,
    maxStreams: STREAMS,
    reportEveryMs: 0,
  })
  const registered = new Promise<unknown>((resolve) => simulator.events.once('registered', resolve))
  simulator.start()
  await registered
  return {
    takeFigures() {
      const taken = figures
      figures = { requests: 0, bytes: 0 }
      return taken
    },
    stop: () => simulator.stop(),
  }
}
