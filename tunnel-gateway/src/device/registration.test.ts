import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { GATEWAY_CHANNEL } from '@wmoc/protocol/control-plane'
import { openStore } from '@wmoc/platform/open-store'
import { createLogger } from '@wmoc/platform/log'
import { hmacSha256Hex, randomToken } from '@wmoc/platform/ids'
import { CREDENTIAL_KEY } from '#src/testing/control-plane-server.ts'
import { startHarness, until } from '#src/testing/harness.ts'
import type { Harness } from '#src/testing/harness.ts'

suite('registration', () => {
  let harness: Harness
  before(async () => {
    harness = await startHarness({ REGISTER_TIMEOUT_MS: '700' })
  })
  after(() => harness.stop())

  async function publish(notice: unknown): Promise<void> {
    const log = createLogger({ process: 'test', level: 'silent' })
    const store = openStore({ url: harness.redis.url, log, name: 'test' })
    await store.publish(GATEWAY_CHANNEL, JSON.stringify(notice))
    await store.close()
  }

  test('with an activation token gives credentials once, and they work from then on', async () => {
    harness.controlPlane.tokens.add('token-1')
    const first = await harness.connect()
    first.send({
      type: 'register',
      token: 'token-1',
      credentials: { mac: 'aa-bb-cc-dd-ee-ff', firmware_version: '1.2' },
    })
    const { credentials, controllerId } = await first.next('registered')
    assert.equal(credentials?.controller_id, controllerId)
    first.socket.close()
    await first.closed

    const second = await harness.connect()
    second.send({ type: 'register', credentials })
    const registered = await second.next('registered')
    assert.equal(registered.controllerId, controllerId)
    assert.equal(registered.credentials, undefined)

    const again = await harness.connect()
    again.send({ type: 'register', token: 'token-1' })
    assert.equal((await again.next('error')).retryable, false)
    assert.equal((await again.closed).code, 4401)
    // Reports go out in batches, a moment after what they tell.
    const connected = () => harness.controlPlane.events.find((event) => event.type === 'connected')
    await until(() => connected() !== undefined)
    const event = connected()
    assert.equal(event?.type === 'connected' && event.device.mac, 'AA:BB:CC:DD:EE:FF')
  })

  test('without a secret shows a code and goes on by itself once a person confirmed it', async () => {
    // Sooner than it asks by itself: on a busy machine not each time.
    for (let left = 5; ; left -= 1) {
      const registered = await confirmedWithin(2_000).catch((error) => assert.ok(left > 0, String(error)))
      if (registered) return assert.ok(registered.credentials)
    }
  })

  /** Claims a device by its code, and resolves when it is told; rejects when that takes longer. */
  async function confirmedWithin(timeoutMs: number) {
    const device = await harness.connect()
    device.send({ type: 'register', credentials: { mac: 'AA:BB:CC:DD:EE:01', firmware_version: '2.0' } })
    const asked = await device.next('activation_required')
    assert.equal(asked.userCode, 'BCDF-GHJK')
    assert.ok(asked.expiresIn > 500 && asked.expiresIn <= 600)
    const [claimId, claim] = [...harness.controlPlane.claims].at(-1)!
    claim.isConfirmed = true
    await publish({ type: 'claim_confirmed', claimId })
    return device.next('registered', timeoutMs)
  }

  test('asks for a confirmed code by itself when the notice got lost', async () => {
    const device = await harness.connect()
    device.send({ type: 'register' })
    await device.next('activation_required')
    ;[...harness.controlPlane.claims.values()].at(-1)!.isConfirmed = true
    assert.ok((await device.next('registered')).credentials)
  })

  test('shows a new code when the old one ran out, on the same socket', async () => {
    harness.controlPlane.state.claimTtlMs = 1
    const device = await harness.connect()
    device.send({ type: 'register' })
    await device.next('activation_required')
    harness.controlPlane.state.claimTtlMs = 600_000
    assert.ok((await device.next('activation_required')).expiresIn > 500)
    ;[...harness.controlPlane.claims.values()].at(-1)!.isConfirmed = true
    await device.next('registered')
  })

  test('D1: a mac without its secret never authenticates, and a wrong secret tells nothing', async () => {
    const known = harness.controlPlane.addController()
    const attempts = [
      { controller_id: known.record.controllerId, secret: randomToken(32), mac: 'AA:BB:CC:DD:EE:FF' },
      { controller_id: known.record.controllerId },
      { secret: known.secret },
      { controller_id: '5c8e7b9a-2f3d-4e6f-8a1b-0c9d8e7f6a5b', secret: known.secret },
    ]
    const answers: string[] = []
    for (const credentials of attempts) {
      const device = await harness.connect()
      device.send({ type: 'register', credentials })
      assert.equal((await device.closed).code, 4401)
      answers.push(device.received.join())
    }
    assert.equal(new Set(answers).size, 1)
    await until(() => harness.controlPlane.events.some((event) => event.type === 'auth_failed'))
  })

  test('reconnects without asking the API when it knows the controller', async () => {
    const known = harness.controlPlane.addController()
    const first = await harness.online(known)
    first.socket.close()
    await first.closed
    const lookups = harness.controlPlane.calls.filter((call) => call === 'controllers/lookup').length
    await harness.online(known)
    assert.equal(harness.controlPlane.calls.filter((call) => call === 'controllers/lookup').length, lookups)
  })

  test('F1: the newer socket wins, the older one is closed with 4409 and its answers count no more', async () => {
    const known = harness.controlPlane.addController()
    const person = await harness.controlPlane.addPerson()
    harness.controlPlane.grant(person, known.record.controllerId)
    const older = await harness.online(known)
    const asked = harness.api(person, known.record.controllerId)
    const request = await older.next('http_request')
    const newer = await harness.online(known)
    assert.ok(newer.registered.epoch > older.registered.epoch)
    older.send({ type: 'http_response', id: request.id, status: 200, headers: {}, body: 'old' })
    assert.equal((await older.closed).code, 4409)
    assert.equal((await asked).status, 502)
    newer.serve(() => ({ body: 'new' }))
    assert.equal((await harness.api(person, known.record.controllerId)).text, 'new')
  })

  test('T16: a second registration on the same socket closes it with 1008', async () => {
    const known = harness.controlPlane.addController()
    const device = await harness.online(known)
    device.send({
      type: 'register',
      credentials: { controller_id: known.record.controllerId, secret: known.secret },
    })
    assert.equal((await device.closed).code, 1008)
  })

  test('T15: a socket that does not register is closed with 4408', async () => {
    const device = await harness.connect()
    assert.equal((await device.closed).code, 4408)
  })

  test('anything before the registration closes with 1008', async () => {
    const device = await harness.connect()
    device.send({ type: 'metrics', items: [{ type: 't', value: 1 }] })
    assert.equal((await device.closed).code, 1008)
  })

  test('D11: a rotation survives a loss at each step; the device always has one accepted secret', async () => {
    const known = harness.controlPlane.addController({ rotationPending: true })
    const { controllerId } = known.record
    const lost = await harness.online(known)
    assert.ok(lost.registered.credentials)
    // The device lost power before it kept the new secret, and comes with the old one: it gets another.
    const second = await harness.online(known)
    const next = second.registered.credentials!
    assert.notEqual(next.secret, lost.registered.credentials.secret)
    // It kept this one. From now on the old one is refused.
    const third = await harness.online({ record: known.record, secret: next.secret })
    assert.equal(third.registered.credentials, undefined)
    const verifier = hmacSha256Hex(CREDENTIAL_KEY, next.secret)
    assert.deepEqual(harness.controlPlane.controllers.get(controllerId)?.verifiers, [verifier])
    const old = await harness.connect()
    old.send({ type: 'register', credentials: { controller_id: controllerId, secret: known.secret } })
    assert.equal((await old.closed).code, 4401)
  })

  test('a rotation asked for while connected makes the device come again', async () => {
    const known = harness.controlPlane.addController()
    const device = await harness.online(known)
    harness.controlPlane.controllers.set(known.record.controllerId, {
      ...known.record,
      rotationPending: true,
    })
    await publish({ type: 'controller_changed', controllerId: known.record.controllerId })
    assert.equal((await device.next('goaway')).reason, 'rotated')
    assert.equal((await device.closed).code, 1012)
    assert.ok((await harness.online(known)).registered.credentials)
  })

  test('D10: a revoked controller is cut at once, and refused with 4403', async () => {
    const known = harness.controlPlane.addController()
    const person = await harness.controlPlane.addPerson()
    harness.controlPlane.grant(person, known.record.controllerId)
    const device = await harness.online(known)
    const asked = harness.api(person, known.record.controllerId)
    await device.next('http_request')
    harness.controlPlane.controllers.set(known.record.controllerId, { ...known.record, state: 'revoked' })
    harness.controlPlane.roles.clear()
    await publish({ type: 'revoked', controllerId: known.record.controllerId })
    assert.equal((await device.closed).code, 4403)
    assert.ok([404, 502].includes((await asked).status))
    assert.equal((await harness.api(person, known.record.controllerId)).status, 404)
    const again = await harness.connect()
    again.send({
      type: 'register',
      credentials: { controller_id: known.record.controllerId, secret: known.secret },
    })
    assert.equal((await again.closed).code, 4403)
  })

  test('a suspended controller is cut and kept out as long as it is suspended, without a word of alarm', async () => {
    const known = harness.controlPlane.addController()
    const { controllerId } = known.record
    const device = await harness.online(known)
    const set = async (state: 'active' | 'suspended') => {
      harness.controlPlane.controllers.set(controllerId, { ...known.record, state })
      await publish({ type: 'controller_changed', controllerId })
    }
    await set('suspended')
    assert.equal((await device.closed).code, 4401)
    const again = await harness.connect()
    again.send({ type: 'register', credentials: { controller_id: controllerId, secret: known.secret } })
    assert.equal((await again.closed).code, 4401)
    const told = harness.controlPlane.events.filter((event) => event.controllerId === controllerId)
    assert.ok(told.every(({ type }) => type !== 'auth_failed'))
    await set('active')
    assert.ok((await harness.online(known)).registered.credentials === undefined)
  })

  test('D9: two devices that push each other out are both refused with 4423 and the owner is told', async () => {
    const known = harness.controlPlane.addController()
    const codes: number[] = []
    for (let round = 0; round < 8 && !codes.includes(4423); round += 1) {
      const device = await harness.connect()
      const boot_id = round % 2 === 0 ? 'one' : 'two'
      device.send({
        type: 'register',
        credentials: { controller_id: known.record.controllerId, secret: known.secret, boot_id },
      })
      void device.closed.then(({ code }) => codes.push(code))
      await Promise.race([device.next('registered'), device.closed])
    }
    await until(() => codes.filter((code) => code === 4423).length === 2)
    const refused = await harness.connect()
    refused.send({
      type: 'register',
      credentials: { controller_id: known.record.controllerId, secret: known.secret },
    })
    assert.ok((await refused.next('error')).reconnectAfterMs! > 30_000)
    assert.equal((await refused.closed).code, 4423)
    await until(() =>
      harness.controlPlane.events.some(
        (event) => event.type === 'auth_failed' && event.reason === 'conflict',
      ),
    )
  })

  test('the API away keeps strangers out with 1013, and lets in who proves a known secret', async () => {
    const known = harness.controlPlane.addController()
    const stranger = harness.controlPlane.addController()
    const first = await harness.online(known)
    first.socket.close()
    await first.closed
    harness.controlPlane.state.isAway = true
    try {
      const device = await harness.online(known)
      assert.equal(device.registered.controllerId, known.record.controllerId)
      const refused = await harness.connect()
      refused.send({
        type: 'register',
        credentials: { controller_id: stranger.record.controllerId, secret: stranger.secret },
      })
      assert.ok((await refused.next('error')).reconnectAfterMs! > 0)
      assert.equal((await refused.closed).code, 1013)
    } finally {
      harness.controlPlane.state.isAway = false
    }
  })

  test('a refused activation sounds the same whatever the reason, but for an expired token', async () => {
    const heard: string[] = []
    for (const refuse of ['mac_taken', 'expired'] as const) {
      harness.controlPlane.state.refuse = refuse
      const device = await harness.connect()
      device.send({ type: 'register', token: 'x', credentials: { mac: 'AA:BB:CC:DD:EE:FF' } })
      heard.push((await device.next('error')).code)
      assert.equal((await device.closed).code, 4401)
    }
    harness.controlPlane.state.refuse = null
    assert.deepEqual(heard, ['activation_refused', 'token_expired'])
  })
})
