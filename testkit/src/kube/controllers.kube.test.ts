import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { startControllers } from './controllers.ts'
import type { TestControllers } from './controllers.ts'

const gateway = (image: string, replicas: number) => ({
  apiVersion: 'apps/v1',
  kind: 'StatefulSet',
  metadata: { name: 'gateway', namespace: 'default' },
  spec: {
    serviceName: 'gateway',
    replicas,
    selector: { matchLabels: { app: 'gateway' } },
    template: {
      metadata: { labels: { app: 'gateway' } },
      spec: { containers: [{ name: 'gateway', image }] },
    },
  },
})
interface StatefulSet {
  readonly status: {
    readonly readyReplicas?: number
    readonly updatedReplicas?: number
    readonly replicas: number
  }
}

suite('controllers over nodes without containers', () => {
  let cluster: TestControllers
  before(async () => {
    cluster = await startControllers({
      nodes: 2,
      behave: ({ spec }) => ({ isReady: !spec.containers.some(({ image }) => image.endsWith(':broken')) }),
    })
  })
  after(() => cluster.stop())
  const ready = (count: number) =>
    cluster.waitFor<StatefulSet>(
      ['statefulset', 'gateway'],
      ({ status }) => (status.readyReplicas ?? 0) === count && status.replicas === count,
    )

  test('bring a StatefulSet up and down, and give it endpoints', async () => {
    await cluster.apply([
      gateway('a:1', 3),
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'gateway', namespace: 'default' },
        spec: { clusterIP: 'None', selector: { app: 'gateway' }, ports: [{ port: 80 }] },
      },
    ])
    await ready(3)
    await cluster.waitFor<{ items: { endpoints: unknown[] }[] }>(
      ['endpointslices', '-l', 'kubernetes.io/service-name=gateway'],
      ({ items }) => items[0]?.endpoints.length === 3,
    )
    await cluster.kubectl('scale', 'statefulset/gateway', '--replicas=1')
    await ready(1)
  })

  test('stop a rollout at a pod that does not get ready', async () => {
    await cluster.apply(gateway('a:1', 3), '--force-conflicts')
    await ready(3)
    await cluster.apply(gateway('a:broken', 3))
    const { status } = await cluster.waitFor<StatefulSet>(
      ['statefulset', 'gateway'],
      (found) => found.status.updatedReplicas === 1 && found.status.readyReplicas === 2,
    )
    assert.equal(status.replicas, 3)
  })

  test('run a Job to its end', async () => {
    await cluster.kubectl('create', 'job', 'once', '--image=a:1')
    await cluster.kubectl('wait', '--for=condition=Complete', 'job/once', '--timeout=60s')
  })
})
