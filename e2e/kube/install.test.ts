/** Both charts on a real cluster, and what its operators do there, under traffic that nobody may disturb. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { eventually } from '../support/stack.ts'
import {
  GATEWAY,
  NEXT_VERSION,
  OPERATOR_NAMESPACE,
  installPlatform,
  isSettled,
} from './support/installation.ts'
import type { Installation } from './support/installation.ts'
import { watchCluster } from './support/prometheus.ts'
import { watchShardsAway } from './support/shards-away.ts'
import type { ShardsAway } from './support/shards-away.ts'
import { startTraffic } from './support/traffic.ts'
import type { Traffic } from './support/traffic.ts'

const DEVICES = 200
/** How long a change of the shards may take on a busy machine. */
const STEP_MS = 240_000

suite('the platform on a real cluster', () => {
  let platform: Installation
  let traffic: Traffic
  let away: ShardsAway
  before(async () => {
    platform = await installPlatform()
  })
  after(async () => {
    await away?.stop()
    await traffic?.stop()
    await platform?.stop()
  })

  /** Nothing was lost, and every controller is there. */
  const checkTraffic = async () => {
    await eventually(async () => traffic.online() === DEVICES, 'all controllers are back', 60_000)
    const { requests, failures } = traffic.since()
    assert.deepEqual(failures, [])
    assert.ok(requests > 0)
    assert.ok(away.most() <= 1, `${away.most()} shards were away at once`)
  }

  test('K7: every process is Ready in namespaces that enforce restricted', async () => {
    await platform.gatewayWhen(isSettled(3))
    const { items } = await platform.cluster.get<{
      items: {
        metadata: { name: string }
        status: { phase: string; containerStatuses: { ready: boolean }[] }
      }[]
    }>('pods', '-A')
    const bad = items.filter(
      ({ status }) => status.phase !== 'Succeeded' && !status.containerStatuses.every(({ ready }) => ready),
    )
    assert.deepEqual(
      bad.map(({ metadata }) => metadata.name),
      [],
    )
    assert.equal(items.filter(({ metadata }) => metadata.name.startsWith(`${GATEWAY}-`)).length, 3)
  })

  test('helm test takes a controller to one shard and its page through the others', async () => {
    const said = await platform.cluster.helm('test', 'wmoc', '-n', 'wmoc', '--logs', '--timeout', '2m')
    assert.match(said, /passed through 2 shards/)
  })

  test('an upgrade from an earlier chart keeps every tunnel', async () => {
    traffic = await startTraffic(platform, { devices: DEVICES, perSecond: 20 })
    away = watchShardsAway(platform)
    await platform.upgrade()
    await platform.gatewayWhen(isSettled(3), STEP_MS)
    await checkTraffic()
    const anew = traffic.fleet.report().filter(({ registrations }) => registrations > 1)
    assert.deepEqual(anew, [])
    assert.equal(away.most(), 0)
  })

  test('scaling out and in loses no request and no controller', async () => {
    await scale(platform, 5)
    await scale(platform, 2)
    await checkTraffic()
    assert.equal(await count('ShardDrainCompleted'), 3)
    assert.equal(await count('ShardDrainTimedOut'), 0)
  })

  test('a new version goes to one shard after the other', async () => {
    await scale(platform, 3)
    await patch(platform, { image: { tag: NEXT_VERSION } })
    await platform.gatewayWhen(isSettled(3), STEP_MS)
    await checkTraffic()
    assert.equal(await count('RolloutCompleted'), 1)
    const of = ['--selector=app.kubernetes.io/name=tunnel-gateway', '--output=json']
    const { items } = JSON.parse(await platform.kubectl('get', 'pods', ...of)) as {
      items: { spec: { containers: { image: string }[] } }[]
    }
    const images = new Set(items.map(({ spec }) => spec.containers[0]!.image))
    assert.deepEqual([...images], [`ghcr.io/wmoc/wmoc-gateway:${NEXT_VERSION}`])
  })

  test('K4: a version that does not start is taken back after one shard', async () => {
    await patch(platform, { image: { tag: 'broken' }, rollout: { progressDeadline: '20s' } })
    await platform.gatewayWhen(({ status }) => status?.phase?.startsWith('RolledBack') ?? false, STEP_MS)
    assert.equal(await count('RolloutAborted'), 1)
    await patch(platform, { image: { tag: NEXT_VERSION } })
    await platform.gatewayWhen(isSettled(3), STEP_MS)
    await checkTraffic()
  })

  test('K2: another operator goes on with the drain of one that dies', async () => {
    const drains = await count('ShardDrainStarted')
    await platform.kubectl('scale', `tgw/${GATEWAY}`, '--replicas=2')
    await eventually(async () => (await count('ShardDrainStarted')) > drains, 'a drain', STEP_MS)
    const { spec } = await platform.cluster.get<{ spec: { holderIdentity: string } }>(
      'lease',
      'wmoc-operator',
      '-n',
      OPERATOR_NAMESPACE,
    )
    const [leader = ''] = spec.holderIdentity.split('_')
    const now = ['--force', '--grace-period=0']
    await platform.cluster.kubectl('delete', 'pod', leader, '-n', OPERATOR_NAMESPACE, ...now)
    await platform.gatewayWhen(isSettled(2), STEP_MS)
    await checkTraffic()
  })

  test('K3: an evicted shard drains by itself', async () => {
    const name = `${GATEWAY}-1`
    const { metadata } = JSON.parse(await platform.kubectl('get', 'pod', name, '-o', 'json')) as {
      metadata: { uid: string }
    }
    await platform.evict(name)
    await eventually(
      async () => !(await platform.kubectl('get', 'pods', '-o', 'json')).includes(metadata.uid),
      'the evicted pod is gone',
      STEP_MS,
    )
    await platform.gatewayWhen(isSettled(2), STEP_MS)
    await checkTraffic()
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
      await eventually(async () => traffic.online() === DEVICES, 'all controllers are back', 60_000)
    } finally {
      await prometheus.stop()
    }
  })

  const count = async (reason: string) => (await platform.events()).filter((name) => name === reason).length
})

async function scale({ kubectl, gatewayWhen }: Installation, shards: number): Promise<void> {
  await kubectl('scale', `tgw/${GATEWAY}`, `--replicas=${shards}`)
  await gatewayWhen(isSettled(shards), STEP_MS)
}

async function patch({ kubectl }: Installation, spec: object): Promise<void> {
  await kubectl('patch', 'tgw', GATEWAY, '--type=merge', '-p', JSON.stringify({ spec }))
}
