import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { durationMs } from '#src/crds/fields.ts'
import { plan } from './plan.ts'
import type { PlanInput } from './plan.ts'
import { TunnelGatewaySpec } from './schema.ts'
import { createSimulatedWorld } from './testing/simulated-world.ts'

const LOSES_SHARDS: ReadonlySet<string> = new Set(['scale', 'evict', 'crash', 'ask'])

type Infer<A> = A extends fc.Arbitrary<infer T> ? T : never

const event = fc.oneof(
  fc.record({ type: fc.constant('scale' as const), replicas: fc.integer({ min: 0, max: 6 }) }),
  fc.record({
    type: fc.constant('roll' as const),
    kind: fc.constantFrom('good', 'good', 'bad', 'lossy', 'deaf'),
    number: fc.nat(3),
  }),
  fc.record({ type: fc.constantFrom('evict' as const, 'crash' as const, 'ask' as const), at: fc.nat(9) }),
  fc.record({ type: fc.constant('loseApi' as const), seconds: fc.integer({ min: 1, max: 1_200 }) }),
  fc.record({ type: fc.constantFrom('pause' as const, 'unpause' as const, 'connect' as const) }),
)
const script = fc.array(
  fc.record({
    event,
    /** Seconds until the next one. */
    after: fc.oneof(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 1, max: 900 })),
    /** The operator is away for so long at first. */
    away: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 60 })),
    /** Two operators look at the same world and both act. */
    isDoubled: fc.boolean(),
  }),
  { minLength: 1, maxLength: 8 },
)
const settings = fc.record({
  replicas: fc.integer({ min: 1, max: 5 }),
  strategy: fc.constantFrom('RollingUpdate' as const, 'Progressive' as const),
  hasGate: fc.boolean(),
  seed: fc.nat(),
})

function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

function run({ replicas, strategy, hasGate, seed }: Infer<typeof settings>, events: Infer<typeof script>) {
  const world = createSimulatedWorld(randomOf(seed))
  const base = {
    image: { repository: 'gateway', tag: '1' },
    redis: { secretKeyRef: { name: 'redis' } },
    drain: { timeout: '2m', waitReconnect: '10s', evictRate: 20 },
    rollout: {
      strategy,
      progressDeadline: '90s',
      ...(strategy === 'Progressive'
        ? {
            steps: [
              { shards: 1, pause: '20s' },
              { shards: '50%', pause: '10s' },
            ],
          }
        : {}),
      ...(hasGate ? { gate: { window: '15s', maxReconnectSeconds: 600 } } : {}),
    },
  }
  let spec = TunnelGatewaySpec.parse({ ...base, replicas })
  let wanted = 'good-first'
  let changes = 0
  const planNow = (): PlanInput => ({
    spec,
    isDeleting: false,
    isHeld: false,
    rejectedByPeople: undefined,
    wanted,
    world: world.observe(),
    nowMs: world.now,
  })

  function turn(isDoubled: boolean): boolean {
    const input = planNow()
    const { actions, isMoving } = plan(input)
    for (let time = 0; time < (isDoubled ? 2 : 1); time++) {
      for (const action of actions) {
        const isDone = world.perform(action, input.world, spec, durationMs(spec.drain.timeout))
        if (isDone && action.type !== 'drain') changes += 1
        if (isDone && time === 1 && action.type !== 'drain')
          world.faults.push(`${action.type} was done twice`)
      }
    }
    assert.deepEqual(world.faults, [])
    return isMoving
  }

  function pass(seconds: number, isDoubled: boolean): void {
    for (let second = 0; second < seconds; second += 2) {
      turn(isDoubled)
      world.pass(2)
    }
  }

  pass(60, false)
  world.connect(500)
  for (const { event: happening, after, away, isDoubled } of events) {
    switch (happening.type) {
      case 'scale':
        spec = { ...spec, replicas: happening.replicas }
        break
      case 'roll':
        wanted = `${happening.kind}-${happening.number}`
        break
      case 'evict':
        world.evict(happening.at)
        break
      case 'crash':
        world.crash(happening.at)
        break
      case 'ask':
        world.askDrain(happening.at, true)
        break
      case 'loseApi':
        world.loseApi(happening.seconds)
        break
      case 'connect':
        world.connect(200)
        break
      default:
        spec = { ...spec, paused: happening.type === 'pause' }
    }
    for (let second = 0; second < away; second += 2) world.pass(2)
    pass(after, isDoubled)
  }
  spec = { ...spec, paused: false }
  world.forgetDrains()
  let quiet = 0
  let second = 0
  for (; quiet < 30 && second < 20_000; second += 2) {
    const before = changes
    const isMoving = turn(false)
    quiet = isMoving || changes > before ? 0 : quiet + 1
    world.pass(2)
  }
  return { world, spec, wanted, changes, last: plan(planNow()), isQuiet: quiet >= 30 }
}

suite('the plan in a world where anything happens', () => {
  test('takes no two shards away, removes none with tunnels, does nothing twice, and comes to an end', () => {
    fc.assert(
      fc.property(settings, script, (given, events) => {
        const { world, spec, wanted, changes, last, isQuiet } = run(given, events)
        const { set } = world
        assert.ok(set !== null)
        const describe = () =>
          JSON.stringify({ set, wanted, last, pods: world.pods(), spec: spec.replicas }, null, 1)
        // No shard is left that could say whether it is the version or the API: that is watched as long as it takes.
        const isWatched = given.hasGate && world.pods().every(({ template }) => template.startsWith('deaf'))
        if (world.pods().length > 0 && isWatched) return assert.deepEqual(last.actions, [], describe())
        assert.ok(isQuiet || last.rolloutFails !== null, describe())
        assert.equal(set.replicas, spec.replicas)
        assert.deepEqual(last.actions, [], describe())
        for (const pod of world.pods()) {
          assert.equal(pod.template, last.target.template, describe())
          assert.ok(pod.mark === null && pod.endsAt === null, describe())
        }
        // Where the API is away, and there is no other shard that says so, nobody can tell.
        const isAlone = given.replicas === 1 || events.some(({ event: { type } }) => LOSES_SHARDS.has(type))
        const isUnclear = isAlone && events.some(({ event: { type } }) => type === 'loseApi')
        if (last.target.isRolledBack && !isUnclear) assert.match(wanted, /^(bad|lossy|deaf)/)
        if (last.rolloutFails === null && set.replicas > 0)
          assert.equal(set.completed[0], last.target.template)
        const most = 20 * (events.length + 2) * 8
        assert.ok(changes < most, `${changes} changes for ${events.length} events`)
      }),
      { numRuns: Number(process.env['FAST_CHECK_RUNS'] ?? 300) },
    )
  })

  test('a version that never gets ready is taken back, whatever the strategy', () => {
    fc.assert(
      fc.property(settings, (given) => {
        const { world, last } = run({ ...given, replicas: Math.max(2, given.replicas) }, [
          { event: { type: 'roll', kind: 'bad', number: 1 }, after: 10, away: 0, isDoubled: false },
        ])
        assert.ok(last.target.isRolledBack)
        assert.ok(world.pods().every((pod) => pod.template === 'good-first' && pod.isReady))
        assert.deepEqual(world.set?.rejected, ['bad-1'])
      }),
      { numRuns: 30 },
    )
  })

  test('a version that fails requests, or loses the API, is taken back where there is a gate', () => {
    fc.assert(
      fc.property(settings, fc.constantFrom('lossy', 'deaf'), (given, kind) => {
        const { world, last } = run({ ...given, replicas: Math.max(2, given.replicas), hasGate: true }, [
          { event: { type: 'roll', kind, number: 1 }, after: 10, away: 0, isDoubled: true },
        ])
        assert.ok(last.target.isRolledBack)
        assert.ok(world.pods().every((pod) => pod.template === 'good-first'))
      }),
      { numRuns: 30 },
    )
  })

  test('an API that is away for everybody takes no good version back, however long', () => {
    const outage = fc.record({
      before: fc.integer({ min: 1, max: 120 }),
      seconds: fc.integer({ min: 1, max: 1_800 }),
    })
    fc.assert(
      fc.property(settings, outage, (given, { before, seconds }) => {
        const { last } = run({ ...given, replicas: Math.max(2, given.replicas) }, [
          { event: { type: 'roll', kind: 'good', number: 1 }, after: before, away: 0, isDoubled: false },
          { event: { type: 'loseApi', seconds }, after: 10, away: 0, isDoubled: false },
        ])
        assert.equal(last.target.isRolledBack, false)
        assert.equal(last.target.template, 'good-1')
        assert.equal(last.rolloutFails, null)
      }),
      { numRuns: 100 },
    )
  })
})
