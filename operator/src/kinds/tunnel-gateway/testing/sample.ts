/** Small worlds for tests of the pure parts. */
import type { Stored } from '#src/runtime/objects.ts'
import { TunnelGatewaySpec } from '#src/kinds/tunnel-gateway/schema.ts'
import type { Shard, ShardReport, ShardSet, World } from '#src/kinds/tunnel-gateway/world.ts'

export const NOW = Date.parse('2026-11-21T12:00:00Z')

export function specOf(more: object = {}): TunnelGatewaySpec {
  return TunnelGatewaySpec.parse({
    replicas: 3,
    image: { repository: 'example.org/gateway', tag: '1.2.3' },
    redis: { secretKeyRef: { name: 'redis' } },
    ...more,
  })
}

export const owner: Stored = {
  apiVersion: 'wmoc.online/v1alpha1',
  kind: 'TunnelGateway',
  metadata: { name: 'gw', namespace: 'edge', uid: 'u-1', resourceVersion: '7' },
}

/** Of a shard that failed to reach the API in the newest `away` slices of the last minute. */
export function apiCalls(away: number): ShardReport['apiCalls'] {
  const calls = Array.from({ length: 12 }, () => 10)
  return { calls, failed: calls.map((all, age) => (age < away ? all : 0)) }
}

export function reportOf(more: Partial<ShardReport> = {}): ShardReport {
  return {
    version: '1.2.3',
    tunnels: 100,
    inFlight: 0,
    isDraining: false,
    isEnding: false,
    drainedAtMs: null,
    totals: { requests: 1_000, failed: 0, offline: 50, registrations: 100, refused: 0 },
    apiCalls: apiCalls(0),
    epoch: 3,
    serving: ['gw-0', 'gw-1', 'gw-2'],
    ...more,
  }
}

export function shardOf(ordinal: number, more: Partial<Shard> = {}): Shard {
  return {
    name: `gw-${ordinal}`,
    ordinal,
    uid: `p-${ordinal}`,
    resourceVersion: '1',
    createdAtMs: NOW - 3_600_000,
    isReady: true,
    readySinceMs: NOW - 3_600_000,
    isTerminating: false,
    isRunning: true,
    template: 'good',
    version: '1.2.3',
    isDrainAsked: false,
    mark: null,
    isLost: false,
    trouble: null,
    report: reportOf(),
    ...more,
  }
}

export function setOf(more: Partial<ShardSet> = {}): ShardSet {
  return {
    uid: 's-1',
    resourceVersion: '5',
    replicas: 3,
    partition: 0,
    isObserved: true,
    template: 'good',
    completed: ['good'],
    rejected: [],
    step: null,
    ...more,
  }
}

export function worldOf(shards: readonly Shard[], set: Partial<ShardSet> = {}): World {
  const revisions = ['good', 'next'].map((hash, number) => ({ hash, number, template: {} }))
  return { set: setOf({ replicas: shards.length, ...set }), shards, revisions }
}
