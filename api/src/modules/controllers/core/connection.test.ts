import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { GatewayEvent } from '@wmoc/protocol/control-plane'
import fc from 'fast-check'
import { applyGatewayEvent } from './connection.ts'
import type { Connection } from './connection.ts'

const controllerId = '019a0000-0000-7000-8000-000000000000'
const device = { mac: null, firmwareVersion: null, model: null, metadata: {}, remoteAddress: '192.0.2.1' }
const fresh: Connection = { status: 'offline', since: 0, epoch: 0, lastSeenAt: null }

const connected = (epoch: number, at = epoch): GatewayEvent => ({
  type: 'connected',
  controllerId,
  epoch,
  shard: 'a',
  websocketId: `ws-${epoch}`,
  device,
  at,
})
const disconnected = (epoch: number, at = epoch + 1): GatewayEvent => ({
  type: 'disconnected',
  controllerId,
  epoch,
  websocketId: `ws-${epoch}`,
  closeCode: 1001,
  reason: 'going_away',
  at,
})

function run(events: readonly GatewayEvent[]): { connection: Connection; changes: string[] } {
  let connection = fresh
  const changes: string[] = []
  for (const event of events) {
    const step = applyGatewayEvent(connection, event)
    connection = step.connection
    if (step.change !== null) changes.push(step.change.status)
  }
  return { connection, changes }
}

/** Merges the streams of several sockets in any order, each kept in its own order, some events repeated. */
const histories = fc
  .record({
    sockets: fc.uniqueArray(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 6 }),
    ended: fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }),
    picks: fc.array(fc.nat(), { minLength: 30, maxLength: 30 }),
    repeats: fc.array(fc.boolean(), { minLength: 30, maxLength: 30 }),
  })
  .map(({ sockets, ended, picks, repeats }) => {
    const streams = sockets.map((epoch, index) =>
      ended[index] ? [connected(epoch), disconnected(epoch)] : [connected(epoch)],
    )
    const merged: GatewayEvent[] = []
    for (let turn = 0; streams.some((stream) => stream.length > 0); turn++) {
      const open = streams.filter((stream) => stream.length > 0)
      const event = open[picks[turn % 30]! % open.length]!.shift()!
      merged.push(event)
      if (repeats[turn % 30]) merged.push(event)
    }
    const newest = Math.max(...sockets)
    return { merged, isOnline: !ended[sockets.indexOf(newest)] }
  })

suite('the status of a controller', () => {
  test('is that of its newest connection, however events are mixed between shards and repeated', () => {
    fc.assert(
      fc.property(histories, ({ merged, isOnline }) => {
        assert.equal(run(merged).connection.status, isOnline ? 'online' : 'offline')
      }),
    )
  })

  test('changes in turns: never twice to the same', () => {
    fc.assert(
      fc.property(histories, ({ merged }) => {
        const { changes } = run(merged)
        assert.ok(changes.every((status, index) => status !== changes[index - 1]))
      }),
    )
  })

  test('a disconnect of an older epoch never turns a newer connection offline', () => {
    assert.equal(run([connected(1), connected(2), disconnected(1)]).connection.status, 'online')
    assert.deepEqual(run([connected(1), connected(2), disconnected(1)]).changes, ['online'])
  })

  test('a disconnect whose connect was lost still ends everything before it', () => {
    assert.equal(run([connected(1), disconnected(2)]).connection.status, 'offline')
    assert.equal(run([connected(1), disconnected(2), connected(2)]).connection.status, 'offline')
  })

  test('signs of life move only the time of the last one, and never back', () => {
    const seen = (at: number): GatewayEvent => ({ type: 'seen', controllerId, at })
    const { connection, changes } = run([connected(1, 100), seen(300), seen(200)])
    assert.equal(connection.lastSeenAt, 300)
    assert.deepEqual(changes, ['online'])
  })
})
