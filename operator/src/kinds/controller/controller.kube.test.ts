import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { startApiServer } from '@wmoc/testkit/kube/api-server'
import type { TestApiServer } from '@wmoc/testkit/kube/api-server'
import { crdManifest } from '#src/crds/definition.ts'
import { startOperator } from '#src/testing/operator.ts'
import { tryOddSpecs } from '#src/testing/odd-specs.ts'
import type { TestOperator } from '#src/testing/operator.ts'
import { describeDevice } from '../../../../api/src/testing/controllers.ts'
import { startApi } from '../../../../api/src/testing/harness.ts'
import type { TestApi, TestUser } from '../../../../api/src/testing/harness.ts'
import { controllerKind } from './index.ts'
import { Controllers, crd } from './schema.ts'
import type { ControllerStatus } from './schema.ts'

/** Often, so that a test waits for no minute. */
const POLL_MS = 300

interface Found {
  readonly metadata: { readonly generation: number; readonly finalizers?: string[] }
  readonly status?: ControllerStatus
}
interface FoundSecret {
  readonly data: Record<string, string>
}

let server: TestApiServer
let api: TestApi
let operator: TestOperator
let owner: TestUser
let macs = 16

const freshMac = () => `02:00:00:00:00:${(macs++).toString(16).toUpperCase()}`
const manifest = (name: string, spec: object) => ({
  apiVersion: 'wmoc.online/v1alpha1',
  kind: 'Controller',
  metadata: { name, namespace: 'default' },
  spec: { owner: owner.email, ...spec },
})
const condition = ({ status }: Found, type: string) => status?.conditions?.find((each) => each.type === type)
const until = (name: string, type: string, reason: string) =>
  server.waitFor<Found>(['wctl', name], (found) => condition(found, type)?.reason === reason)
const isGone = async (...args: string[]) =>
  (await server.kubectl('get', ...args, '--ignore-not-found')).trim() === ''
async function untilGone(...args: string[]) {
  for (let left = 300; !(await isGone(...args)); left -= 1) {
    assert.ok(left > 0, `${args.join(' ')} is still there`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
const tokenOf = async (secret: string) => {
  const { data } = await server.get<FoundSecret>('secret', secret)
  return Buffer.from(data['token']!, 'base64').toString()
}
const register = (token: string, mac: string) =>
  api.internal('activations/redeem', { token, device: describeDevice({ mac }) })
/** Enrolled, with a device. */
async function enrolActive(name: string, spec: object = {}) {
  const mac = freshMac()
  await server.apply(manifest(name, { mac, activationSecretName: `${name}-activation`, ...spec }))
  const { status } = await until(name, 'ActivationSecret', 'Written')
  assert.equal((await register(await tokenOf(`${name}-activation`), mac)).outcome, 'issued')
  await until(name, 'Registered', 'DeviceRegistered')
  return { mac, id: status!.controllerId! }
}
const inPortal = (id: string) => api.request(`/api/controllers/${id}`, { as: owner })
const reachable = () => ({ CONTROL_PLANE_URL: api.internalUrl, INTERNAL_TOKEN: api.config.INTERNAL_TOKEN })

suite('Controller on a real API server, with the real API', { timeout: 240_000 }, () => {
  before(async () => {
    ;[server, api] = await Promise.all([startApiServer(), startApi({ worker: false })])
    owner = await api.buildUser({ tier: 'premium' })
    await server.apply(crdManifest(crd))
    await server.kubectl('wait', '--for=condition=Established', 'crd/controllers.wmoc.online')
    operator = await startOperator(server.kubeconfig, [controllerKind({ pollMs: POLL_MS })], reachable())
  })
  after(async () => {
    await operator.stop()
    await Promise.all([server.stop(), api.close()])
  })

  test('the API server refuses what can never be right, in words', async () => {
    const message = (spec: object) =>
      server.apply(manifest('refused', { mac: freshMac(), ...spec })).then(
        () => assert.fail('it was taken'),
        (error: Error) => error.message,
      )
    assert.match(await message({ sharedWith: ['a@b'] }), /sharedWith needs access: Shared/)
    assert.match(await message({ access: 'Shared' }), /needs somebody in sharedWith/)
    assert.match(await message({ mac: 'FF:FF:FF:FF:FF:FF' }), /the address of one device/)
    assert.match(await message({ mac: 'aa:bb' }), /spec.mac/)
    assert.match(await message({ tags: { a: 'b'.repeat(38), 'c d': 'e' } }), /a tag is at most 39/)
    await server.apply(manifest('fixed', { mac: freshMac() }))
    await assert.rejects(server.apply(manifest('fixed', { mac: freshMac() })), /mac is immutable/)
    const moved = { ...manifest('fixed', { mac: `02:00:00:00:00:${(macs - 2).toString(16).toUpperCase()}` }) }
    await assert.rejects(
      server.apply({ ...moved, spec: { ...moved.spec, owner: 'other@example.test' } }),
      /owner is immutable/,
    )
  })

  test('a controller is enrolled, its device registers with the Secret’s token, and the Secret goes', async () => {
    const mac = freshMac()
    const spec = {
      mac,
      displayName: 'Boiler room',
      tags: { site: 'spb-1' },
      activationSecretName: 'boiler-activation',
    }
    await server.apply(manifest('boiler', spec))
    const waiting = await until('boiler', 'ActivationSecret', 'Written')
    assert.deepEqual(
      [waiting.status?.state, condition(waiting, 'Registered')?.reason],
      ['Pending', 'WaitingForDevice'],
    )
    const { data } = await server.get<FoundSecret>('secret', 'boiler-activation')
    assert.deepEqual(Object.keys(data).toSorted(), ['activateUrl', 'qr.svg', 'token', 'tunnelUrl'])
    const registered = await register(await tokenOf('boiler-activation'), mac)
    assert.ok(registered.outcome === 'issued')
    const found = await until('boiler', 'Registered', 'DeviceRegistered')
    assert.ok(found.status?.controllerId)
    assert.equal(found.status.controllerId, registered.controller.controllerId)
    await untilGone('secret', 'boiler-activation')
    const { name, tags } = await api
      .client(owner)
      .controllers.get({ params: { id: found.status.controllerId } })
    assert.deepEqual([name, tags], ['Boiler room', ['site:spb-1']])
    assert.match(
      await server.kubectl('get', 'wctl', 'boiler'),
      new RegExp(`${mac}\\s+${owner.email}\\s+Offline\\s+1.0.0\\s+True`),
    )
    const { items } = await server.get<{ items: { reason: string }[] }>('events.events.k8s.io')
    const reasons = items.map(({ reason }) => reason)
    assert.ok(reasons.includes('Enrolled') && reasons.includes('DeviceRegistered'))
  })

  test('a Secret that was lost is made again with a token that works', async () => {
    const mac = freshMac()
    await server.apply(manifest('lost', { mac, activationSecretName: 'lost-activation' }))
    await until('lost', 'ActivationSecret', 'Written')
    const first = await tokenOf('lost-activation')
    await server.kubectl('delete', 'secret', 'lost-activation')
    await server.waitFor<{ items: { metadata: { name: string } }[] }>(['secret'], ({ items }) =>
      items.some(({ metadata }) => metadata.name === 'lost-activation'),
    )
    assert.equal((await register(first, mac)).outcome, 'refused')
    assert.equal((await register(await tokenOf('lost-activation'), mac)).outcome, 'issued')
  })

  test('a Secret of somebody else is left alone', async () => {
    await server.kubectl('create', 'secret', 'generic', 'theirs', '--from-literal=token=x')
    await server.apply(manifest('careful', { mac: freshMac(), activationSecretName: 'theirs' }))
    await until('careful', 'ActivationSecret', 'NameTaken')
    assert.equal(await tokenOf('theirs'), 'x')
  })

  test('what can’t be is told by a condition, and mended by the world', async () => {
    await server.apply({
      ...manifest('early', { mac: freshMac() }),
      spec: { mac: freshMac(), owner: 'late@example.test' },
    })
    const found = await until('early', 'Ready', 'OwnerUnknown')
    assert.match(condition(found, 'Ready')!.message, /late@example.test/)
    await api.buildUser({ email: 'late@example.test' })
    await until('early', 'Ready', 'Enrolled')
    const { mac } = await enrolActive('first')
    await server.apply(manifest('second', { mac }))
    const second = await until('second', 'Ready', 'DeclaredElsewhere')
    assert.match(condition(second, 'Ready')!.message, /default\/first/)
  })

  test('what people change in the portal stays and is told, until it is declared anew', async () => {
    const { id, mac } = await enrolActive('drifting', { displayName: 'Ours' })
    const renamed = await api.client(owner).controllers.update({ params: { id }, body: { name: 'Theirs' } })
    assert.equal(renamed.name, 'Theirs')
    const found = await until('drifting', 'InSync', 'ChangedInPortal')
    assert.match(condition(found, 'InSync')!.message, /displayName is "Theirs"/)
    await server.apply(
      manifest('drifting', { mac, displayName: 'Ours again', activationSecretName: 'drifting-activation' }),
    )
    await until('drifting', 'InSync', 'AsDeclared')
    assert.equal((await api.client(owner).controllers.get({ params: { id } })).name, 'Ours again')
  })

  test('a suspended controller is kept out until it no longer is', async () => {
    const { id, mac } = await enrolActive('suspended')
    const state = async () =>
      (await api.internal('controllers/lookup', { ids: [id], labels: [] })).controllers[0]?.state
    await server.apply(manifest('suspended', { mac, suspended: true }))
    await server.waitFor<Found>(['wctl', 'suspended'], ({ status }) => status?.state === 'Suspended')
    await until('suspended', 'Ready', 'Suspended')
    assert.equal(await state(), 'suspended')
    await server.apply(manifest('suspended', { mac, suspended: false }))
    await server.waitFor<Found>(['wctl', 'suspended'], ({ status }) => status?.state === 'Offline')
    assert.equal(await state(), 'active')
  })

  test('deleted with Retain the controller stays, with Delete it goes', async () => {
    const kept = await enrolActive('kept')
    const deleted = await enrolActive('deleted', { deletionPolicy: 'Delete' })
    await server.kubectl('delete', 'wctl', 'kept', 'deleted', '--timeout=60s')
    assert.deepEqual([(await inPortal(kept.id)).status, (await inPortal(deleted.id)).status], [200, 404])
  })

  test('while the API is away a condition says so, and all goes on when it is back', async () => {
    await operator.stop()
    const away = { ...reachable(), CONTROL_PLANE_URL: 'http://127.0.0.1:9' }
    operator = await startOperator(server.kubeconfig, [controllerKind({ pollMs: POLL_MS })], away)
    const mac = freshMac()
    await server.apply(manifest('patient', { mac, deletionPolicy: 'Delete' }))
    const found = await until('patient', 'Ready', 'ControlPlaneUnavailable')
    assert.match(condition(found, 'Ready')!.message, /127.0.0.1:9 does not answer/)
    await server.kubectl('delete', 'wctl', 'boiler', '--wait=false')
    await until('boiler', 'Ready', 'ControlPlaneUnavailable')
    await operator.stop()
    operator = await startOperator(server.kubeconfig, [controllerKind({ pollMs: POLL_MS })], reachable())
    await until('patient', 'Ready', 'Enrolled')
    await untilGone('wctl', 'boiler')
  })

  test('an operator that was not told of the API says so', async () => {
    await operator.stop()
    operator = await startOperator(server.kubeconfig, [controllerKind({ pollMs: POLL_MS })])
    const found = await until('patient', 'Ready', 'ControlPlaneNotConfigured')
    assert.match(condition(found, 'Ready')!.message, /CONTROL_PLANE_URL/)
  })

  test('K1: odd specs are refused or answered by a condition, and the operator goes on', async () => {
    const good = {
      mac: freshMac(),
      owner: owner.email,
      displayName: 'Boiler',
      tags: { site: 'a' },
      access: 'Shared',
      sharedWith: ['bob@example.test'],
      suspended: false,
      deletionPolicy: 'Delete',
      activationSecretName: 'odd',
    }
    await operator.stop()
    operator = await startOperator(server.kubeconfig, [controllerKind()], reachable())
    const { refused, taken } = await tryOddSpecs(server.kubeconfig, Controllers, [good], 150)
    assert.ok(refused > 25 && taken > 25, `${refused} refused, ${taken} taken`)
    await server.apply(manifest('after', { mac: freshMac() }))
    await until('after', 'Ready', 'Enrolled')
  })
})
