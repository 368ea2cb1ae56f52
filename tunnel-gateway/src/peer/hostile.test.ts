/** What a link takes from a shard that has gone mad: it is authenticated, and still may harm nobody but itself. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { Writable } from 'node:stream'
import { suite, test } from 'node:test'
import { createLogger } from '@wmoc/platform/log'
import { encodeFrame } from '@wmoc/protocol/v2/frame-codec'
import { FRAME } from '@wmoc/protocol/v2/frames'
import type { FrameType } from '@wmoc/protocol/v2/frames'
import { encodeRequestHead, encodeResponseHead } from '@wmoc/protocol/v2/header-block'
import type { StreamSink, UpstreamRequest, UpstreamStream } from '#src/core/upstream.ts'
import { createLink } from './link.ts'
import type { LinkOptions, PeerLink } from './link.ts'
import type { LocalTunnel } from './local-tunnels.ts'
import { RemoteUpstream } from './remote-upstream.ts'
import { serveRequest } from './serve.ts'

const SEED = 20_261_121
const LINKS = 1_000
const FRAMES = 200
const REQUESTS = 50
const MIN_FRAMES = 50_000
const logged: string[] = []
const log = createLogger({
  process: 'test',
  level: 'error',
  stream: new Writable({
    write(line: Buffer, _, done) {
      logged.push(line.toString())
      done()
    },
  }),
})
/** Mistakes of ours that a frame set off. */
const mistakes = () => logged.filter((line) => line.includes('handling a link'))
const facts = {
  epoch: 7,
  maxRequestBody: null,
  maxRequestHeader: 8_192,
  takesStreams: true,
  takesWebSockets: true,
  ownHosts: [],
  ports: [],
}

suite('a link to a hostile shard', () => {
  test(`T20, P9: ${MIN_FRAMES} frames of a hostile dialler (seed ${SEED})`, async () => {
    const random = randomOf(SEED)
    const tunnel = new EchoTunnel()
    const tunnels = { get: (id: string) => (id === 'here' ? tunnel : undefined) }
    let frames = 0
    for (let at = 0; at < LINKS; at++) {
      const { ours, theirs } = await pair()
      let isDown = false
      const link = createLink({
        socket: ours,
        peer: 'hostile',
        role: 'acceptor',
        log,
        accept: (...given) => serveRequest(tunnels, new Set(), null, ...given),
        answer: (call) => (call.name === 'locate' ? call.params.controllers.map(() => facts) : undefined),
        down: () => (isDown = true),
      })
      frames += await attack(ours, theirs, createAttacker(random, true), () => isDown)
      assert.deepEqual(link.invariants(), [])
      assert.ok(link.heldBytes < 16 * 1_048_576)
      await settled(() => isDown)
    }
    assert.equal(tunnel.running, 0)
    assert.deepEqual(mistakes(), [])
    assert.ok(frames >= MIN_FRAMES, `only ${frames} frames`)
  })

  test(`T20, P9: ${MIN_FRAMES} frames of a hostile acceptor: every request ends once (seed ${SEED})`, async () => {
    const random = randomOf(SEED + 1)
    const failures: string[] = []
    let frames = 0
    let ended = 0
    let opened = 0
    for (let at = 0; at < LINKS; at++) {
      const { ours, theirs } = await pair()
      let isDown = false
      const link: PeerLink = createLink({
        socket: ours,
        peer: 'hostile',
        role: 'opener',
        log,
        down: () => (isDown = true),
      } satisfies LinkOptions)
      const host = { relocate: () => Promise.resolve(undefined), forwarded: () => undefined }
      const upstream = new RemoteUpstream(host, link, 'there', facts)
      for (let count = 0; count < REQUESTS; count++) {
        const kind = (['bodiless', 'body', 'websocket'] as const)[Math.floor(random() * 3)]!
        const sink = new CountingSink(() => (ended += 1), failures)
        const stream = upstream.open({ method: 'GET', path: '/', headers: [], kind, bodyLength: null }, sink)
        assert.ok(typeof stream !== 'string')
        opened += 1
        if (kind === 'body') stream.write(Buffer.alloc(100))
      }
      frames += await attack(ours, theirs, createAttacker(random, false), () => isDown)
      assert.deepEqual(link.invariants(), [])
      await settled(() => isDown)
      await settled(() => ended === opened)
    }
    assert.deepEqual(failures, [])
    assert.deepEqual(mistakes(), [])
    assert.equal(ended, opened)
    assert.ok(frames >= MIN_FRAMES, `only ${frames} frames`)
  })
})

type Frame = readonly [type: number, flags: number, payload: Uint8Array]
type Random = () => number

const latin1 = (text: string | null) => Buffer.from(text!, 'latin1')
const anything = (random: Random, length = Math.floor(random() * 40)) =>
  Buffer.from(Array.from({ length }, () => Math.floor(random() * 256)))
const pick = <T>(random: Random, list: readonly T[]): T => list[Math.floor(random() * list.length)]!

function common(random: Random): Frame {
  const u32 = Buffer.alloc(4)
  u32.writeUInt32BE(Math.floor(random() * 2 ** (random() * 31)))
  // Now and then what no state of a link allows.
  if (random() < 0.005) return [Math.floor(random() * 24), Math.floor(random() * 4), anything(random)]
  return pick<Frame>(random, [
    [FRAME.data, random() < 0.2 ? 1 : 0, anything(random)],
    [FRAME.data, 0, Buffer.alloc(Math.floor(random() * 60_000))],
    [FRAME.end, 1, anything(random, Math.floor(random() * 6))],
    [FRAME.end, 1, Buffer.alloc(0)],
    [FRAME.rst, 0, Buffer.from([0, Math.floor(random() * 14)])],
    [FRAME.credit, 0, u32],
    [FRAME.wsMsg, Math.floor(random() * 4), anything(random)],
    [FRAME.wsMsg, 1, anything(random)],
    [FRAME.wsClose, 0, Buffer.from([3, 232])],
  ])
}

function opening(random: Random): Frame {
  const fields = pick(random, [
    [':controller', 'here', ':epoch', '7'],
    [':controller', 'here', ':epoch', '7', ':length', '12'],
    [':controller', 'here', ':epoch', '7', ':length', '-1'],
    [':controller', 'here', ':epoch', '8'],
    [':controller', 'away', ':epoch', '7'],
    [':epoch', '7', ':controller', 'here'],
    [':controller', 'here', ':epoch', '7', 'x-a', 'b', ':controller', 'away'],
    [':controller', '__proto__', ':epoch', '1e9'],
    [],
  ])
  const head = latin1(encodeRequestHead({ method: 'POST', path: '/', headers: fields }))
  return random() < 0.7 ? [FRAME.req, random() < 0.3 ? 1 : 0, head] : [FRAME.wsOpen, 0, head]
}

function answering(random: Random): Frame {
  if (random() < 0.6) return common(random)
  const status = pick(random, [200, 101, 204, 500, 0, 65_535])
  const headers = pick(random, [
    [],
    ['a', 'b', 'a', 'c'],
    ['__proto__', 'x'],
    [':epoch', '1'],
    ['a', ' \u0001'],
  ])
  return [FRAME.resp, random() < 0.1 ? 1 : 0, latin1(encodeResponseHead({ status, headers }))]
}

function calling(random: Random): Uint8Array {
  const [type, json] = pick(random, [
    [FRAME.cmd, '{"id":1,"name":"locate","params":{"controllers":["a"]}}'],
    [FRAME.cmd, '{"id":0,"name":"superseded","params":{"controller":"a","epoch":1}}'],
    [FRAME.ping, 'abcd'],
    [random() < 0.02 ? FRAME.goaway : FRAME.ping, '{}'],
    [FRAME.cmd, random() < 0.02 ? '[[[[' : '{"id":2,"name":"locate","params":{"controllers":["b"]}}'],
  ] as const)
  return encodeFrame(type, Buffer.from(json))
}

const ENDS: ReadonlySet<number> = new Set([FRAME.end, FRAME.rst, FRAME.wsClose])

/** Makes frames that are wrong in what they say more than in their numbers, so that many get deep. */
function createAttacker(random: Random, isDialler: boolean): () => Uint8Array {
  let seq = 0
  let lastId = 0
  const open = isDialler ? [] : Array.from({ length: REQUESTS }, (_, at) => at + 1)
  return () => {
    if (isDialler && random() < 0.05) return calling(random)
    if (!isDialler && random() < 0.05) return encodeFrame(FRAME.ping, anything(random, 8))
    seq += random() < 0.001 ? 2 : 1
    const isOpening = isDialler && (open.length === 0 || random() < 0.2)
    const [type, flags, payload] = isOpening
      ? opening(random)
      : isDialler
        ? common(random)
        : answering(random)
    if (isOpening) open.push((lastId += 1))
    const at = isOpening ? open.length - 1 : Math.floor(random() * open.length)
    if (open.length === 0) return encodeFrame(FRAME.ping, anything(random, 8))
    const stream = random() < 0.002 ? Math.floor(random() * 9) : open[at]!
    const hasEnded = ENDS.has(type) || (type !== FRAME.wsMsg && (flags & 1) !== 0)
    if (hasEnded && (isDialler || random() < 0.9)) open.splice(at, 1)
    return encodeFrame(type as FrameType, payload, { flags, stream, seq: seq & 0xffff })
  }
}

/** Answers how many frames were taken before the link broke off. */
async function attack(
  ours: Socket,
  theirs: Socket,
  next: () => Uint8Array,
  isDown: () => boolean,
): Promise<number> {
  theirs.on('error', () => undefined).resume()
  let taken = 0
  let written = 0
  while (taken < FRAMES && !isDown()) {
    const frames = Buffer.concat(Array.from({ length: 10 }, next))
    taken += 10
    written += frames.length
    theirs.write(frames)
    while (ours.bytesRead < written && !isDown()) await new Promise((resolve) => setImmediate(resolve))
  }
  theirs.end()
  return taken
}

async function pair(): Promise<{ ours: Socket; theirs: Socket }> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const theirs = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [ours] = (await once(server, 'connection')) as [Socket]
  server.close()
  return { ours, theirs }
}

async function settled(test_: () => boolean): Promise<void> {
  for (let turns = 0; !test_(); turns++) {
    assert.ok(turns < 5_000, 'never settles')
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

/** Gives back what it gets. */
class EchoTunnel implements LocalTunnel {
  readonly controllerId = 'here'
  readonly epoch = 7
  readonly hop = 'local'
  readonly maxRequestBody = Infinity
  readonly takesStreams = true
  readonly takesWebSockets = true
  readonly maxRequestHeader = 8_192
  readonly ownHosts = []
  readonly ports = []
  readonly isAccepting = true
  readonly isLeaving = false
  running = 0

  open(request: UpstreamRequest, sink: StreamSink): UpstreamStream {
    this.running += 1
    let isOver = false
    const over = () => {
      if (!isOver) this.running -= 1
      isOver = true
    }
    sink.head({ status: request.kind === 'websocket' ? 101 : 200, headers: { a: ['b', 'c'] } }, false)
    if (request.kind === 'bodiless') {
      sink.end()
      over()
    }
    return {
      write(bytes) {
        if (!isOver) sink.data(bytes)
        return true
      },
      end(trailers) {
        if (isOver) return
        over()
        sink.end(trailers)
      },
      message(bytes, isBinary) {
        if (!isOver) sink.message(bytes, isBinary)
        return true
      },
      close(code, reason) {
        if (isOver) return
        over()
        sink.closed(code, reason)
      },
      cancel: over,
      drained: () => undefined,
    }
  }
}

/** Notes what must never happen to a user: something after the end, a body before its head. */
class CountingSink implements StreamSink {
  #isOver = false
  #hasHead = false
  readonly #ended: () => void
  readonly #failures: string[]

  constructor(ended: () => void, failures: string[]) {
    this.#ended = ended
    this.#failures = failures
  }

  #saw(what: string, isEnd: boolean, needsHead: boolean): void {
    if (this.#isOver) this.#failures.push(`${what} after the end`)
    if (needsHead && !this.#hasHead) this.#failures.push(`${what} before the head`)
    if (!isEnd) return
    this.#isOver = true
    this.#ended()
  }

  head({ status }: { status: unknown }): boolean {
    if (this.#hasHead) this.#failures.push('two heads')
    this.#saw('head', false, false)
    this.#hasHead = true
    return typeof status === 'number' && status >= 100 && status < 600
  }
  data(): void {
    this.#saw('data', false, true)
  }
  end(): void {
    this.#saw('end', true, true)
  }
  fail(): void {
    this.#saw('fail', true, false)
  }
  message(): void {
    this.#saw('message', false, true)
  }
  closed(): void {
    this.#saw('closed', true, true)
  }
  bufferedBytes(): number {
    return 0
  }
  writable(): void {}
}

/** mulberry32 */
function randomOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
