import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { suite, test } from 'node:test'
import { controlMessage, encodeControl, parseServerControl, type ServerControl } from './control-codec.ts'
import { createMux } from './create-mux.ts'
import { createFrameReader, decodeFrames } from './frame-codec.ts'
import { FRAME, RESET } from './frames.ts'
import type { Mux, MuxStream } from './mux.ts'

/** One message of the transcript; `about` is for people. */
interface Line {
  readonly from: 'device' | 'gateway'
  readonly about: string
  readonly hex: string
}

const { transcript }: { transcript: Line[] } = JSON.parse(
  readFileSync(new URL('../../vectors/v2-transcript.json', import.meta.url), 'utf8'),
)

/** A session with a bit of everything, as both ends of this package write it. */
function play(): Line[] {
  const lines: Line[] = []
  let device: MuxStream | null = null
  const windows = {
    maxStreams: 4,
    sendWindow: { stream: 64, connection: 128 },
    receiveWindow: { stream: 64, connection: 128 },
    isResumable: true,
    wake() {},
    control() {},
  }
  const deaf = { data() {}, end() {}, reset() {}, writable() {} }
  const gatewayMux = createMux({ ...windows, role: 'opener', maxChunk: 256 })
  const deviceMux = createMux({
    ...windows,
    role: 'acceptor',
    maxChunk: 256,
    accept: (_request, stream) => {
      device = stream
      return { ...deaf, data: (bytes) => stream.consumed(bytes.length) }
    },
  })
  const say = (from: 'device' | 'gateway', message: Uint8Array, about: string) =>
    void lines.push({ from, about, hex: Buffer.from(message).toString('hex') })
  const send = (from: 'device' | 'gateway', about: string) => {
    const [here, there]: [Mux, Mux] = from === 'device' ? [deviceMux, gatewayMux] : [gatewayMux, deviceMux]
    const message = here.pull(4_096)
    assert.ok(message, about)
    say(from, message, about)
    assert.equal(there.receive(message), null)
  }
  const open = (method: string, path: string, kind: 'request' | 'websocket', isLast: boolean) => {
    const handler = { ...deaf, data: (bytes: Uint8Array) => stream.consumed(bytes.length) }
    const stream = gatewayMux.open({ method, path, headers: ['accept', '*/*'] }, kind, isLast, handler)!
    return stream
  }

  say(
    'device',
    controlMessage({ type: 'hello', token: 'ACTIVATE-ME', max_chunk: 256, rx_window: 256 }),
    'HELLO',
  )
  const welcome: ServerControl = {
    type: 'welcome',
    controllerId: '0b8ee0a4-2d1c-4f5c-9d0e-3a6a5d1f2b11',
    status: 'active',
    epoch: 1,
    heartbeatSec: 25,
    serverTimeMs: 1_700_000_000_000,
    limits: {
      maxMessageBytes: 262_144,
      maxStreams: 4,
      maxRequestBody: 8_192,
      maxResponseBody: 65_536,
      maxItemsPerBatch: 500,
    },
    rx_window: 64,
    rx_budget: 128,
  }
  say('gateway', controlMessage(welcome), 'WELCOME')
  open('GET', '/status?now=1', 'request', true)
  send('gateway', 'REQ with FIN')
  device!.respond({ status: 200, headers: ['content-type', 'application/json', 'x-own', 'caf\xe9'] }, false)
  device!.write(Buffer.from('{"ok":true}'))
  device!.end()
  send('device', 'RESP, DATA with FIN')
  const upload = open('POST', '/upload', 'request', false)
  upload.write(Buffer.alloc(100, 'u'))
  upload.end(['x-checksum', '7'])
  send('gateway', 'REQ, DATA as far as the credit of the stream goes')
  send('device', 'CREDIT for the connection with an acknowledgement, CREDIT for the stream')
  send('gateway', 'the rest, END with trailers')
  device!.respond({ status: 204, headers: [] }, true)
  send('device', 'RESP with FIN')
  const cancelled = open('GET', '/slow', 'request', true)
  send('gateway', 'REQ')
  cancelled.reset(RESET.cancelled, 'the user left')
  send('gateway', 'RST')
  send('device', 'RST in answer')
  const socket = open('GET', '/live', 'websocket', false)
  send('gateway', 'WS_OPEN')
  device!.respond({ status: 101, headers: ['sec-websocket-protocol', 'chat'] }, false)
  device!.message(Buffer.from('hello'), false)
  send('device', 'RESP 101, WS_MSG text')
  socket.message(Buffer.from([0, 255]), true)
  socket.close(1000, 'bye')
  send('gateway', 'WS_MSG binary, WS_CLOSE')
  device!.close(1000, '')
  send('device', 'WS_CLOSE')
  gatewayMux.control(FRAME.ping, Buffer.from('12345678'))
  send('gateway', 'PING')
  send('device', 'PONG')
  for (const message of [
    { type: 'command', id: 'c1', name: 'reboot', params: {}, expiresAt: 1_700_000_060_000 },
    { type: 'goaway', reason: 'draining', reconnectAfterMs: 1_500, shard: 'b' },
  ] satisfies ServerControl[]) {
    const { frame, payload } = encodeControl(message)
    gatewayMux.control(frame, payload)
  }
  send('gateway', 'CMD, GOAWAY')
  const { frame, payload } = encodeControl({ type: 'command_result', id: 'c1', ok: true })
  deviceMux.control(frame, payload)
  send('device', 'CMD_RESULT')
  assert.deepEqual([gatewayMux.size, deviceMux.size], [0, 0])
  return lines
}

suite('golden transcript of v2', () => {
  test('is what both ends write, byte for byte', () => assert.deepEqual(play(), transcript))

  test('is made of well-formed frames, and its control frames of known messages', () => {
    for (const { from, hex, about } of transcript) {
      const frames = decodeFrames(Buffer.from(hex, 'hex'))
      assert.ok(Array.isArray(frames), about)
      for (const { type, payload } of frames)
        if (from === 'gateway' && [FRAME.welcome, FRAME.cmd, FRAME.goaway].includes(type as never))
          assert.ok(parseServerControl(type, payload).ok, about)
    }
  })

  test('comes whole out of a stream of bytes that is split at every place', () => {
    const all = Buffer.concat(transcript.map(({ hex }) => Buffer.from(hex, 'hex')))
    const pieces = (...at: number[]) =>
      [0, ...at].map((from, index) => all.subarray(from, at[index] ?? all.length))
    const splits = Array.from({ length: all.length }, (_, at) => pieces(at))
    splits.push(Array.from(all, (octet) => Buffer.from([octet])))
    const whole = decodeFrames(all)
    assert.ok(Array.isArray(whole))
    for (const split of splits) {
      const reader = createFrameReader()
      const frames: unknown[] = []
      for (const piece of split)
        reader.push(piece, (run) => {
          const decoded = decodeFrames(run)
          assert.ok(Array.isArray(decoded))
          return frames.push(...decoded) > 0
        })
      assert.equal(reader.heldBytes, 0)
      assert.deepEqual(frames, whole)
    }
  })
})
