import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { plan } from './plan.ts'
import { statusOf, statusOfProblem } from './status.ts'
import { NOW, shardOf, specOf, worldOf } from './testing/sample.ts'
import type { World } from './world.ts'

/** What kstatus makes of the conditions: `Stalled` before `Ready`. */
function told(
  world: World,
  more: { spec?: object; wanted?: string; refused?: string; isHeld?: boolean } = {},
) {
  const { refused = null, wanted = 'good', isHeld = false } = more
  const spec = specOf({ replicas: world.shards.length, ...more.spec })
  const input = { spec, wanted, world, nowMs: NOW, isHeld, isDeleting: false, rejectedByPeople: undefined }
  const { conditions = [] } = statusOf({
    name: 'gw',
    generation: 4,
    plan: plan(input),
    targetVersion: '1.2.3',
    refused,
    recommendation: null,
    before: undefined,
    ...input,
  })
  return read(conditions)
}

function read(conditions: readonly { type: string; status: string; reason: string }[]): string {
  const [ready, stalled] = ['Ready', 'Stalled'].map((type) => conditions.find((one) => one.type === type)!)
  if (stalled!.status === 'True') return `stalled ${stalled!.reason}`
  return `${ready!.status === 'True' ? 'ready' : 'waits'} ${ready!.reason}`
}

const all = [shardOf(0), shardOf(1), shardOf(2)]
const starting = shardOf(2, { isReady: false, isRunning: false, report: null })

suite('who waits for a TunnelGateway without knowing it', () => {
  test('goes on when all shards serve what the spec asks for', () => {
    assert.equal(told(worldOf(all)), 'ready ShardsReady')
    assert.equal(told(worldOf([])), 'ready ShardsReady')
  })
  test('waits while shards are made, start, drain or are replaced', () => {
    assert.equal(told({ set: null, shards: [], revisions: [] }), 'waits Creating')
    assert.equal(told(worldOf([shardOf(0), shardOf(1), starting])), 'waits WaitingForShards')
    assert.equal(told(worldOf(all), { spec: { replicas: 2 } }), 'waits ScalingIn')
    assert.equal(told(worldOf(all, { template: 'next' }), { wanted: 'next' }), 'waits RollingOut')
    const mark = { reason: 'Manual' as const, startedAtMs: NOW, tunnels: 100, fleetTunnels: 300 }
    const drained = shardOf(2, { mark, isDrainAsked: true, isReady: false })
    assert.equal(told(worldOf([shardOf(0), shardOf(1), drained])), 'waits TooFewShards')
  })
  test('waits where a person holds it', () => {
    assert.equal(told(worldOf(all), { isHeld: true }), 'waits Held')
    const paused = worldOf(all, { template: 'next' })
    assert.equal(told(paused, { wanted: 'next', spec: { paused: true } }), 'waits Paused')
  })
  test('is told at once of what only another spec can mend', () => {
    assert.equal(told(worldOf(all), { refused: 'quota exceeded' }), 'stalled ApplyRefused')
    assert.equal(told(worldOf(all, { rejected: ['next'] }), { wanted: 'next' }), 'stalled RolledBack')
    const problem = { reason: 'InvalidSpec', message: 'spec.replicas: too small' } as const
    assert.equal(read(statusOfProblem(problem, undefined, 4, NOW).conditions ?? []), 'stalled InvalidSpec')
  })
})
