import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { TestContext } from 'node:test'
import type { Event } from 'kubernetes-types/events/v1.d.ts'
import { composeOperator } from './compose.ts'
import { config } from './config.ts'
import type { KubeClient } from './runtime/client.ts'
import type { ControllerDefinition, ReconcileContext, ReconcileResult } from './runtime/controller.ts'
import type { Kind } from './runtime/kind.ts'
import { keyOf, resource } from './runtime/objects.ts'
import type { Ref } from './runtime/objects.ts'
import { ConfigMaps, Events, Leases } from './runtime/resources.ts'
import { eventually, quiet, startServerWithWidgets } from './testing/api-server.ts'
import { Widgets, reconcileWidget, widget, widgetCrd } from './testing/widgets.ts'
import type { Widget } from './testing/widgets.ts'

let server: Awaited<ReturnType<typeof startServerWithWidgets>>
let client: KubeClient
before(async () => {
  server = await startServerWithWidgets()
  client = server.connect()
})
after(() => server.stop())

type Reconcile = (ref: Ref, context: ReconcileContext<Widget>) => Promise<ReconcileResult | void>

function widgetKind(reconcile: Reconcile, more: Partial<ControllerDefinition<Widget>> = {}): Kind {
  const definition: ControllerDefinition<Widget> = { kind: Widgets, owns: [ConfigMaps], reconcile, ...more }
  return { crd: widgetCrd, createController: () => definition }
}

/** An operator in a namespace of its own, as its process would run it. */
async function startOperator(t: TestContext, namespace: string, kinds: readonly Kind[]) {
  await server.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } })
  const settings = config.load({
    ADMIN_PORT: '0',
    POD_NAMESPACE: namespace,
    WATCH_NAMESPACES: namespace,
    LEASE_DURATION_MS: '4000',
    LEASE_RENEW_MS: '500',
    API_TIMEOUT_MS: '3000',
  })
  const operator = composeOperator(settings, server.access, quiet, kinds)
  await operator.lifecycle.start()
  t.after(() => operator.lifecycle.stop())
  const admin = async (path: string) => fetch(`http://127.0.0.1:${operator.adminPort}${path}`)
  return {
    ...operator,
    stop: () => operator.lifecycle.stop(),
    admin,
    metrics: async () => (await admin('/metrics')).text(),
  }
}

const statusText = async (namespace: string, name: string) =>
  (await client.get(Widgets, { namespace, name }))?.status?.text

test('an object is brought to what it says, and kept there', async (t) => {
  const namespace = 'kept'
  const operator = await startOperator(t, namespace, [widgetKind(reconcileWidget)])
  await client.apply(Widgets, widget('a', 'one', namespace))
  const ref = { namespace, name: 'a' }
  const made = await eventually('the ConfigMap is made', () => client.get(ConfigMaps, ref))
  assert.equal(made.data?.['text'], 'one')
  await eventually('the status says so', async () => (await statusText(namespace, 'a')) === 'one')

  await client.apply(Widgets, widget('a', 'two', namespace))
  await eventually(
    'a change is followed',
    async () => (await client.get(ConfigMaps, ref))?.data?.['text'] === 'two',
  )
  await client.merge(ConfigMaps, ref, { data: { text: 'somebody else' } })
  await eventually(
    'what it owns is put right',
    async () => (await client.get(ConfigMaps, ref))?.data?.['text'] === 'two',
  )
  await client.delete(ConfigMaps, ref)
  await eventually('what it owns is made again', () => client.get(ConfigMaps, ref))

  const object = (await client.get(Widgets, ref))!
  const [condition] = object.status!.conditions!
  assert.equal(condition?.observedGeneration, 2)
  assert.equal((await operator.admin('/readyz')).status, 200)
  const metrics = await operator.metrics()
  for (const line of [
    /^wmoc_operator_reconcile_total\{kind="Widget",result="success"\} \d+$/m,
    /^wmoc_operator_reconcile_duration_seconds_count\{kind="Widget"\} \d+$/m,
    /^wmoc_operator_api_requests_total\{verb="apply",code="200"\} \d+$/m,
    /^wmoc_operator_queue_depth\{kind="Widget"\} \d+$/m,
    /^wmoc_operator_informer_objects\{kind="Widget"\} 1$/m,
    /^wmoc_operator_object_conditions\{kind="Widget",type="Ready",status="True",reason="Written",object_namespace="",object=""\} 1$/m,
    /^wmoc_operator_leader 1$/m,
  ]) {
    assert.match(metrics, line)
  }
})

test('the same news again is counted in one event; other news is another', async (t) => {
  const namespace = 'told'
  const kind = widgetKind(async (ref, context) => {
    if (context.object === null) return
    const say = (message: string) =>
      context.events.record(context.object!, { type: 'Warning', reason: 'Odd', action: 'Look', message })
    for (let count = 0; count < 3; count += 1) say('the same')
    say('another')
    for (let count = 0; count < 20; count += 1) say(`number ${count}`)
    await context.client.patchStatus(Widgets, ref, { text: 'told' })
  })
  await startOperator(t, namespace, [kind])
  await client.apply(Widgets, widget('a', 'one', namespace))
  const events = await eventually('they are written', async () => {
    const { items } = await client.list<Event>(Events, { namespace })
    return items.filter(({ regarding }) => regarding?.name === 'a').length >= 11 && items
  })
  const same = await eventually('it is counted', async () => {
    const { items } = await client.list<Event>(Events, { namespace })
    return items.find(({ note, series }) => note === 'the same' && (series?.count ?? 0) >= 3) ?? null
  })
  assert.equal(same.reason, 'Odd')
  assert.equal(same.regarding?.kind, 'Widget')
  assert.equal(events.filter(({ note }) => note === 'another').length, 1)
  // Ten different messages of one reason are told one by one, the rest counted.
  assert.ok(events.length <= 12, `${events.length} events`)
})

test('an object that always fails costs few requests, and the others go on', async (t) => {
  const namespace = 'failing'
  const turns: string[] = []
  let requests = 0
  const kind = widgetKind(async (ref, context) => {
    turns.push(ref.name)
    if (context.object?.spec.text !== 'bad') return reconcileWidget(ref, context)
    requests += 1
    // Writing a status wakes up its own controller: that must not undo the back-off.
    await context.client.patchStatus(Widgets, ref, { text: `tried ${turns.length}` })
    throw new Error('always')
  })
  const operator = await startOperator(t, namespace, [kind])
  await client.apply(Widgets, widget('bad', 'bad', namespace))
  await client.apply(Widgets, widget('good', 'fine', namespace))
  await eventually('the good one is done', async () => (await statusText(namespace, 'good')) === 'fine')
  await new Promise((resolve) => setTimeout(resolve, 4_000))
  // After 0, 0.25, 0.75, 1.75, 3.75 s at the earliest.
  assert.ok(requests >= 2 && requests <= 6, `${requests} tries`)
  assert.match(await operator.metrics(), /^wmoc_operator_failing_objects\{kind="Widget"\} 1$/m)
  await client.apply(Widgets, widget('bad', 'mended', namespace))
  await eventually(
    'mending it needs no patience',
    async () => (await statusText(namespace, 'bad')) === 'mended',
    10_000,
  )
  assert.match(await operator.metrics(), /^wmoc_operator_failing_objects\{kind="Widget"\} 0$/m)
})

test('of two operators one works; the other takes over at once when the first ends, and nothing is done by both', async (t) => {
  const namespace = 'two'
  const inHand = new Map<string, string>()
  const clashes: string[] = []
  const by = (name: string) =>
    widgetKind(async (ref, context) => {
      const key = keyOf(ref)
      if (inHand.has(key)) clashes.push(`${key}: ${inHand.get(key)} and ${name}`)
      inHand.set(key, name)
      await new Promise((resolve) => setTimeout(resolve, 30))
      await reconcileWidget(ref, context).finally(() => inHand.delete(key))
      return { requeueAfterMs: 50 }
    })
  const first = await startOperator(t, namespace, [by('first')])
  await eventually('the first leads', first.isLeader)
  const second = await startOperator(t, namespace, [by('second')])
  for (let count = 0; count < 10; count += 1) {
    await client.apply(Widgets, widget(`w-${count}`, 'one', namespace))
  }
  await eventually('all are done', async () => {
    const { items } = await client.list(Widgets, { namespace })
    return items.every(({ status }) => status?.text === 'one')
  })
  assert.equal(second.isLeader(), false)
  await first.stop()
  await eventually('the second leads', second.isLeader)
  await client.apply(Widgets, widget('w-0', 'two', namespace))
  await eventually('it works', async () => (await statusText(namespace, 'w-0')) === 'two')
  assert.deepEqual(clashes, [])
})

test('a turn that takes too long ends, and is tried again', async (t) => {
  const namespace = 'slow'
  let turns = 0
  const kind = widgetKind(
    async (ref, context) => {
      turns += 1
      if (turns > 1) return reconcileWidget(ref, context)
      await new Promise((_, reject) =>
        context.signal.addEventListener('abort', () => reject(new Error('too long'))),
      )
    },
    { timeoutMs: 300 },
  )
  const operator = await startOperator(t, namespace, [kind])
  await client.apply(Widgets, widget('a', 'late', namespace))
  await eventually('it is done in the end', async () => (await statusText(namespace, 'a')) === 'late')
  assert.match(
    await operator.metrics(),
    /^wmoc_operator_reconcile_total\{kind="Widget",result="timeout"\} 1$/m,
  )
})

test('a kind that the server does not have keeps the process unready, and the others work', async (t) => {
  const namespace = 'absent'
  const Gadgets = resource<Widget>('test.wmoc.online/v1alpha1', 'Gadget', 'gadgets')
  const gadgets: Kind = {
    crd: widgetCrd,
    createController: () => ({ kind: Gadgets, reconcile: () => Promise.resolve() }),
  }
  const operator = await startOperator(t, namespace, [gadgets, widgetKind(reconcileWidget)])
  await client.apply(Widgets, widget('a', 'one', namespace))
  await eventually('the other kind works', async () => (await statusText(namespace, 'a')) === 'one')
  assert.equal((await operator.admin('/readyz')).status, 503)
  assert.equal((await operator.admin('/healthz')).status, 200)
})

test('it may be stopped twice, and while it starts or asks for its lease', async () => {
  const namespace = 'ended'
  await server.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } })
  const settings = config.load({ ADMIN_PORT: '0', POD_NAMESPACE: namespace, WATCH_NAMESPACES: namespace })
  const compose = () =>
    composeOperator(settings, server.access, quiet, [widgetKind(reconcileWidget)]).lifecycle
  const early = compose()
  const starting = assert.rejects(early.start(), /stopped before/)
  await Promise.all([early.stop(), starting])
  for (const waitMs of [0, 5, 10, 20, 40]) {
    const lifecycle = compose()
    await lifecycle.start()
    await new Promise((resolve) => setTimeout(resolve, waitMs))
    await Promise.all([lifecycle.stop(), lifecycle.stop()])
    await lifecycle.stop()
    const lease = await client.get(Leases, { namespace, name: settings.LEASE_NAME })
    assert.ok(!lease?.spec?.holderIdentity, `held after ${waitMs} ms`)
  }
})

test('it goes on after a restart of the API server', async (t) => {
  const namespace = 'restarted'
  await startOperator(t, namespace, [widgetKind(reconcileWidget)])
  await client.apply(Widgets, widget('a', 'one', namespace))
  await eventually('it works', async () => (await statusText(namespace, 'a')) === 'one')
  await server.restart()
  await eventually('the server is written to', () =>
    client.apply(Widgets, widget('a', 'two', namespace)).catch(() => null),
  )
  await eventually('it works again', async () => (await statusText(namespace, 'a').catch(() => '')) === 'two')
})
