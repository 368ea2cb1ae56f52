import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { StatefulSet } from 'kubernetes-types/apps/v1.d.ts'
import type { Pod } from 'kubernetes-types/core/v1.d.ts'
import type { ReconcileContext } from '#src/runtime/controller.ts'
import type { Resource, Stored } from '#src/runtime/objects.ts'
import { Pods, StatefulSets } from '#src/runtime/resources.ts'
import { observe } from './observe.ts'
import type { ShardClient } from './shard-client.ts'
import { reportOf } from './testing/sample.ts'
import type { ShardReport } from './world.ts'

interface Seen {
  ready: 'True' | 'False'
  isContainerReady: boolean
  isDeleted?: boolean
  disruption?: string
  gates?: { conditionType: string }[]
}

const set = {
  apiVersion: 'apps/v1',
  kind: 'StatefulSet',
  metadata: { name: 'gw', namespace: 'edge', uid: 'u-1', resourceVersion: '1' },
} as Stored<StatefulSet>

function podOf({ ready, isContainerReady, isDeleted = false, disruption, gates = [] }: Seen) {
  const owner = { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'gw', uid: 'u-1', controller: true }
  const conditions = [
    { type: 'Ready', status: ready },
    ...(disruption === undefined ? [] : [{ type: 'DisruptionTarget', status: 'True', reason: disruption }]),
  ]
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'gw-2',
      namespace: 'edge',
      uid: 'p-2',
      resourceVersion: '1',
      ownerReferences: [owner],
      ...(isDeleted ? { deletionTimestamp: '2026-11-21T12:00:00Z' } : {}),
    },
    spec: { nodeName: 'node-2', readinessGates: gates, containers: [{ name: 'gateway', image: 'a:1' }] },
    status: {
      phase: 'Running',
      conditions,
      containerStatuses: [{ name: 'gateway', ready: isContainerReady, state: { running: {} } }],
    },
  } as unknown as Stored<Pod>
}

async function lookAt(seen: Seen, report: ShardReport | null = null) {
  const pod = podOf(seen)
  const objects = new Map<Resource, readonly Stored[]>([
    [StatefulSets, [set]],
    [Pods, [pod]],
  ])
  const cache = (kind: Resource) => ({
    get: () => objects.get(kind)?.[0],
    list: () => objects.get(kind) ?? [],
    ownedBy: () => [],
  })
  const context = { cache, signal: AbortSignal.timeout(60_000) } as unknown as ReconcileContext<unknown>
  const client = { report: () => Promise.resolve(report) } as unknown as ShardClient
  const { world } = await observe({ namespace: 'edge', name: 'gw' }, context, client)
  return world.shards[0]!
}

suite('a shard', () => {
  test('is lost when only the node controller calls its pod not ready, and it does not answer', async () => {
    const lost = await lookAt({ ready: 'False', isContainerReady: true })
    assert.equal(lost.isLost, true)
    assert.match(lost.trouble ?? '', /^node-2 is not heard of.*kubectl delete pod gw-2 --force$/)
    assert.equal((await lookAt({ ready: 'False', isContainerReady: true }, reportOf())).isLost, false)
  })
  test('is lost when its pod is deleted because of the node, and nobody confirms it', async () => {
    const seen = { ready: 'False', isContainerReady: true, isDeleted: true } as const
    assert.equal((await lookAt({ ...seen, disruption: 'DeletionByTaintManager' })).isLost, true)
    assert.equal((await lookAt({ ...seen, disruption: 'EvictionByEvictionAPI' })).isLost, false)
  })
  test('is not lost when its own probe fails, it serves, or something else makes it ready', async () => {
    assert.equal((await lookAt({ ready: 'False', isContainerReady: false })).isLost, false)
    assert.equal((await lookAt({ ready: 'True', isContainerReady: true })).isLost, false)
    const gates = [{ conditionType: 'example.org/gate' }]
    assert.equal((await lookAt({ ready: 'False', isContainerReady: true, gates })).isLost, false)
  })
})
