import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { ConfigMap } from 'kubernetes-types/core/v1.d.ts'
import { eventually, quiet, startServerWithWidgets } from '#src/testing/api-server.ts'
import { Widgets, widget } from '#src/testing/widgets.ts'
import { startWire } from '#src/testing/wire.ts'
import type { Wire } from '#src/testing/wire.ts'
import type { KubeClient } from './client.ts'
import { createInformer } from './informer.ts'
import type { Informer, InformerOptions } from './informer.ts'
import { ownerReference } from './metadata.ts'
import { resource } from './objects.ts'
import type { Resource, Sent } from './objects.ts'
import { ConfigMaps } from './resources.ts'

let server: Awaited<ReturnType<typeof startServerWithWidgets>>
let wire: Wire
/** Straight to the server, whatever happens on the wire. */
let direct: KubeClient
let overWire: KubeClient
before(async () => {
  server = await startServerWithWidgets()
  wire = await startWire(Number(new URL(server.access.server).port))
  direct = server.connect()
  const access = { ...server.access, server: `https://127.0.0.1:${wire.port}` }
  overWire = server.connect({ access, timeoutMs: 1_500, watchSilenceMs: 1_500 })
})
after(async () => {
  await wire.stop()
  await server.stop()
})

/** Runs an informer over the wire, noting what it tells. */
async function follow<T>(kind: Resource<T>, options: Partial<InformerOptions<T>> = {}) {
  const told: string[] = []
  let lists = 0
  const informer = createInformer({
    client: overWire,
    kind,
    log: quiet,
    onList: () => (lists += 1),
    ...options,
  })
  informer.onChange(({ type, object }) => told.push(`${type} ${object.metadata.name}`))
  informer.start()
  await informer.whenSynced()
  return { informer, told, lists: () => lists }
}

const has = (informer: Informer<unknown>, name: string, namespace = 'default') =>
  informer.get({ namespace, name }) !== undefined

test('it tells what is there, then each change, and what an object was when it went', async (t) => {
  await direct.apply(Widgets, widget('early'))
  const { informer, told } = await follow(Widgets)
  t.after(() => informer.stop())
  assert.deepEqual(told, ['added early'])
  const late: string[] = []
  informer.onChange(({ type, object }) => {
    late.push(`${type} ${object.metadata.name} ${object.spec.text}`)
    throw new Error('a handler that fails')
  })
  await direct.apply(Widgets, widget('early', 'changed'))
  await direct.delete(Widgets, { namespace: 'default', name: 'early' })
  await eventually('the deletion is told', () => told.includes('deleted early'))
  assert.deepEqual(told, ['added early', 'updated early', 'deleted early'])
  assert.deepEqual(late, ['added early hello', 'updated early changed', 'deleted early changed'])
})

test('who waits for it to be complete is let go, also when the signal came before', async (t) => {
  const Gadgets = resource('test.wmoc.online/v1alpha1', 'Gadget', 'gadgets')
  const informer = createInformer({ client: direct, kind: Gadgets, log: quiet })
  informer.start()
  t.after(() => Promise.all([informer.stop(), informer.stop()]))
  const giving = new AbortController()
  const waiting = assert.rejects(informer.whenSynced(giving.signal), /given up/)
  giving.abort(new Error('given up'))
  await waiting
  await assert.rejects(informer.whenSynced(giving.signal), /given up/)
})

test('it finds what an object owns', async (t) => {
  const owner = await direct.apply(Widgets, widget('owner'))
  const { informer } = await follow(ConfigMaps, { namespaces: ['default', 'kube-system'] })
  t.after(() => informer.stop())
  const owned: Sent<ConfigMap> = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'owned', namespace: 'default', ownerReferences: [ownerReference(owner)] },
  }
  await direct.apply(ConfigMaps, owned)
  await eventually('it is indexed', () => informer.ownedBy(owner.metadata.uid).length === 1)
  await direct.merge(
    ConfigMaps,
    { namespace: 'default', name: 'owned' },
    { metadata: { ownerReferences: [] } },
  )
  await eventually('it is orphaned', () => informer.ownedBy(owner.metadata.uid).length === 0)
  assert.ok(has(informer, 'owned'))
})

test('a connection that was cut is taken up where it was, without a list', async (t) => {
  const { informer, lists } = await follow(Widgets)
  t.after(() => informer.stop())
  wire.cut()
  await direct.apply(Widgets, widget('after-cut'))
  await eventually('the change arrives', () => has(informer, 'after-cut'))
  assert.equal(lists(), 1)
})

test('a connection on which nothing comes any more is given up', async (t) => {
  const { informer } = await follow(Widgets)
  t.after(() => informer.stop())
  wire.silence()
  await direct.apply(Widgets, widget('after-silence'))
  await eventually('the change arrives', () => has(informer, 'after-silence'))
})

test('it outlives a restart of the API server, and finds by comparison what it could not hear of', async (t) => {
  await direct.apply(Widgets, widget('goes-unseen'))
  const { informer, told, lists } = await follow(Widgets)
  t.after(() => informer.stop())
  wire.setOpen(false)
  wire.cut()
  await direct.delete(Widgets, { namespace: 'default', name: 'goes-unseen' })
  await direct.apply(Widgets, widget('comes-unseen'))
  // The server's memory of changes begins anew with each start: the place where the watch was is then too old.
  await server.restart()
  wire.setOpen(true)
  await eventually(
    'all is as on the server',
    () => !has(informer, 'goes-unseen') && has(informer, 'comes-unseen'),
  )
  assert.ok(told.includes('deleted goes-unseen') && told.includes('added comes-unseen'))
  assert.ok(lists() >= 2 && lists() < 20, `${lists()} lists`)
  await eventually('the server is written to', () =>
    direct.apply(Widgets, widget('after-restart')).catch(() => null),
  )
  await eventually('changes arrive again', () => has(informer, 'after-restart'))
})

test('an object that was deleted and made again unseen is told as two changes', async (t) => {
  await direct.apply(Widgets, widget('twice'))
  const { informer, told } = await follow(Widgets)
  t.after(() => informer.stop())
  wire.setOpen(false)
  wire.cut()
  await direct.delete(Widgets, { namespace: 'default', name: 'twice' })
  await direct.apply(Widgets, widget('twice', 'anew'))
  wire.setOpen(true)
  await eventually(
    'the new one is known',
    () => informer.get({ namespace: 'default', name: 'twice' })?.spec.text === 'anew',
  )
  assert.deepEqual(
    told.filter((line) => line.endsWith(' twice')),
    ['added twice', 'deleted twice', 'added twice'],
  )
})
