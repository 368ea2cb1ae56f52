/** What it costs to map the addresses of a page on its way into a frame: the rewriter alone, in this process. */
import { createBodyRewriter } from '@wmoc/tunnel-gateway/page/rewrite/core/body'
import type { BodyKind } from '@wmoc/tunnel-gateway/page/rewrite/core/body'
import type { HtmlPage } from '@wmoc/tunnel-gateway/page/rewrite/core/html'
import type { Cell, Context, Scenario } from '../plan.ts'
import { median } from '../stats.ts'

const SIZE = 262_144
/** As they come from a device. */
const PIECE = 16_384
const WARM_UP_MS = 500

const PAGE: HtmlPage = {
  place: {
    prefix: `/c/01900000-0000-7000-8000-000000000000~${'a'.repeat(80)}`,
    publicPrefix: '/c/01900000-0000-7000-8000-000000000000',
    port: null,
    ports: [81],
    hosts: ['192.168.1.5', 'esp.local'],
    pageHost: 'portal.example',
  },
  origin: 'https://portal.example',
  path: '/',
  shim: '<script src="/shim.js"></script>',
  shimPath: '/shim.js',
  nonce: '',
  isSandboxed: true,
}

const filled = (head: string, part: (index: number) => string): Buffer => {
  let text = head
  for (let index = 0; text.length < SIZE; index += 1) text += part(index)
  return Buffer.from(text)
}

const BODIES: readonly { name: string; kind: BodyKind; body: Buffer }[] = [
  {
    name: 'HTML, an address in every line',
    kind: 'html',
    body: filled(
      '<!doctype html><title>Dense</title>',
      (index) =>
        `<li class="row"><a href="/set?relay=${index}"><img src="/icons/${index % 9}.png" alt="on"></a> Relay ${index}</li>\n`,
    ),
  },
  {
    name: 'HTML, mostly words',
    kind: 'html',
    body: filled('<!doctype html><title>Words</title>', (index) =>
      index % 20 === 0
        ? `<p><a href="/log/${index}">Entry ${index}</a></p>\n`
        : `<p>The pump ran for ${index} minutes and stopped by itself, as it should.</p>\n`,
    ),
  },
  {
    name: 'CSS, an address in every rule',
    kind: 'css',
    body: filled(
      '',
      (index) => `.icon-${index}{background:url("/icons/${index}.svg") no-repeat;width:24px;height:24px}\n`,
    ),
  },
]

export const rewrite: Scenario = {
  name: 'rewrite',
  help: 'CPU of mapping the addresses in pages and style sheets, beside passing them on',
  run(context: Context) {
    const subjects = BODIES.flatMap(({ name, kind, body }) => [
      { name, body, once: () => rewritten(kind, body) },
      { name: `${name}: passed on`, body, once: () => passed(body) },
    ])
    const found = new Map<string, number[]>()
    for (const { once } of subjects) spend(WARM_UP_MS, once)
    for (let round = 0; round < context.rounds; round += 1)
      for (const { name, body, once } of subjects) {
        context.log(`rewrite, ${name}`)
        const { runs, cpuUs } = spend(context.measureMs, once)
        found.set(name, [...(found.get(name) ?? []), cpuUs / ((runs * body.length) / 1_024)])
      }
    return Promise.resolve({
      title: 'Pages on their way into a frame',
      about:
        `${SIZE / 1_024} KiB in pieces of ${PIECE / 1_024} KiB through the rewriter alone, without coding and network, beside a copy of the pieces. ` +
        `CPU of this process, medians of ${context.rounds} rounds.`,
      headings: ['', 'µs CPU per KiB', 'MB/s of one core'],
      rows: subjects.map(({ name }): Cell[] => {
        const perKib = median(found.get(name)!)
        return [name, perKib.toFixed(2), (1_024 / perKib).toFixed(0)]
      }),
      notes: [],
      figures: {},
    })
  },
}

/** Repeats it for at least so long. @returns CPU in microseconds. */
function spend(ms: number, once: () => number): { runs: number; cpuUs: number } {
  const before = process.cpuUsage()
  const end = performance.now() + ms
  let runs = 0
  do {
    if (once() === 0) throw new Error('nothing came out')
    runs += 1
  } while (performance.now() < end)
  const { user, system } = process.cpuUsage(before)
  return { runs, cpuUs: user + system }
}

/** Bytes that came out. */
function rewritten(kind: BodyKind, body: Buffer): number {
  const rewriter = createBodyRewriter({ kind, charset: 'utf-8', page: PAGE, isDocument: true })
  let count = 0
  for (let at = 0; at < body.length; at += PIECE)
    count += rewriter.write(body.subarray(at, at + PIECE)).length
  return count + rewriter.end().length
}

function passed(body: Buffer): number {
  let count = 0
  for (let at = 0; at < body.length; at += PIECE) count += Buffer.from(body.subarray(at, at + PIECE)).length
  return count
}
