import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { ConfigMap } from 'kubernetes-types/core/v1.d.ts'
import { eventually, startServerWithWidgets } from '#src/testing/api-server.ts'
import { Widgets, widget } from '#src/testing/widgets.ts'
import { startWire } from '#src/testing/wire.ts'
import type { KubeClient } from './client.ts'
import { isKubeError } from './errors.ts'
import { resource } from './objects.ts'
import type { Sent } from './objects.ts'
import { ConfigMaps, ServiceMonitors, StatefulSets } from './resources.ts'

let server: Awaited<ReturnType<typeof startServerWithWidgets>>
let client: KubeClient
const codes: string[] = []
before(async () => {
  server = await startServerWithWidgets()
  client = server.connect({ onRequest: (verb, code) => void codes.push(`${verb} ${code}`) })
})
after(() => server.stop())

const configMap = (name: string, data: Record<string, string>): Sent<ConfigMap> => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'default' },
  data,
})

test('what is not there is null, and deleting it is no error', async () => {
  const ref = { namespace: 'default', name: 'absent' }
  assert.equal(await client.get(ConfigMaps, ref), null)
  assert.equal(await client.delete(ConfigMaps, ref), false)
})

test('an apply owns the fields it gave: it removes those it no longer gives, and leaves those of others', async () => {
  const ref = { namespace: 'default', name: 'owned' }
  await client.apply(ConfigMaps, configMap('owned', { ours: '1', old: '1' }))
  await client.apply(ConfigMaps, configMap('owned', { theirs: '1' }), { fieldManager: 'somebody' })
  const now = await client.apply(ConfigMaps, configMap('owned', { ours: '2' }))
  assert.deepEqual(now.data, { ours: '2', theirs: '1' })
  assert.deepEqual((await client.get(ConfigMaps, ref))?.data, { ours: '2', theirs: '1' })
})

test('without force a field of another manager is a conflict that names it', async () => {
  await client.apply(ConfigMaps, configMap('contested', { field: 'theirs' }), { fieldManager: 'somebody' })
  await assert.rejects(
    client.apply(ConfigMaps, configMap('contested', { field: 'ours' }), { force: false }),
    (error) => isKubeError(error, 'Conflict') && error.status === 409 && error.message.includes('somebody'),
  )
  const taken = await client.apply(ConfigMaps, configMap('contested', { field: 'ours' }))
  assert.equal(taken.data?.['field'], 'ours')
})

test('a status is applied beside the spec, and neither touches the other', async () => {
  await client.apply(Widgets, widget('with-status', 'one'))
  const ref = { namespace: 'default', name: 'with-status' }
  await client.patchStatus(Widgets, ref, { text: 'seen' })
  const changed = await client.apply(Widgets, widget('with-status', 'two'))
  assert.equal(changed.spec.text, 'two')
  assert.equal(changed.status?.text, 'seen')
  assert.equal(changed.metadata.generation, 2)
  const emptied = await client.patchStatus(Widgets, ref, { observedGeneration: 2 })
  assert.equal(emptied.status?.text, undefined)
})

test('a refusal carries the reason and the words of the rule', async () => {
  await assert.rejects(
    client.apply(Widgets, widget('refused', 'forbidden')),
    (error) => isKubeError(error, 'Invalid') && error.message.includes('text must not be "forbidden"'),
  )
  assert.ok(codes.includes('apply 422'))
})

test('a stale version is a conflict', async () => {
  const made = await client.apply(ConfigMaps, configMap('stale', { a: '1' }))
  await client.merge(ConfigMaps, { namespace: 'default', name: 'stale' }, { data: { a: '2' } })
  await assert.rejects(client.replace(ConfigMaps, made), (error) => isKubeError(error, 'Conflict'))
  await assert.rejects(client.create(ConfigMaps, configMap('stale', {})), (error) =>
    isKubeError(error, 'AlreadyExists'),
  )
})

test('a list longer than a page comes whole, and each item says what it is', async () => {
  await Promise.all(
    Array.from({ length: 520 }, (_, at) => client.apply(ConfigMaps, configMap(`many-${at}`, {}))),
  )
  const earlier = codes.filter((code) => code === 'list 200').length
  const { items } = await client.list(ConfigMaps, { namespace: 'default' })
  assert.equal(items.filter(({ metadata }) => metadata.name.startsWith('many-')).length, 520)
  assert.ok(items.every(({ kind, apiVersion }) => kind === 'ConfigMap' && apiVersion === 'v1'))
  assert.ok(codes.filter((code) => code === 'list 200').length - earlier >= 2)
})

test('no two requests share a connection, so many large objects at once are no burden to one', async (t) => {
  const wire = await startWire(Number(new URL(server.access.server).port))
  t.after(() => wire.stop())
  const wired = server.connect({ access: { ...server.access, server: `https://127.0.0.1:${wire.port}` } })
  const { resourceVersion } = await wired.list(Widgets)
  const ending = new AbortController()
  const watching = (async () => {
    for await (const _ of wired.watch(Widgets, { resourceVersion, signal: ending.signal })) void _
  })()
  await eventually('the watch has one', () => wire.connections() === 1)
  const text = 'x'.repeat(900 * 1_024)
  const made = await Promise.all(
    Array.from({ length: 20 }, (_, at) => wired.create(ConfigMaps, configMap(`large-${at}`, { text }))),
  )
  assert.equal(made.length, 20)
  assert.ok(wire.connections() >= 2, `${wire.connections()} connections`)
  ending.abort()
  await assert.rejects(watching, (error) => isKubeError(error, 'Aborted'))
})

test('a watch tells what happened after its version, and ends with its signal', async () => {
  const { resourceVersion } = await client.list(Widgets)
  const ending = new AbortController()
  const seen: string[] = []
  const watching = (async () => {
    for await (const event of client.watch(Widgets, { resourceVersion, signal: ending.signal })) {
      if (event.type === 'BOOKMARK') continue
      seen.push(`${event.type} ${event.object.metadata.name}`)
      if (event.type === 'DELETED') break
    }
  })()
  await client.apply(Widgets, widget('watched'))
  await client.apply(Widgets, widget('watched', 'again'))
  await client.delete(Widgets, { namespace: 'default', name: 'watched' })
  await watching
  assert.deepEqual(seen, ['ADDED watched', 'MODIFIED watched', 'DELETED watched'])
  const endless = (async () => {
    for await (const _ of client.watch(Widgets, { resourceVersion, signal: ending.signal })) void _
  })()
  ending.abort()
  await assert.rejects(endless, (error) => isKubeError(error, 'Aborted'))
})

test('kinds that the server does not have are known to be absent', async () => {
  assert.equal(await client.serves(StatefulSets), true)
  assert.equal(await client.serves(ServiceMonitors), false)
  assert.equal(await client.serves(resource('apps/v1', 'Gadget', 'gadgets')), false)
})

test('a bound client sends nothing once its time is over', async () => {
  const ending = new AbortController()
  let isAllowed = true
  const bound = client.bind(ending.signal, () => isAllowed)
  await bound.apply(ConfigMaps, configMap('bound', { at: '1' }))
  isAllowed = false
  await assert.rejects(bound.apply(ConfigMaps, configMap('bound', { at: '2' })), (error) =>
    isKubeError(error, 'Aborted'),
  )
  isAllowed = true
  ending.abort()
  await assert.rejects(bound.delete(ConfigMaps, { namespace: 'default', name: 'bound' }), (error) =>
    isKubeError(error, 'Aborted'),
  )
  assert.equal((await client.get(ConfigMaps, { namespace: 'default', name: 'bound' }))?.data?.['at'], '1')
})

test('a server that cannot show the certificate of its cluster hears nothing', async () => {
  const credentials = async () => {
    const { headers, tls } = await server.access.credentials()
    return { headers, tls: { ...tls, ca: undefined } }
  }
  const stranger = server.connect({ access: { ...server.access, credentials } })
  await assert.rejects(
    stranger.get(ConfigMaps, { namespace: 'default', name: 'x' }),
    (error) => isKubeError(error, 'Unreachable') && /certificate/.test(error.message),
  )
})

test('a server that is away is an error of its own', async () => {
  const lost = server.connect({ access: { ...server.access, server: 'https://127.0.0.1:9' } })
  await assert.rejects(lost.get(ConfigMaps, { namespace: 'default', name: 'x' }), (error) =>
    isKubeError(error, 'Unreachable'),
  )
})
