/** Both charts on a real cluster, and what its operators do there, under traffic that nobody may disturb. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { createClient } from '@wmoc/api/client'
import { controllers } from '@wmoc/api/contracts/controllers'
import { eventually } from '../support/stack.ts'
import { forbidden, readPolicies, watchConnections } from './support/connections.ts'
import type { ConnectionWatch, SeenConnection } from './support/connections.ts'
import { told } from './support/gateway-events.ts'
import { assertInOrder, watchGateway } from './support/gateway-history.ts'
import type { GatewayHistory } from './support/gateway-history.ts'
import {
  conditionOf,
  GATEWAY,
  NAMESPACE,
  NEXT_VERSION,
  installPlatform,
  isSettled,
  readSecret,
  secret,
  signIn,
} from './support/installation.ts'
import type { Installation } from './support/installation.ts'
import { heldBy, openShard, shardsOn } from './support/nodes.ts'
import { killOperator, leaseOf, operatorsOf } from './support/operators.ts'
import { watchCluster } from './support/prometheus.ts'
import { backUp, RESTORED, restoreElsewhere } from './support/restore.ts'
import { watchShardsAway } from './support/shards-away.ts'
import type { ShardsAway } from './support/shards-away.ts'
import { startTraffic } from './support/traffic.ts'
import type { Traffic } from './support/traffic.ts'

const DEVICES = 200
/** Of shards, and of the API: open to whoever comes through the ingress. */
const HTTP_PORT = 8080
const API_PORT = 8081
/** How long a change of the shards may take on a busy machine. */
const STEP_MS = 240_000

suite('the platform on a real cluster', () => {
  let platform: Installation
  let traffic: Traffic
  let away: ShardsAway
  let history: GatewayHistory
  let connections: ConnectionWatch
  before(async () => {
    platform = await installPlatform()
    history = watchGateway(platform)
    connections = watchConnections(platform)
  })
  after(async () => {
    await connections?.stop()
    await away?.stop()
    await traffic?.stop()
    await history?.stop()
    await platform?.stop()
  })

  const allBack = () =>
    eventually(async () => traffic.online() === DEVICES, 'all controllers are back', STEP_MS)

  /** Nothing was lost, every controller is there, and the platform served all the time. */
  const checkTraffic = async () => {
    await allBack()
    const { requests, failures } = traffic.since()
    assert.deepEqual(failures, [])
    assert.ok(requests > 0)
    assert.ok(away.most() <= 1, `${away.most()} shards were away at once`)
  }

  const news = () => platform.news()
  /** What was told until now was told of something else. */
  const lookFromNow = async () => {
    await news()
    await history.take()
  }

  /** What was told of something planned: steps in this order, and that the platform was there all the time. */
  const checkHistory = async (progress: readonly string[]) => {
    const seen = await history.take()
    assertInOrder(seen.reasons('Progressing'), progress)
    assert.deepEqual(seen.reasons('Available'), ['ShardsServe'])
    assert.deepEqual(seen.reasons('Reconciled'), ['Applied'])
    return seen
  }

  /** Each of these shards was drained once, to the end, in this order. */
  const checkDrains = (events: Awaited<ReturnType<Installation['news']>>, ordinals: readonly number[]) => {
    const names = (reason: string) => told(events, reason).map((message) => message.split(' ')[0]!)
    const wanted = ordinals.map((ordinal) => `${GATEWAY}-${ordinal}`).toSorted()
    assert.deepEqual(names('ShardDrainStarted').toSorted(), wanted)
    assert.deepEqual(names('ShardDrainCompleted').toSorted(), wanted)
    assert.deepEqual(told(events, 'ShardDrainTimedOut'), [])
  }

  test('helm --wait comes back when three shards serve, and not before', () => {
    const { installed } = platform
    assert.ok(isSettled(3)(installed), JSON.stringify(installed.status))
    assert.equal(conditionOf(installed, 'Ready'), 'True ShardsReady')
    assert.equal(conditionOf(installed, 'Progressing'), 'False Complete')
  })

  test('K7: every process is Ready in namespaces that enforce restricted', async () => {
    const bad = await podsNotReady(platform)
    assert.deepEqual(bad, [])
    assert.equal((await shardsOn(platform, 'node-1')).length + (await shardsOn(platform, 'node-2')).length, 3)
  })

  test('helm test takes a controller to one shard and its page through the others', async () => {
    const said = await platform.cluster.helm('test', 'wmoc', '-n', 'wmoc', '--logs', '--timeout', '2m')
    assert.match(said, /passed through 2 shards/)
  })

  test('an upgrade from an earlier chart keeps every tunnel', async () => {
    traffic = await startTraffic(platform, { devices: DEVICES, perSecond: 20 })
    away = watchShardsAway(platform)
    assert.ok(isSettled(3)(await platform.upgrade()))
    await checkTraffic()
    const anew = traffic.fleet.report().filter(({ registrations }) => registrations > 1)
    assert.deepEqual(anew, [])
    assert.equal(away.most(), 0)
  })

  test('every connection is one that the network policies allow, and most others are not', async () => {
    const seen = await connections.stop()
    const cluster = await readPolicies(platform)
    assert.deepEqual(forbidden(cluster, seen), [])
    const partOf = ({ labels }: SeenConnection['to']) =>
      labels['app.kubernetes.io/component'] ?? labels['app.kubernetes.io/name']
    const pairs = new Set(seen.calls.map(({ from, to, port }) => `${partOf(from)} ${partOf(to)} ${port}`))
    for (const pair of [
      'api postgres 5432',
      'worker postgres 5432',
      'api redis 6379',
      'gateway redis 6379',
      'gateway api 8082',
      'gateway gateway 7443',
      'operator gateway 9082',
    ])
      assert.ok(pairs.has(pair), `${pair} was not seen, but ${[...pairs].join(', ')}`)
    // The same calls by a pod of nobody's, and from the web server, which has nobody to call.
    const stranger = { name: 'stranger', namespace: NAMESPACE, labels: {}, ports: {} }
    const own = seen.calls.filter(({ to }) => to.namespace === NAMESPACE)
    const closed = own.filter(({ port }) => port !== HTTP_PORT && port !== API_PORT)
    const strange = closed.map((call) => ({ ...call, from: stranger }))
    assert.equal(forbidden(cluster, { calls: strange, outside: [] }).length, closed.length)
    const web = {
      ...stranger,
      labels: webLabels(seen.calls.find(({ to }) => partOf(to) === 'api')!.to.labels),
    }
    assert.deepEqual(forbidden(cluster, { calls: [], outside: [web] }), ['stranger calls somebody'])
  })

  test('scaling out and in loses no request and no controller, and each step is told', async () => {
    await lookFromNow()
    await scale(platform, 5)
    const added = await history.take()
    assertInOrder(added.reasons('Progressing'), ['Complete', 'WaitingForShards', 'Complete'])
    assertInOrder(added.reasons('Ready'), ['ShardsReady', 'WaitingForShards', 'ShardsReady'])
    assert.deepEqual(told(await news(), 'ScaledOut'), ['from 3 to 5 shards'])
    await scale(platform, 2)
    await checkTraffic()
    const seen = await checkHistory(['Complete', 'ScalingIn', 'Complete'])
    assertInOrder(seen.reasons('Ready'), ['ShardsReady', 'ScalingIn', 'ShardsReady'])
    assertInOrder(seen.reasons('Draining'), ['NoDrain', 'ShardsDrain', 'NoDrain'])
    const drained = seen.messages('Draining', 'ShardsDrain').map((message) => message.split(' (')[0]!)
    assertInOrder(drained, [`${GATEWAY}-4`, `${GATEWAY}-3`, `${GATEWAY}-2`])
    assert.equal(seen.reasons('RingConsistent').at(-1), 'SameRing')
    const events = await news()
    checkDrains(events, [4, 3, 2])
    assert.deepEqual(told(events, 'ScaledIn'), [
      'from 5 to 4 shards',
      'from 4 to 3 shards',
      'from 3 to 2 shards',
    ])
    assert.ok(told(events, 'RingEpochAdvanced').length > 0)
  })

  test('a new version goes to one shard after the other, and helm waits for the last', async () => {
    await scale(platform, 3)
    await lookFromNow()
    const upgraded = await platform.upgrade({ 'gateway.image.tag': NEXT_VERSION })
    assert.ok(isSettled(3)(upgraded), JSON.stringify(upgraded.status))
    await checkTraffic()
    const seen = await checkHistory(['RollingOut', 'Complete'])
    assertInOrder(seen.reasons('Draining'), ['ShardsDrain', 'NoDrain', 'ShardsDrain', 'NoDrain'])
    const events = await news()
    checkDrains(events, [2, 1, 0])
    assert.equal(told(events, 'RolloutStarted').length, 1)
    const steps = told(events, 'RolloutStepCompleted').map((message) => message.split(' shards')[0])
    assert.deepEqual(steps, ['1 of 3', '2 of 3'])
    assert.equal(told(events, 'RolloutCompleted').length, 1)
    assert.deepEqual(await imagesOf(platform), [`ghcr.io/wmoc/wmoc-gateway:${NEXT_VERSION}`])
  })

  test('K4: a version that does not start is taken back after one shard, and helm says so', async () => {
    await lookFromNow()
    const broken = { 'gateway.image.tag': 'broken', 'gateway.rollout.progressDeadline': '20s' }
    await assert.rejects(platform.upgrade(broken), /was rejected; shards have/)
    const found = await platform.gatewayWhen(() => true)
    assert.equal(conditionOf(found, 'Stalled'), 'True RolledBack')
    await platform.cluster.helm('rollback', 'wmoc', '-n', 'wmoc', '--wait', '--timeout', '4m')
    assert.ok(isSettled(3)(await platform.gatewayWhen(() => true)))
    await checkTraffic()
    const seen = await checkHistory(['RollingOut', 'RollingBack', 'RolledBack', 'Complete'])
    assert.deepEqual(seen.reasons('Stalled'), ['GoesOn', 'RolledBack', 'GoesOn'])
    const events = await news()
    checkDrains(events, [2])
    assert.match(told(events, 'RolloutAborted').join(), new RegExp(`^${GATEWAY}-2 is not ready after 20s`))
  })

  test('K4: a version that starts and fails its requests is taken back by its gate after one shard', async () => {
    await lookFromNow()
    const { redis } = (await platform.gatewayWhen(() => true)).spec
    await platform.cluster.apply(secret('careless', await otherRedis(platform)))
    const gate = { window: '30s', maxErrorPercent: 2, maxReconnectSeconds: 60 }
    await patch(platform, { redis: { secretKeyRef: { name: 'careless' } }, rollout: { gate } })
    await platform.gatewayWhen((found) => conditionOf(found, 'Stalled') === 'True RolledBack', STEP_MS)
    await allBack()
    // Who asked at the one shard, or for a controller that was on it, was told that the controller is away.
    const { failures } = traffic.since()
    assert.ok(failures.length > 0)
    assert.deepEqual([...new Set(failures.map(({ status }) => status))], [503])
    await patch(platform, { redis, rollout: { gate: null } })
    await platform.gatewayWhen(isSettled(3), STEP_MS)
    await checkTraffic()
    const seen = await checkHistory(['RollingOut', 'RollingBack', 'RolledBack', 'Complete'])
    assertInOrder(seen.reasons('RingConsistent'), ['RingSplit', 'SameRing'])
    const aborted = told(await news(), 'RolloutAborted')
    assert.equal(aborted.length, 1)
    assert.match(aborted[0]!, new RegExp(`^${GATEWAY}-2 fails [0-9.]+ % of its requests and registrations`))
  })

  test('K2: of two operators one leads, and the other goes on with the drain of one that dies', async (t) => {
    const { all, leading } = await operatorsOf(platform)
    assert.equal(all.length, 2)
    const leader = await leaseOf(platform)
    assert.deepEqual(leading, [leader.pod])
    await lookFromNow()
    await platform.kubectl('scale', `tgw/${GATEWAY}`, '--replicas=2')
    await eventually(
      async () => told(await news(), 'ShardDrainStarted').length > 0,
      'a drain of the leader',
      STEP_MS,
    )
    const killedAt = Date.now()
    killOperator(leader.pod)
    const isTaken = async () => (await leaseOf(platform)).identity !== leader.identity
    await eventually(isTaken, 'another operator leads', 60_000)
    const { sinceMs, pod } = await leaseOf(platform)
    t.diagnostic(`${pod} led ${((sinceMs - killedAt) / 1_000).toFixed(1)} s after ${leader.pod} was killed`)
    await platform.gatewayWhen(isSettled(2), STEP_MS)
    await checkTraffic()
    await checkHistory(['ScalingIn', 'Complete'])
    assert.deepEqual(told(await news(), 'ScaledIn'), ['from 3 to 2 shards'])
  })

  test('K3: an evicted shard drains by itself', async () => {
    const name = `${GATEWAY}-1`
    const { metadata } = JSON.parse(await platform.kubectl('get', 'pod', name, '-o', 'json')) as {
      metadata: { uid: string }
    }
    await lookFromNow()
    await platform.evict(name)
    await eventually(
      async () => !(await platform.kubectl('get', 'pods', '-o', 'json')).includes(metadata.uid),
      'the evicted pod is gone',
      STEP_MS,
    )
    await platform.gatewayWhen(isSettled(2), STEP_MS)
    await checkTraffic()
    const seen = await checkHistory(['WaitingForShards', 'Complete'])
    assert.match(seen.messages('Draining', 'ShardsDrain').join(), new RegExp(`${name} \\(Observed`))
    assert.equal(seen.reasons('Draining').at(-1), 'NoDrain')
  })

  test('a restart of the API server disturbs nobody', async () => {
    await platform.cluster.restartApiServer()
    await platform.gatewayWhen(isSettled(2), STEP_MS)
    await checkTraffic()
  })

  test('K9: Prometheus reads every process, and its alert comes and goes with a shard', async () => {
    const prometheus = await watchCluster(platform, 2)
    try {
      const isFiring = async () =>
        (await prometheus.alerts()).some(
          ({ labels, state }) => labels['alertname'] === 'WMOCShardDown' && state === 'firing',
        )
      await eventually(
        async () => {
          const targets = await prometheus.targets()
          return targets.length === prometheus.targetCount && targets.every(({ health }) => health === 'up')
        },
        'every process is read',
        60_000,
      )
      assert.ok(prometheus.targetCount >= 8)
      assert.equal(await isFiring(), false)
      // It can't come back at once.
      await platform.cluster.kubectl('cordon', '--selector=kubernetes.io/os=linux')
      await platform.kubectl('delete', 'pod', `${GATEWAY}-0`, '--force', '--grace-period=0')
      await eventually(isFiring, 'the alert fires', 60_000)
      await platform.cluster.kubectl('uncordon', '--selector=kubernetes.io/os=linux')
      await eventually(async () => !(await isFiring()), 'the alert ends', 120_000)
      await allBack()
    } finally {
      await prometheus.stop()
    }
  })

  test('a lost node takes away what it carried and nothing else, until it is back', async (t) => {
    await scale(platform, 3)
    await traffic.dialAnew()
    traffic.forgive()
    const [safe, lost] = await Promise.all(['node-1', 'node-2'].map((node) => shardsOn(platform, node)))
    const ids = traffic.fleet.report().map(({ id }) => id)
    const held = await Promise.all(safe!.map((shard) => heldBy(platform, shard, ids)))
    const unharmed = new Set(held.flatMap((one) => [...one]))
    assert.ok(lost!.length > 0 && unharmed.size > 0 && unharmed.size < DEVICES, `${unharmed.size} unharmed`)
    const doors = await Promise.all(safe!.map((shard) => openShard(platform, shard)))
    const ports = doors.map(({ port }) => port)
    for (const port of ports) assert.deepEqual(await traffic.askEach(port), [])
    await news()
    const load = traffic.alongside(ports, unharmed)
    await platform.cluster.killNode('node-2')
    const killedAt = Date.now()
    const isLost = new Set(lost!.map(({ name }) => name))
    await platform.gatewayWhen(
      ({ status }) => (status?.shards ?? []).filter(({ state }) => state === 'Lost').length === isLost.size,
      STEP_MS,
    )
    await eventually(
      async () => (await traffic.askEach()).length === 0,
      'every controller is reached again',
      STEP_MS,
    )
    const seconds = Math.round((Date.now() - killedAt) / 1_000)
    t.diagnostic(`${DEVICES - unharmed.size} controllers were reached again ${seconds} s after the loss`)
    traffic.forgive()
    const report = await load.stop()
    assert.deepEqual(report.failures, [])
    assert.ok(report.requests > 0)
    const named = told(await news(), 'ShardLost').map((message) => message.split(' ')[0]!)
    assert.deepEqual(new Set(named), isLost)

    await platform.cluster.startNode('node-2')
    await platform.gatewayWhen((found) => conditionOf(found, 'Ready') === 'True ShardsReady', STEP_MS)
    await eventually(async () => (await podsNotReady(platform)).length === 0, 'all pods are Ready', STEP_MS)
    assert.equal(told(await news(), 'ShardBack').length, isLost.size)
    await Promise.all(doors.map((door) => door.close()))
    away.forgive()
    await checkTraffic()
  })

  test('a backup comes back into an empty database, and the platform goes on with it', async () => {
    const { user: owner } = await signIn(platform)
    await platform.upgrade({ 'backup.enabled': 'true' })
    await backUp(platform)
    await restoreElsewhere(platform)
    await platform.upgrade({
      'database.type': 'external',
      'database.external.existingSecret': RESTORED,
    })
    await assert.rejects(platform.kubectl('get', 'statefulset', 'wmoc-postgres'), /not found/)
    // One that still leaves answers that its database is away.
    await eventually(async () => (await leavingPods(platform)).length === 0, 'the old pods are gone', STEP_MS)
    const { accessToken, user } = await signIn(platform)
    assert.equal(user.id, owner.id)
    const client = createClient({ controllers }, { baseUrl: platform.api.url, getToken: () => accessToken })
    const { total } = await client.controllers.summary()
    assert.equal(total, DEVICES)
    const said = await platform.cluster.helm('test', 'wmoc', '-n', 'wmoc', '--logs', '--timeout', '2m')
    assert.match(said, /passed through 2 shards/)
  })
})

interface Pods {
  readonly items: readonly {
    readonly metadata: { readonly name: string; readonly deletionTimestamp?: string }
    readonly status: {
      readonly phase: string
      readonly conditions?: readonly { readonly type: string; readonly status: string }[]
    }
  }[]
}

/** Pods of the platform that are told to end and have not yet, by name. */
async function leavingPods({ cluster }: Installation): Promise<string[]> {
  const { items } = await cluster.get<Pods>('pods', '-n', NAMESPACE)
  return items
    .filter(({ metadata }) => metadata.deletionTimestamp !== undefined)
    .map(({ metadata }) => metadata.name)
}

/** Pods that are neither done nor ready, by name. */
async function podsNotReady({ cluster }: Installation): Promise<string[]> {
  const { items } = await cluster.get<Pods>('pods', '-A')
  const isReady = (conditions: Pods['items'][number]['status']['conditions'] = []) =>
    conditions.some(({ type, status }) => type === 'Ready' && status === 'True')
  return items
    .filter(({ status }) => status.phase !== 'Succeeded' && !isReady(status.conditions))
    .map(({ metadata }) => metadata.name)
}

async function imagesOf({ kubectl }: Installation): Promise<string[]> {
  const of = ['--selector=app.kubernetes.io/name=tunnel-gateway', '--output=json']
  const { items } = JSON.parse(await kubectl('get', 'pods', ...of)) as {
    items: { spec: { containers: { image: string }[] } }[]
  }
  return [...new Set(items.map(({ spec }) => spec.containers[0]!.image))]
}

/** The platform's Redis by an address with another number behind it: nothing that the other shards wrote is there. */
async function otherRedis({ kubectl }: Installation): Promise<Readonly<Record<string, string>>> {
  const url = new URL((await readSecret(kubectl, 'wmoc-secrets'))['REDIS_URL']!)
  url.pathname = '/1'
  return { REDIS_URL: url.href }
}

/** Of a pod of the web server, made from those of a pod of the API. */
function webLabels(labels: Readonly<Record<string, string>>): Record<string, string> {
  return { ...labels, 'app.kubernetes.io/component': 'web' }
}

async function scale({ kubectl, gatewayWhen }: Installation, shards: number): Promise<void> {
  await kubectl('scale', `tgw/${GATEWAY}`, `--replicas=${shards}`)
  await gatewayWhen(isSettled(shards), STEP_MS)
}

async function patch({ kubectl }: Installation, spec: object): Promise<void> {
  await kubectl('patch', 'tgw', GATEWAY, '--type=merge', '-p', JSON.stringify({ spec }))
}
