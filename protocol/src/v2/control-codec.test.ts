import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import {
  controlMessage,
  encodeControl,
  parseDeviceControl,
  parseServerControl,
  type DeviceControl,
  type ServerControl,
} from './control-codec.ts'
import { decodeFrames } from './frame-codec.ts'
import { FRAME } from './frames.ts'

const id = '0b8ee0a4-2d1c-4f5c-9d0e-3a6a5d1f2b11'
const limits = {
  maxMessageBytes: 1,
  maxStreams: 1,
  maxRequestBody: 1,
  maxResponseBody: 1,
  maxItemsPerBatch: 1,
}

const DEVICE: DeviceControl[] = [
  { type: 'hello', token: 'T', credentials: { mac: 'AA:BB:CC:DD:EE:FF', max_streams: 4 }, max_chunk: 1_024 },
  { type: 'hello', resume: { session: 's'.repeat(16), seq: 65_535 } },
  { type: 'metrics', seq: 1, items: [{ type: 't', value: 1 }] },
  { type: 'log', items: [{ level: 'info', message: 'ü' }] },
  { type: 'command_result', id: 'c', ok: false, error: 'no' },
]
const SERVER: ServerControl[] = [
  {
    type: 'welcome',
    controllerId: id,
    status: 'active',
    epoch: 1,
    heartbeatSec: 25,
    serverTimeMs: 1,
    limits,
    session: 's'.repeat(16),
    resumed: { seq: 7 },
    rx_window: 65_536,
    rx_budget: 262_144,
  },
  {
    type: 'activation_required',
    userCode: 'A',
    verificationUri: 'u',
    verificationUriComplete: 'v',
    expiresIn: 9,
  },
  { type: 'command', id: 'c', name: 'n', params: null, expiresAt: 1 },
  { type: 'ack', seq: 3 },
  { type: 'goaway', reason: 'draining', reconnectAfterMs: 5, shard: 'b' },
  { type: 'error', code: 'unauthorized', message: 'no', retryable: false },
]

suite('frames of the connection', () => {
  test('are read back as they were written, one frame a message', () => {
    for (const message of DEVICE) {
      const { frame, payload } = encodeControl(message)
      assert.deepEqual(parseDeviceControl(frame, payload), { ok: true, message })
    }
    for (const message of SERVER) {
      const [frame] = decodeFrames(controlMessage(message))
      assert.ok(typeof frame === 'object')
      assert.deepEqual(parseServerControl(frame.type, frame.payload), { ok: true, message })
    }
  })

  test('carry their type in the JSON only in EVENT', () => {
    const types = [...DEVICE, ...SERVER].map((message) => {
      const { frame, payload } = encodeControl(message)
      return [frame === FRAME.event, 'type' in JSON.parse(Buffer.from(payload).toString())]
    })
    for (const [isEvent, hasType] of types) assert.equal(hasType, isEvent)
  })

  test('of the other side, of no one, or out of bounds are refused', () => {
    const text = (json: string) => Buffer.from(json)
    const cases: [number, string, number, string][] = [
      [FRAME.welcome, '{}', 4400, 'unexpected_frame'],
      [FRAME.cmd, '{}', 4400, 'unexpected_frame'],
      [FRAME.hello, '[', 1007, 'not_json'],
      [FRAME.hello, '{"token":"a","token":"b"}', 1008, 'duplicate_key'],
      [FRAME.hello, '{"max_chunk":1}', 4400, 'too_small at max_chunk'],
      [FRAME.event, '{"type":"ack","seq":1}', 4400, 'invalid_union at type'],
      [FRAME.cmdResult, '{"ok":true}', 4400, 'invalid_type at id'],
    ]
    for (const [frame, json, code, detail] of cases) {
      const parsed = parseDeviceControl(frame as 1, text(json))
      assert.ok(!parsed.ok)
      assert.deepEqual([parsed.close.code, parsed.detail], [code, detail])
    }
  })

  test('T8: keys of the prototype stay data', () => {
    const parsed = parseDeviceControl(
      FRAME.hello,
      Buffer.from('{"credentials":{"__proto__":{"polluted":1}}}'),
    )
    assert.equal(Reflect.get({}, 'polluted'), undefined)
    assert.ok(parsed.ok)
  })
})
