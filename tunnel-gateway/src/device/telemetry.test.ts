import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, suite, test } from 'node:test'
import { openStore } from '@wmoc/platform/open-store'
import { createLogger } from '@wmoc/platform/log'
import { GATEWAY_CHANNEL } from '@wmoc/protocol/control-plane'
import { startHarness, until } from '#src/testing/harness.ts'
import type { Harness } from '#src/testing/harness.ts'

suite('metrics, logs and commands', () => {
  let harness: Harness
  before(async () => {
    harness = await startHarness()
  })
  after(() => harness.stop())

  const online = async (extra: Record<string, unknown> = {}) => {
    const known = harness.controlPlane.addController()
    return { known, id: known.record.controllerId, device: await harness.online(known, extra) }
  }
  const command = (controllerId: string) => {
    const queued = {
      controllerId,
      id: randomUUID(),
      name: 'switch.set',
      params: { on: true },
      expiresAt: Date.now() + 60_000,
    }
    harness.controlPlane.queued.push(queued)
    return queued
  }

  test('a batch is acknowledged once the API has it, with the stream of the boot', async () => {
    const { device, id } = await online({ boot_id: 'boot-7' })
    device.send({ type: 'metrics', seq: 1, items: [{ type: 'temperature', value: 21.5 }] })
    device.send({ type: 'log', seq: 2, items: [{ level: 'info', message: 'hello' }] })
    device.send({ type: 'log', items: [{ level: 'warn', message: 'without a number' }] })
    assert.equal((await device.next('ack')).seq, 1)
    assert.equal((await device.next('ack')).seq, 2)
    await until(() => harness.controlPlane.ingested.filter((batch) => batch.controllerId === id).length === 3)
    const stored = harness.controlPlane.ingested.filter((batch) => batch.controllerId === id)
    assert.deepEqual(
      stored.map((batch) => [batch.kind, batch.stream, batch.seq]),
      [
        ['metrics', 'boot-7', 1],
        ['log', 'boot-7', 2],
        ['log', 'boot-7', null],
      ],
    )
  })

  test('nothing is acknowledged while the API is away; all is stored in order when it is back', async () => {
    const { device, id } = await online()
    harness.controlPlane.state.isAway = true
    for (let seq = 0; seq < 50; seq += 1)
      device.send({ type: 'metrics', seq, items: [{ type: 't', value: seq }] })
    await assert.rejects(device.next('ack', 400))
    harness.controlPlane.state.isAway = false
    for (let seq = 0; seq < 50; seq += 1) assert.equal((await device.next('ack')).seq, seq)
    const stored = harness.controlPlane.ingested
      .filter((batch) => batch.controllerId === id)
      .map((batch) => batch.seq)
    assert.deepEqual(
      stored,
      Array.from({ length: 50 }, (_, seq) => seq),
    )
  })

  test('T14: what a device sends beyond its buffer is dropped without an acknowledgement, and others are not touched', async () => {
    const { device } = await online()
    const other = await online()
    harness.controlPlane.state.isAway = true
    const value = 'x'.repeat(200_000)
    for (let seq = 0; seq < 20; seq += 1) device.send({ type: 'metrics', seq, items: [{ type: 't', value }] })
    other.device.send({ type: 'metrics', seq: 1, items: [{ type: 't', value: 1 }] })
    await until(async () => /ingest_dropped_total\{reason="device_full"\} 1\d/.test(await harness.metrics()))
    harness.controlPlane.state.isAway = false
    assert.equal((await other.device.next('ack')).seq, 1)
    await device.next('ack')
  })

  test('a waiting command goes out at registration, one queued later at once, and each only once a connection', async () => {
    const known = harness.controlPlane.addController()
    const { controllerId } = known.record
    const early = command(controllerId)
    const device = await harness.online(known)
    assert.equal((await device.next('command')).id, early.id)
    const later = command(controllerId)
    const store = openStore({
      url: harness.redis.url,
      log: createLogger({ process: 'test', level: 'silent' }),
      name: 'test',
    })
    await store.publish(GATEWAY_CHANNEL, JSON.stringify({ type: 'commands_queued', controllerId }))
    await store.close()
    const got = await device.next('command')
    assert.deepEqual([got.id, got.name, got.params], [later.id, 'switch.set', { on: true }])
    await assert.rejects(device.next('command', 200))

    device.stop()
    await device.closed
    const again = await harness.online(known)
    const repeated = [(await again.next('command')).id, (await again.next('command')).id]
    assert.deepEqual(repeated.toSorted(), [early.id, later.id].toSorted())
  })

  test('a result reaches the API, also when that was away', async () => {
    const { device, id } = await online()
    harness.controlPlane.state.isAway = true
    const done = randomUUID()
    device.send({ type: 'command_result', id: done, ok: true, result: { on: true } })
    device.send({ type: 'command_result', id: 'not-ours', ok: true })
    await new Promise((resolve) => setTimeout(resolve, 200))
    harness.controlPlane.state.isAway = false
    await until(() => harness.controlPlane.results.some((result) => result.id === done))
    const result = harness.controlPlane.results.find((entry) => entry.id === done)
    assert.deepEqual([result?.controllerId, result?.ok, result?.result], [id, true, { on: true }])
  })

  test('sessions are told in order, also after an outage of the API', async () => {
    const known = harness.controlPlane.addController()
    const warm = await harness.online(known)
    warm.socket.close()
    await warm.closed
    await until(
      () =>
        harness.controlPlane.events.filter((event) => event.controllerId === known.record.controllerId)
          .length === 2,
    )
    harness.controlPlane.state.isAway = true
    const device = await harness.online(known)
    device.socket.close(1000)
    await device.closed
    harness.controlPlane.state.isAway = false
    const own = () =>
      harness.controlPlane.events.filter((event) => event.controllerId === known.record.controllerId)
    await until(() => own().length === 4)
    assert.deepEqual(
      own().map((event) => event.type),
      ['connected', 'disconnected', 'connected', 'disconnected'],
    )
    const last = own().at(-1)
    assert.ok(last?.type === 'disconnected' && last.closeCode === 1000 && last.reason === 'closed_by_device')
  })
})
