import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { startControllers } from '@wmoc/testkit/kube/controllers'
import type { TestControllers } from '@wmoc/testkit/kube/controllers'
import { crdManifest } from '#src/crds/definition.ts'
import { startOperator } from '#src/testing/operator.ts'
import type { TestOperator } from '#src/testing/operator.ts'
import { createTunnelGatewayController } from './reconcile.ts'
import { crd } from './schema.ts'
import type { TunnelGatewayStatus } from './schema.ts'
import { createShardClient } from './shard-client.ts'
import { startRealShards } from './testing/real-shards.ts'

interface Found {
  readonly metadata: { readonly finalizers?: string[] }
  readonly status?: TunnelGatewayStatus
}
interface Pods {
  readonly items: readonly {
    readonly metadata: { readonly name: string; readonly uid: string }
    readonly spec: { readonly containers: readonly { readonly image: string }[] }
  }[]
}

const reasonOf = ({ status }: Found, type: string) =>
  status?.conditions?.find((condition) => condition.type === type)?.reason

suite('a TunnelGateway with real shards, real controllers of Kubernetes and steady requests', () => {
  let cluster: TestControllers
  let shards: Awaited<ReturnType<typeof startRealShards>>
  let operator: TestOperator
  let fleet: Awaited<ReturnType<typeof shards.startFleet>>
  /** Most shards that were away at once while the operator was at work. */
  let mostAway = 0
  const timers: NodeJS.Timeout[] = []

  const kind = () => ({
    crd,
    createController: () => createTunnelGatewayController(createShardClient(shards.addressOf)),
  })
  const gateway = (replicas: number, tag: string, rollout: object = {}) => ({
    apiVersion: 'wmoc.online/v1alpha1',
    kind: 'TunnelGateway',
    metadata: { name: 'gw', namespace: 'default' },
    spec: {
      replicas,
      image: { repository: 'example.org/gateway', tag },
      redis: { secretKeyRef: { name: 'redis' } },
      drain: { timeout: '60s', waitReconnect: '10s', evictRate: 200 },
      rollout: {
        progressDeadline: '5s',
        gate: { window: '1s', maxErrorPercent: 5, maxReconnectSeconds: 30 },
        ...rollout,
      },
    },
  })
  const settled = (isGood: (found: Found) => boolean) =>
    cluster.waitFor<Found>(
      ['tgw', 'gw'],
      (found) => reasonOf(found, 'Progressing') === 'Complete' && isGood(found),
      120_000,
    )
  const pods = () => cluster.get<Pods>('pods', '-l', 'app.kubernetes.io/instance=gw')
  /** The fake kubelet removes a pod at once; its process ends a moment later. */
  async function bury(): Promise<void> {
    const listedAt = performance.now()
    const { items } = await pods()
    shards.keepOnly(new Set(items.map(({ metadata }) => metadata.uid)), listedAt)
  }
  const reasons = async () => {
    const { items } = await cluster.get<{ items: { reason: string; regarding: { name: string } }[] }>(
      'events.events.k8s.io',
    )
    return items.filter(({ regarding }) => regarding.name === 'gw').map(({ reason }) => reason)
  }

  before(async () => {
    shards = await startRealShards()
    cluster = await startControllers({ nodes: 2, behave: shards.behave })
    await cluster.apply(crdManifest(crd))
    await cluster.kubectl('wait', '--for=condition=Established', 'crd/tunnelgateways.wmoc.online')
    operator = await startOperator(cluster.kubeconfig, [kind()])
    await cluster.apply(gateway(3, '1.0.0'))
    await settled(({ status }) => status?.readyReplicas === 3)
    fleet = await shards.startFleet(30)
    timers.push(
      setInterval(() => (mostAway = Math.max(mostAway, shards.away())), 50),
      setInterval(() => void bury(), 2_000),
    )
    for (const timer of timers) timer.unref()
  })
  after(async () => {
    timers.forEach(clearInterval)
    await operator?.stop()
    await shards?.stop()
    await cluster?.stop()
  })

  function nothingFailed(): void {
    assert.deepEqual(fleet.failed, [])
    assert.ok(fleet.answered() > 0)
  }

  test('a new version replaces every shard, one at a time, and no request fails', async () => {
    const earlier = await pods()
    shards.expectReady()
    mostAway = 0
    await cluster.apply(gateway(3, '1.1.0'))
    const { status } = await settled(({ status: now }) => now?.currentVersion === '1.1.0')
    assert.equal(status?.updatedReplicas, 3)
    assert.equal(mostAway, 1)
    const later = await pods()
    assert.ok(later.items.every(({ spec }) => spec.containers[0]?.image === 'example.org/gateway:1.1.0'))
    const uids = new Set(earlier.items.map(({ metadata }) => metadata.uid))
    assert.ok(later.items.every(({ metadata }) => !uids.has(metadata.uid)))
    assert.equal(await shards.tunnels(), 30)
    nothingFailed()
    const told = await reasons()
    for (const reason of [
      'RolloutStarted',
      'ShardDrainStarted',
      'ShardDrainCompleted',
      'RolloutStepCompleted',
      'RolloutCompleted',
    ])
      assert.ok(told.includes(reason), `${reason} is missing in ${told.join(' ')}`)
  })

  test('kubectl scale takes shards away when they are empty, and brings them back', async () => {
    await cluster.kubectl('scale', 'tgw/gw', '--replicas=1')
    await settled(({ status }) => status?.replicas === 1 && status.shards?.length === 1)
    assert.equal(await shards.tunnels(), 30)
    nothingFailed()
    await cluster.kubectl('scale', 'tgw/gw', '--replicas=3')
    const { status } = await settled((found) => found.status?.readyReplicas === 3)
    assert.equal(status?.conditions?.find(({ type }) => type === 'RingConsistent')?.reason, 'SameRing')
    nothingFailed()
  })

  test('a version comes in steps, as many shards at once as may be away, and no request fails', async () => {
    const stepped = (pause: string) => ({
      strategy: 'Progressive',
      maxUnavailable: 2,
      steps: [
        { shards: 1, pause },
        { shards: '50%', pause: '1s' },
      ],
    })
    await cluster.apply(gateway(4, '1.1.0'), '--force-conflicts')
    await settled(({ status }) => status?.readyReplicas === 4)
    shards.expectReady()
    mostAway = 0
    await cluster.apply(gateway(4, '1.2.0', stepped('1h')), '--force-conflicts')
    const { status } = await cluster.waitFor<Found>(
      ['tgw', 'gw'],
      (found) => found.status?.rollout?.message?.startsWith('step pauses until') ?? false,
      120_000,
    )
    assert.deepEqual([status?.rollout?.step, status?.updatedReplicas, mostAway], [1, 1, 1])
    await cluster.apply(gateway(4, '1.2.0', stepped('1s')), '--force-conflicts')
    await settled((found) => found.status?.currentVersion === '1.2.0')
    assert.equal(mostAway, 2)
    assert.equal(await shards.tunnels(), 30)
    nothingFailed()
    await cluster.apply(gateway(3, '1.2.0'), '--force-conflicts')
    await settled((found) => found.status?.replicas === 3 && found.status.shards?.length === 3)
    nothingFailed()
  })

  test('K4: a version that does not start is taken back, whoever operates, and the other shards never notice', async () => {
    const earlier = await pods()
    await cluster.apply(gateway(3, 'broken'), '--force-conflicts')
    await cluster.waitFor<Found>(['tgw', 'gw'], (found) => reasonOf(found, 'Progressing') === 'RollingOut')
    await operator.stop()
    operator = await startOperator(cluster.kubeconfig, [kind()])
    const { status } = await cluster.waitFor<Found>(
      ['tgw', 'gw'],
      (found) => reasonOf(found, 'Progressing') === 'RolledBack' && found.status?.readyReplicas === 3,
      120_000,
    )
    assert.equal(status?.currentVersion, '1.2.0')
    const kept = (await pods()).items.filter(({ metadata }) =>
      earlier.items.some((other) => other.metadata.uid === metadata.uid),
    )
    assert.deepEqual(kept.map(({ metadata }) => metadata.name).toSorted(), ['gw-0', 'gw-1'])
    assert.ok((await reasons()).includes('RolloutAborted'))
    nothingFailed()
  })

  test('a person drains a shard by an annotation, and takes it back', async () => {
    await cluster.apply(gateway(3, '1.2.0'), '--force-conflicts')
    await settled(() => true)
    await cluster.kubectl('annotate', 'pod', 'gw-1', 'wmoc.online/drain=true')
    await cluster.waitFor<Found>(
      ['tgw', 'gw'],
      ({ status }) => status?.shards?.find(({ name }) => name === 'gw-1')?.state === 'Drained',
    )
    await cluster.kubectl('annotate', 'pod', 'gw-1', 'wmoc.online/drain-')
    await settled(({ status }) => status?.shards?.find(({ name }) => name === 'gw-1')?.state === 'Ready')
    nothingFailed()
  })

  test('a version that loses the API is taken back, though it is ready and nobody asked it for anything', async () => {
    nothingFailed()
    await shards.stopFleet()
    const gate = { window: '20s', maxErrorPercent: 5, maxReconnectSeconds: 30 }
    await cluster.apply(gateway(3, 'deaf', { gate }), '--force-conflicts')
    const { status } = await cluster.waitFor<Found>(
      ['tgw', 'gw'],
      (found) => reasonOf(found, 'Progressing') === 'RolledBack' && found.status?.readyReplicas === 3,
      180_000,
    )
    assert.equal(status?.currentVersion, '1.2.0')
    const { items } = await cluster.get<{ items: { reason: string; note: string }[] }>('events.events.k8s.io')
    const aborted = items.filter(({ reason }) => reason === 'RolloutAborted').map(({ note }) => note)
    assert.ok(
      aborted.some((note) => note.includes('gw-2 does not reach the API')),
      aborted.join('\n'),
    )
  })

  test('deleted, it goes once its shards are drained', async () => {
    await cluster.kubectl('delete', 'tgw', 'gw', '--timeout=60s')
    await cluster.waitFor<{ items: unknown[] }>(
      ['statefulsets,services', '-l', 'app.kubernetes.io/instance=gw'],
      ({ items }) => items.length === 0,
    )
  })
})
