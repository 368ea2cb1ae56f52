import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { suite, test } from 'node:test'
import { REASONS } from './actions.ts'
import { autoscale } from './autoscale.ts'
import { check } from './checks.ts'
import { drainState } from './drain.ts'
import { plan } from './plan.ts'
import { judge, roomInStep, shareOf } from './rollout.ts'
import { statusOf } from './status.ts'
import type { StatusInput } from './status.ts'
import { apiCalls, NOW, reportOf, shardOf, specOf, worldOf } from './testing/sample.ts'
import type { Shard, World } from './world.ts'

const gated = specOf({ rollout: { gate: { maxErrorPercent: 2, maxReconnectSeconds: 60, window: '1m' } } })
const target = { template: 'next', isKnownGood: false, isRolledBack: false }
const updated = (more: Partial<Shard> = {}) =>
  shardOf(2, { template: 'next', readySinceMs: NOW - 120_000, ...more })
const old = [shardOf(0), shardOf(1)]
const totals = (failed: number, offline = 50) => ({
  totals: { requests: 1_000, failed, offline, registrations: 100, refused: 0 },
})

suite('the gate of a rollout', () => {
  const verdict = (shard: Shard, set = {}) => judge(worldOf([...old, shard], set), gated, target, NOW).kind
  test('passes a shard that does as well as the others', () => {
    assert.equal(verdict(updated()), 'pass')
    assert.equal(verdict(updated({ report: reportOf(totals(20)) })), 'pass')
  })
  test('fails one that does worse, and not because all have devices that are offline', () => {
    assert.equal(verdict(updated({ report: reportOf(totals(60)) })), 'fail')
    const offline = [
      shardOf(0, { report: reportOf(totals(0, 300)) }),
      shardOf(1, { report: reportOf(totals(0, 300)) }),
    ]
    const same = updated({ report: reportOf(totals(0, 300)) })
    assert.equal(judge(worldOf([...offline, same]), gated, target, NOW).kind, 'pass')
  })
  test('fails one that refuses its devices', () => {
    const refusing = { totals: { requests: 0, failed: 0, offline: 0, registrations: 0, refused: 100 } }
    assert.equal(verdict(updated({ report: reportOf(refusing) })), 'fail')
  })
  test('fails one that does not reach the API while the others do, and says so', () => {
    const cutOff = updated({ report: reportOf({ apiCalls: apiCalls(4) }) })
    const found = judge(worldOf([...old, cutOff]), gated, target, NOW)
    assert.equal(found.kind, 'fail')
    assert.match(found.kind === 'fail' ? found.message : '', /gw-2 does not reach the API/)
    assert.equal(verdict(updated({ report: reportOf({ apiCalls: apiCalls(1) }) })), 'wait')
    assert.equal(verdict(updated({ report: reportOf({ apiCalls: null }) })), 'pass')
  })
  test('waits while the API is away for all, and takes nothing for a failure that may come of it', () => {
    const away = { report: reportOf({ apiCalls: apiCalls(2) }) }
    const others = [shardOf(0), shardOf(1, away)]
    const judged = (shard: Shard, set = {}) => judge(worldOf([...others, shard], set), gated, target, NOW)
    for (const [shard, set] of [
      [updated({ report: reportOf({ apiCalls: apiCalls(12) }) }), {}],
      [updated({ isReady: false, readySinceMs: NOW - 3_600_000, report: null }), {}],
      [updated(), { step: { atMs: NOW - 90_000, fleetTunnels: 900 } }],
    ] as const) {
      const found = judged(shard, set)
      assert.equal(found.kind, 'wait')
      assert.match(found.kind === 'wait' ? found.message : '', /gw-1 .*reach(ed)? the API/)
    }
    // A version that reaches it while the others did not always is not held.
    assert.equal(judged(updated()).kind, 'pass')
  })
  test('does not judge by a handful of requests', () => {
    const few = { totals: { requests: 3, failed: 3, offline: 0, registrations: 1, refused: 0 } }
    assert.equal(verdict(updated({ report: reportOf(few) })), 'pass')
  })
  test('waits for the window, for tunnels that are not back, and for a shard that says nothing', () => {
    assert.equal(verdict(updated({ readySinceMs: NOW - 30_000 })), 'wait')
    assert.equal(verdict(updated({ report: null })), 'wait')
    const step = { atMs: NOW - 30_000, fleetTunnels: 900 }
    assert.equal(verdict(updated({ readySinceMs: NOW - 30_000 }), { step }), 'wait')
    assert.equal(verdict(updated(), { step: { ...step, atMs: NOW - 61_000 } }), 'fail')
  })
  test('fails a shard that is not ready in time, and says why', () => {
    const late = updated({ isReady: false, readySinceMs: NOW - 601_000, trouble: 'ImagePullBackOff' })
    const found = judge(worldOf([...old, late]), specOf(), target, NOW)
    assert.equal(found.kind, 'fail')
    assert.match(found.kind === 'fail' ? found.message : '', /gw-2 .*10m.*ImagePullBackOff/)
  })
  test('counts steps by number or share, never less than one shard', () => {
    assert.equal(shareOf('50%', 5), 3)
    assert.equal(shareOf('0%', 5), 1)
    assert.equal(shareOf(9, 5), 5)
    const stepped = specOf({
      rollout: { strategy: 'Progressive', steps: [{ shards: 1 }, { shards: '50%' }] },
    })
    assert.equal(roomInStep(0, 10, stepped), 1)
    assert.equal(roomInStep(1, 10, stepped), 4)
    assert.equal(roomInStep(5, 10, stepped), 5)
  })
})

suite('a rollout in steps, of two shards at once', () => {
  const spec = specOf({
    replicas: 4,
    rollout: {
      strategy: 'Progressive',
      maxUnavailable: 2,
      steps: [{ shards: 1, pause: '1h' }, { shards: '100%' }],
    },
  })
  const acts = (shards: readonly Shard[]) => {
    const world = worldOf(shards, { replicas: 4, template: 'next', partition: 4 })
    const input = { spec, isDeleting: false, isHeld: false, rejectedByPeople: undefined, wanted: 'next' }
    const { actions } = plan({ ...input, world, nowMs: NOW })
    return actions.flatMap((action) => (action.type === 'mark' ? [action.shard] : []))
  }
  const mark = { reason: 'Rollout' as const, startedAtMs: NOW - 1_000, tunnels: 100, fleetTunnels: 400 }
  const drains = (ordinal: number) =>
    shardOf(ordinal, { mark, report: reportOf({ isDraining: true, drainedAtMs: null }) })
  const first = [shardOf(0), shardOf(1), shardOf(2)]
  test('drains no shard of the next step beside one of this step', () => {
    assert.deepEqual(acts([...first, shardOf(3)]), ['gw-3'])
    assert.deepEqual(acts([...first, drains(3)]), [])
  })
  test('takes a shard between its two pods for no success', () => {
    assert.deepEqual(acts(first), [])
  })
  test('drains two at once where the step has room for them', () => {
    const updatedAgo = shardOf(3, { template: 'next', readySinceMs: NOW - 3_700_000 })
    assert.deepEqual(acts([...first, updatedAgo]), ['gw-2'])
    assert.deepEqual(acts([shardOf(0), shardOf(1), drains(2), updatedAgo]), ['gw-1'])
  })
})

suite('a drain', () => {
  const mark = { reason: 'ScaleIn' as const, startedAtMs: NOW - 20_000, tunnels: 100, fleetTunnels: 300 }
  const empty = { tunnels: 0, isDraining: true, drainedAtMs: NOW - 5_000 }
  const unready = { isReady: false, readySinceMs: NOW - 10_000 }
  const others = (serving: string[], tunnels = 150) =>
    [0, 1].map((ordinal) => shardOf(ordinal, { report: reportOf({ serving, tunnels }) }))
  const state = (shard: Shard, rest: readonly Shard[]) => drainState(shard, [...rest, shard], specOf(), NOW)
  test('is over when the shard is empty, the others know, and its devices are back', () => {
    const shard = shardOf(2, { mark, ...unready, report: reportOf(empty) })
    assert.equal(state(shard, others(['gw-0', 'gw-1'])), 'drained')
    assert.equal(state(shard, others(['gw-0', 'gw-1', 'gw-2'])), 'draining')
    assert.equal(state(shard, others(['gw-0', 'gw-1'], 10)), 'draining')
    const long = shardOf(2, { mark, ...unready, report: reportOf({ ...empty, drainedAtMs: NOW - 31_000 }) })
    assert.equal(state(long, others(['gw-0', 'gw-1'], 10)), 'drained')
    const busy = shardOf(2, { mark, ...unready, report: reportOf({ ...empty, inFlight: 1 }) })
    assert.equal(state(busy, others(['gw-0', 'gw-1'])), 'draining')
    const routed = { ...shard, readySinceMs: NOW - 1_000 }
    assert.equal(state(routed, others(['gw-0', 'gw-1'])), 'draining')
    assert.equal(state({ ...shard, isReady: true }, others(['gw-0', 'gw-1'])), 'draining')
  })
  test('is over when its time is, or when nothing runs', () => {
    const stuck = { ...mark, startedAtMs: NOW - 600_000 }
    assert.equal(state(shardOf(2, { mark: stuck }), others(['gw-0'])), 'timedOut')
    assert.equal(state(shardOf(2, { mark: stuck, report: null }), others(['gw-0'])), 'timedOut')
    assert.equal(state(shardOf(2, { mark, isRunning: false }), others(['gw-0'])), 'drained')
  })
})

suite('autoscaling', () => {
  const spec = specOf({
    autoscaling: {
      minReplicas: 2,
      maxReplicas: 6,
      targetTunnelsPerShard: 100,
      scaleDownStabilization: '15m',
    },
  })
  const shards = (tunnels: number) => [0, 1, 2].map((at) => shardOf(at, { report: reportOf({ tunnels }) }))
  test('adds shards at once, and no more than allowed', () => {
    assert.equal(autoscale(spec, shards(150), null, NOW)?.scaleTo, 5)
    assert.equal(autoscale(spec, shards(900), null, NOW)?.scaleTo, 6)
    assert.equal(autoscale(spec, shards(100), null, NOW)?.scaleTo, null)
  })
  test('removes them only after the whole time, and to the most that was needed in it', () => {
    const first = autoscale(spec, shards(10), null, NOW)!
    assert.deepEqual(first, { recommendation: { replicas: 2, lowSinceMs: NOW }, scaleTo: null })
    const later = autoscale(spec, shards(10), first.recommendation, NOW + 899_000)!
    assert.equal(later.scaleTo, null)
    assert.equal(autoscale(spec, shards(10), later.recommendation, NOW + 900_000)?.scaleTo, 2)
    assert.equal(autoscale(spec, shards(100), first.recommendation, NOW + 1)?.recommendation.lowSinceMs, null)
  })
  test('does nothing while a shard does not say how many tunnels it has', () => {
    assert.equal(autoscale(spec, [shardOf(0), shardOf(1, { report: null })], null, NOW), null)
    assert.equal(autoscale(specOf(), shards(900), null, NOW), null)
  })
})

suite('what is said of it', () => {
  const raw = (more: object) => ({
    image: { repository: 'a', tag: '1' },
    redis: { secretKeyRef: { name: 'r' } },
    ...more,
  })
  test('a spec that cannot be meant is refused with what to do', () => {
    for (const [name, spec, wanted] of [
      ['gw', raw({ replicas: -1 }), /spec\.replicas/],
      ['gw', raw({ image: { repository: 'a' } }), /exactly one of tag or digest/],
      ['gw', raw({ env: [{ name: 'SHARD_ID', value: 'x' }] }), /must not set SHARD_ID/],
      ['gw', raw({ drain: { timeout: '5s' } }), /at least drain\.waitReconnect/],
      [
        'gw',
        raw({ podTemplate: { spec: { containers: [{ name: 'gateway', image: 'x' }] } } }),
        /spec\.image/,
      ],
      ['gw', raw({ podTemplate: { metadata: { labels: { 'app.kubernetes.io/name': 'x' } } } }), /remove it/],
      ['g'.repeat(41), raw({}), /at most 40/],
    ] as const) {
      const found = check(name, spec)
      assert.ok(!found.ok)
      assert.match(found.problem.message, wanted)
    }
    assert.ok(check('gw', raw({})).ok)
  })

  function status(world: World, more: Partial<StatusInput> = {}) {
    const spec = more.spec ?? specOf({ replicas: world.set?.replicas ?? 3 })
    const input = {
      spec,
      isDeleting: false,
      isHeld: false,
      rejectedByPeople: undefined,
      wanted: 'good',
      world,
      nowMs: NOW,
    }
    return statusOf({
      name: 'gw',
      generation: 4,
      plan: plan(input),
      targetVersion: '1.2.3',
      refused: null,
      recommendation: null,
      before: undefined,
      ...input,
      ...more,
    })
  }
  const reasons = (found: ReturnType<typeof status>) =>
    Object.fromEntries((found.conditions ?? []).map(({ type, reason }) => [type, reason]))

  test('all is well', () => {
    const found = status(worldOf([shardOf(0), shardOf(1), shardOf(2)]))
    assert.deepEqual(reasons(found), {
      Available: 'ShardsServe',
      Draining: 'NoDrain',
      Progressing: 'Complete',
      Ready: 'ShardsReady',
      Reconciled: 'Applied',
      RingConsistent: 'SameRing',
      Stalled: 'GoesOn',
    })
    assert.equal(found.phase, 'Healthy: 3 of 3 shards serve')
    assert.equal(found.tunnels, 300)
    assert.equal(found.selector, 'app.kubernetes.io/name=tunnel-gateway,app.kubernetes.io/instance=gw')
  })
  test('shards that see another ring, drain, or do not start, are named', () => {
    const mark = { reason: 'Manual' as const, startedAtMs: NOW, tunnels: 100, fleetTunnels: 300 }
    const found = status(
      worldOf([
        shardOf(0, { report: reportOf({ serving: ['gw-0'] }) }),
        shardOf(1, { mark, isDrainAsked: true }),
        shardOf(2, { isReady: false, isRunning: false, report: null, trouble: 'ErrImagePull' }),
      ]),
    )
    assert.equal(reasons(found)['RingConsistent'], 'RingSplit')
    assert.equal(reasons(found)['Draining'], 'ShardsDrain')
    const available = found.conditions?.find(({ type }) => type === 'Available')
    assert.equal(available?.reason, 'TooFewShards')
    assert.match(available?.message ?? '', /gw-2: ErrImagePull/)
    assert.deepEqual(
      found.shards?.map(({ state }) => state),
      ['Ready', 'Draining', 'Failed'],
    )
  })
  test('a shard whose node is not heard of is lost, and what to do about it stands in Available', () => {
    const trouble = 'node-2 is not heard of'
    const lost = shardOf(2, { isReady: false, isLost: true, report: null, trouble })
    const found = status(worldOf([shardOf(0), shardOf(1), lost]))
    assert.deepEqual(
      found.shards?.map(({ state }) => state),
      ['Ready', 'Ready', 'Lost'],
    )
    const available = found.conditions?.find(({ type }) => type === 'Available')
    assert.equal(available?.reason, 'ShardsServe')
    assert.match(available?.message ?? '', /gw-2: node-2 is not heard of/)
  })
  test('a scale-in that must wait says what for', () => {
    const full = [0, 1, 2].map((at) => shardOf(at, { report: reportOf({ tunnels: 15_000 }) }))
    const found = status(worldOf(full), { spec: specOf({ replicas: 1 }) })
    assert.equal(reasons(found)['Progressing'], 'ScaleInBlocked')
    assert.match(found.phase ?? '', /45000 tunnels are open and 1 shards take 20000/)
  })
})

test('every reason that is told is documented, and no other', () => {
  const text = (name: string) => readFileSync(new URL(name, import.meta.url), 'utf8')
  const documented = new Set(
    text('./README.md')
      .match(/`[A-Z][A-Za-z]+`/g)
      ?.map((word) => word.slice(1, -1)),
  )
  const conditions = [
    ...text('./status.ts').matchAll(/'(?:True|False|Unknown)',\s+'([A-Z]\w+)'/g),
    ...text('./status.ts').matchAll(/\b(?:yes|no)\(\s*'([A-Z]\w+)'/g),
    ...['./checks.ts', './readiness.ts'].flatMap((name) => [...text(name).matchAll(/reason: '([A-Z]\w+)'/g)]),
  ].map(([, reason]) => reason!)
  assert.ok(conditions.length > 20, conditions.join(' '))
  const told = new Set([...conditions, ...REASONS])
  assert.deepEqual(
    [...told].filter((reason) => !documented.has(reason)),
    [],
  )
  assert.deepEqual(
    [...documented].filter((reason) => !told.has(reason)),
    [],
  )
})
