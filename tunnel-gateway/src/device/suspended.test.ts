import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { StreamRules } from '#src/core/streams.ts'
import { createSuspended } from './suspended.ts'
import type { Tunnel, TunnelHost, TunnelLink } from './tunnel.ts'
import { TunnelV2 } from './tunnel-v2.ts'

const streamRules: Omit<StreamRules, 'maxInFlight'> = {
  maxQueued: 32,
  queueTimeoutMs: 60_000,
  firstByteTimeoutMs: 60_000,
  idleTimeoutMs: 60_000,
  longIdleTimeoutMs: 60_000,
  totalTimeoutMs: 60_000,
  cancelGraceMs: 2_000,
  maxBodyBytes: 65_536,
  pauseBytes: 1,
  resumeBytes: 1,
  maxBufferedBytes: 1,
  maxPauseMs: 1,
}
const host: TunnelHost = {
  streamRules,
  oddity: () => undefined,
  flushSoon: () => undefined,
  ended: () => undefined,
  retired: () => undefined,
}
const link: TunnelLink = {
  isOpen: true,
  canTake: true,
  send: () => undefined,
  sendTexts: () => undefined,
  sendBytes: () => undefined,
  onceDrained: () => undefined,
  control: () => undefined,
  commandResult: () => undefined,
  pause: () => undefined,
  close: () => undefined,
  broke: (error) => assert.fail(String(error)),
  release: () => undefined,
}

function lost(name: string): TunnelV2 {
  const credentials = { features: ['resume'] }
  const options = { controllerId: name, epoch: 1, websocketId: name, identity: name, credentials, link }
  const tunnel = new TunnelV2(host, options, { type: 'register', credentials })
  assert.ok(tunnel.suspend())
  return tunnel
}

/** Requests with bodies that wait for the device. */
function fill(tunnel: TunnelV2, streams: number, bytes: number): void {
  const sink = {
    head: () => true,
    data: () => undefined,
    end: () => undefined,
    fail: () => undefined,
    bufferedBytes: () => 0,
    writable: () => undefined,
    message: () => undefined,
    closed: () => undefined,
  }
  for (let count = 0; count < streams; count += 1) {
    const request = { method: 'PUT', path: '/', headers: [], kind: 'body', bodyLength: null } as const
    const opened = tunnel.open(request, sink)
    assert.ok(typeof opened !== 'string')
    opened.write(new Uint8Array(bytes))
  }
}

suite('tunnels that wait for their device', () => {
  function bench() {
    const ended: string[] = []
    const suspended = createSuspended((tunnel: Tunnel) => {
      tunnel.closed()
      ended.push(tunnel.controllerId)
    })
    return { ended, suspended }
  }

  test('end after ten seconds, unless they were taken up or are over', () => {
    const { ended, suspended } = bench()
    const [one, two] = [lost('one'), lost('two')]
    suspended.add(one, 0)
    suspended.add(two, 5_000)
    suspended.tick(9_999)
    assert.deepEqual(ended, [])
    assert.ok(two.resume(link, { session: two.welcome(false, 'here').session!, seq: 0 }))
    suspended.tick(10_000)
    assert.deepEqual(ended, ['one'])
    suspended.tick(20_000)
    assert.deepEqual(ended, ['one'])
    assert.equal(suspended.size, 0)
  })

  test('are a thousand at most, the oldest ends first', () => {
    const { ended, suspended } = bench()
    for (let index = 0; index < 1_002; index += 1) suspended.add(lost(`t${index}`), index)
    assert.deepEqual(ended, ['t0', 't1'])
    suspended.closeAll()
    assert.equal(ended.length, 1_002)
  })

  test('hold 64 MiB at most, all together', () => {
    const { ended, suspended } = bench()
    for (let index = 0; index < 10; index += 1) {
      const tunnel = lost(`t${index}`)
      // Four are in flight, four wait for them.
      fill(tunnel, 8, 1_048_576)
      suspended.add(tunnel, 0)
    }
    suspended.tick(1)
    assert.deepEqual(ended, ['t0', 't1'])
  })
})
