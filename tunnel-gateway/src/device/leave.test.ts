import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { GATEWAY_CHANNEL } from '@wmoc/protocol/control-plane'
import { openStore } from '@wmoc/platform/open-store'
import { createLogger } from '@wmoc/platform/log'
import { startHarness, until } from '#src/testing/harness.ts'
import type { Harness } from '#src/testing/harness.ts'
import { answer, connectDeviceV2, onlineV2 } from '#src/testing/raw-device-v2.ts'

suite('a tunnel that is lost or sent away', () => {
  let harness: Harness
  before(async () => {
    harness = await startHarness()
  })
  after(() => harness.stop())

  async function served(features: string[]) {
    const known = harness.controlPlane.addController()
    const person = await harness.controlPlane.addPerson()
    const id = known.record.controllerId
    harness.controlPlane.grant(person, id)
    const device = await onlineV2(harness.port, known, { credentials: { features } })
    const ask = (given = {}) => harness.api(person, id, given)
    const again = (resume?: { session: string; seq: number }, earlier?: typeof device) =>
      onlineV2(
        harness.port,
        known,
        { credentials: { features }, ...(resume === undefined ? {} : { resume }) },
        earlier === undefined ? {} : { earlier },
      )
    return { device, ask, known, id, again }
  }

  /** The API asks the gateway to send the device away. */
  async function sendAway(controllerId: string): Promise<void> {
    const record = harness.controlPlane.controllers.get(controllerId)!
    harness.controlPlane.controllers.set(controllerId, { ...record, rotationPending: true })
    const log = createLogger({ process: 'test', level: 'silent' })
    const store = openStore({ url: harness.redis.url, log, name: 'test' })
    await store.publish(GATEWAY_CHANNEL, JSON.stringify({ type: 'controller_changed', controllerId }))
    await store.close()
  }
  const events = (id: string) =>
    harness.controlPlane.events.filter((event) => event.controllerId === id).map((event) => event.type)

  test('a device that lost its connection goes on with the same session: no request fails, none is repeated', async () => {
    const { device, ask, id, again } = await served(['resume'])
    const half = ask({ path: '/half' })
    const one = await device.nextRequest()
    one.stream.respond({ status: 200, headers: [] }, false)
    one.stream.write(Buffer.from('first '))
    await until(() => one.stream.queuedBytes === 0)
    device.stop()
    await device.closed
    device.mux.suspend()
    await until(async () => (await harness.status())['sockets'] === 0)
    // Asked while nobody is there.
    const meanwhile = ask({ method: 'POST', path: '/meanwhile', body: 'x' })
    one.stream.write(Buffer.from('second'))
    one.stream.end()
    const session = device.welcome.session!
    const back = await again({ session, seq: device.mux.lastSeq }, device)
    assert.ok(back.welcome.resumed)
    assert.equal(back.welcome.epoch, device.welcome.epoch)
    assert.equal((await half).text, 'first second')
    answer(await back.nextRequest(), 'later')
    assert.equal((await meanwhile).text, 'later')
    assert.equal(device.asked.length, 2)
    assert.deepEqual(back.faults, [])
    await until(() => events(id).includes('connected'))
    assert.deepEqual(events(id), ['connected'])
    back.stop()
  })

  test('T18: a device that notices the loss before the gateway resumes as well', async () => {
    const { device, ask, again } = await served(['resume'])
    const asked = ask()
    const one = await device.nextRequest()
    device.mux.suspend()
    const back = await again({ session: device.welcome.session!, seq: device.mux.lastSeq }, device)
    assert.ok(back.welcome.resumed)
    answer(one, 'fine')
    assert.equal((await asked).text, 'fine')
    assert.equal((await device.closed).code, 1006)
    back.stop()
  })

  test('a session that was never used goes on as well', async () => {
    const { device, ask, again } = await served(['resume'])
    device.stop()
    await device.closed
    device.mux.suspend()
    const back = await again({ session: device.welcome.session!, seq: device.mux.lastSeq }, device)
    assert.ok(back.welcome.resumed)
    const asked = ask()
    answer(await back.nextRequest(), 'fine')
    assert.equal((await asked).text, 'fine')
    back.stop()
  })

  test('D8: a session is taken up with the right name only, else its requests fail and a new one begins', async () => {
    const { device, ask, again } = await served(['resume'])
    const asked = ask()
    await device.nextRequest()
    device.stop()
    await device.closed
    const back = await again({ session: 'x'.repeat(22), seq: 0 })
    assert.equal(back.welcome.resumed, undefined)
    assert.ok(back.welcome.epoch > device.welcome.epoch)
    assert.notEqual(back.welcome.session, device.welcome.session)
    assert.equal((await asked).status, 502)
    back.stop()
  })

  test('nobody waits for a device that never comes back, nor for one that said goodbye', async () => {
    const lost = await served(['resume'])
    const bye = await served(['resume'])
    const asked = lost.ask()
    await lost.device.nextRequest()
    lost.device.stop()
    bye.device.socket.close(1000)
    await bye.device.closed
    assert.equal((await bye.ask()).status, 503)
    assert.equal((await asked).status, 502)
    assert.equal((await lost.ask()).status, 503)
    await until(() => events(lost.id).includes('disconnected'))
  })

  test('a device with overlap is served by its old tunnel until the new one is there, and finishes there', async () => {
    const { device, ask, id, again } = await served(['overlap'])
    const long = ask({ path: '/long' })
    const one = await device.nextRequest()
    await sendAway(id)
    assert.equal((await device.next('goaway')).reason, 'rotated')
    device.serve((next) => answer(next, 'old'))
    assert.equal((await ask()).text, 'old')
    const newer = await again()
    newer.serve((next) => answer(next, 'new'))
    assert.ok(newer.welcome.epoch > device.welcome.epoch)
    assert.equal((await ask()).text, 'new')
    assert.equal(device.socket.readyState, device.socket.OPEN)
    answer(one, 'finished')
    assert.equal((await long).text, 'finished')
    assert.equal((await device.closed).code, 1012)
    assert.equal((await ask()).text, 'new')
    newer.stop()
  })

  test('D9: tunnels that follow each other with overlap are no conflict', async () => {
    const { id, again } = await served(['overlap'])
    for (let round = 0; round < 12; round += 1) {
      const { rotationPending: _, ...record } = harness.controlPlane.controllers.get(id)!
      harness.controlPlane.controllers.set(id, { ...record, rotationPending: false })
      const device = await again()
      await sendAway(id)
      await device.next('goaway')
    }
    const last = await again()
    assert.ok(last.welcome.epoch > 0)
    last.stop()
  })

  test('a device without overlap is let go as soon as what was in flight is done', async () => {
    const { device, ask, id } = await served([])
    const long = ask({ path: '/long' })
    const one = await device.nextRequest()
    await sendAway(id)
    await device.next('goaway')
    // As long as older work keeps the tunnel here anyway, new requests cost nothing.
    device.serve((next) => answer(next, 'meanwhile'))
    assert.equal((await ask()).text, 'meanwhile')
    answer(one, 'finished')
    assert.equal((await long).text, 'finished')
    assert.equal((await device.closed).code, 1012)
  })

  test('F1: a tunnel that was superseded elsewhere without being sent away is closed with 4409', async () => {
    const { device, known, id } = await served(['overlap'])
    const newer = await connectDeviceV2(harness.port)
    newer.control({ type: 'hello', credentials: { controller_id: id, secret: known.secret } })
    await newer.next('welcome')
    assert.equal((await device.closed).code, 4409)
    newer.stop()
  })
})
