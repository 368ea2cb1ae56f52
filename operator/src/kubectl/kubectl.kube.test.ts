import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { createLogger } from '@wmoc/platform/log'
import { findTool } from '@wmoc/testkit/kube/tools'
import { testRedis } from '@wmoc/testkit/redis'
import { startControlPlane } from '@wmoc/tunnel-gateway/testing/control-plane-server'
import { startHarness } from '@wmoc/tunnel-gateway/testing/harness'
import { crdManifest } from '#src/crds/definition.ts'
import { KINDS } from '#src/kinds.ts'
import { ASKED, POD, SET, TunnelGateways, selectorLabels } from '#src/kinds/tunnel-gateway/names.ts'
import type { KubeClient } from '#src/runtime/client.ts'
import { timestamp } from '#src/runtime/conditions.ts'
import { Pods } from '#src/runtime/resources.ts'
import { eventually, startServerWithWidgets } from '#src/testing/api-server.ts'
import { ownAddress, startLogKubelet } from '#src/testing/log-kubelet.ts'
import { runPlugin } from './run.ts'

let server: Awaited<ReturnType<typeof startServerWithWidgets>>
let kubelet: Awaited<ReturnType<typeof startLogKubelet>>
let cluster: Awaited<ReturnType<typeof startShards>>
let client: KubeClient
const ref = { namespace: 'default', name: 'gw' }

/** Two real shards of one cluster. */
async function startShards() {
  const redis = await testRedis()
  const controlPlane = await startControlPlane()
  const shards = await Promise.all(
    ['gw-0', 'gw-1'].map((name) => {
      const log = createLogger({ process: 'gateway', format: 'json', stream: kubelet.streamOf(name) })
      const environment = { SHARD_ID: name, ADMIN_HOST: '0.0.0.0', LEASE_RENEW_MS: '200' }
      return startHarness(environment, log, { redis, controlPlane })
    }),
  )
  return {
    shards,
    controlPlane,
    async stop() {
      await Promise.all(shards.map((shard) => shard.stop()))
      await controlPlane.stop()
      await redis.stop()
    },
  }
}

/** The pod of a shard, running on this machine. */
async function createPod(name: string, adminPort: number): Promise<void> {
  const labels = {
    ...selectorLabels('gw'),
    'app.kubernetes.io/part-of': 'wmoc',
    'app.kubernetes.io/component': 'gateway',
  }
  await server.apply({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', labels },
    spec: {
      nodeName: 'node',
      containers: [
        {
          name: 'gateway',
          image: 'example.org/gateway:1',
          ports: [{ name: 'admin', containerPort: adminPort }],
          env: [{ name: 'INTERNAL_TOKEN', value: 'very-secret-value-1' }],
        },
      ],
    },
  })
  await client.patchStatus(
    Pods,
    { namespace: 'default', name },
    {
      phase: 'Running',
      podIP: ownAddress(),
      podIPs: [{ ip: ownAddress() }],
      conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: timestamp(Date.now()) }],
      containerStatuses: [
        { name: 'gateway', ready: true, restartCount: 0, image: 'x', imageID: 'x', state: { running: {} } },
      ],
    },
  )
}

before(async () => {
  server = await startServerWithWidgets()
  client = server.connect()
  kubelet = await startLogKubelet(server.folder)
  cluster = await startShards()
  for (const { crd } of KINDS) await server.apply(crdManifest(crd))
  await server.kubectl('wait', '--for=condition=Established', 'crd', '--all')
  await server.apply({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'node' } })
  await server.kubectl(
    'patch',
    'node',
    'node',
    '--subresource=status',
    '--type=merge',
    '-p',
    JSON.stringify({
      status: {
        addresses: [{ type: 'InternalIP', address: ownAddress() }],
        daemonEndpoints: { kubeletEndpoint: { Port: kubelet.port } },
      },
    }),
  )
  await server.apply({
    apiVersion: TunnelGateways.apiVersion,
    kind: 'TunnelGateway',
    metadata: ref,
    spec: {
      image: { repository: 'example.org/gateway', tag: '1' },
      redis: { secretKeyRef: { name: 'redis' } },
      env: [{ name: 'SOME_PASSWORD', value: 'very-secret-value-2' }],
    },
  })
  await setProgressing('False', 'Complete')
  for (const [at, shard] of cluster.shards.entries()) await createPod(`gw-${at}`, shard.gateway.adminPort)
})
after(async () => {
  await cluster?.stop()
  await kubelet?.stop()
  await server?.stop()
})

async function setProgressing(status: 'True' | 'False', reason: string): Promise<void> {
  const lastTransitionTime = timestamp(Date.now())
  await client.patchStatus(TunnelGateways, ref, {
    phase: 'All shards are up to date.',
    readyReplicas: 2,
    tunnels: 1,
    rollout: { target: 'abc123', serving: 'abc123' },
    conditions: [
      {
        type: 'Available',
        status: 'False',
        reason: 'ShardsMissing',
        message: 'one shard is away',
        lastTransitionTime,
      },
      { type: 'Progressing', status, reason, message: 'done', lastTransitionTime },
    ],
  })
}

/** What the operator makes and remembers its rollouts on. */
async function createSet(completed: string): Promise<void> {
  const labels = selectorLabels('gw')
  await server.apply({
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { ...ref, annotations: { [SET.completed]: completed } },
    spec: {
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: { containers: [{ name: 'gateway', image: 'example.org/gateway:1' }] },
      },
    },
  })
}

/** What the plugin prints and answers. */
async function plugin(...argv: string[]) {
  let out = ''
  let err = ''
  const code = await runPlugin({
    argv,
    env: { KUBECONFIG: server.kubeconfig },
    write: (text) => (out += text.toString()),
    warn: (text) => (err += text),
    signal: AbortSignal.timeout(60_000),
  })
  return { code, out, err }
}

async function json<T>(...argv: string[]): Promise<T> {
  const { code, out, err } = await plugin(...argv, '-o', 'json')
  assert.equal(code, 0, err)
  return JSON.parse(out) as T
}

test('kubectl finds it as a plugin', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'wmoc-plugin-'))
  t.after(() => rmSync(folder, { recursive: true }))
  symlinkSync(join(import.meta.dirname, 'main.ts'), join(folder, 'kubectl-wmoc'))
  const path = [folder, join(process.execPath, '..'), process.env['PATH']].join(delimiter)
  const { stdout } = await promisify(execFile)(findTool('kubectl'), ['wmoc', 'status'], {
    env: { ...process.env, KUBECONFIG: server.kubeconfig, PATH: path },
  })
  assert.match(stdout, /^NAME +DESIRED +READY/)
})

test('status: a line a gateway, and what is not as it should be', async () => {
  const { out, code } = await plugin('status')
  assert.equal(code, 0)
  assert.match(out, /^gw +2 +2 .* All shards are up to date\.$/m)
  assert.match(out, /Available=False ShardsMissing: one shard is away/)
  assert.doesNotMatch(out, /Progressing|Stalled|Ready=/)
})

test('status: what somebody asked for and may have forgotten', async () => {
  await plugin('rollout', 'pause')
  assert.match((await plugin('status')).out, /a rollout waits for: kubectl wmoc rollout resume -g gw/)
  await plugin('rollout', 'resume')
  assert.doesNotMatch((await plugin('status')).out, /rollout resume/)
})

test('a gateway that nobody has looked at yet: what is missing, not two commands that name each other', async () => {
  await server.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'fresh' } })
  await server.apply({
    apiVersion: TunnelGateways.apiVersion,
    kind: 'TunnelGateway',
    metadata: { name: 'new', namespace: 'fresh' },
    spec: {
      image: { repository: 'example.org/gateway', tag: '1' },
      redis: { secretKeyRef: { name: 'redis' } },
    },
  })
  assert.match((await plugin('status', '-n', 'fresh')).out, /has not looked at it yet/)
  assert.match((await plugin('shards', '-n', 'fresh')).out, /no shard has a pod/)
  for (const word of ['abort', 'undo'])
    assert.match((await plugin('rollout', word, '-n', 'fresh')).err, /has not looked at it yet/)
  await server.kubectl('delete', 'namespace', 'fresh', '--wait=false')
  await server.kubectl('delete', 'tgw', 'new', '-n', 'fresh', '--ignore-not-found')
})

test('shards: what each says of itself', async () => {
  const device = await cluster.shards[1]!.online(cluster.controlPlane.addController())
  const { out } = await plugin('shards')
  assert.match(out, /^gw-0 +yes +serving +\S+ +0 +0 /m)
  assert.match(out, /^gw-1 +yes +serving +\S+ +1 +0 /m)
  const found = await json<{ pod: string; status: { tunnels: number } }[]>('shards')
  assert.deepEqual(
    found.map(({ pod, status }) => [pod, status.tunnels]),
    [
      ['gw-0', 0],
      ['gw-1', 1],
    ],
  )
  device.stop()
})

test('where: the shard that holds a controller, by its id or by the name or MAC of its object', async () => {
  const known = cluster.controlPlane.addController()
  const id = known.record.controllerId
  const device = await cluster.shards[1]!.online(known)
  const { out } = await plugin('where', id)
  assert.ok(out.startsWith(`${id} is on gw-1\n`), out)
  await server.apply({
    apiVersion: 'wmoc.online/v1alpha1',
    kind: 'Controller',
    metadata: { name: 'boiler', namespace: 'default' },
    spec: { mac: '24:6F:28:AA:BB:CC', owner: 'someone@example.org' },
  })
  const unregistered = await plugin('where', 'boiler')
  assert.match(unregistered.err, /its device has not registered/)
  await server.kubectl(
    'patch',
    'wctl',
    'boiler',
    '--subresource=status',
    '--type=merge',
    '-p',
    JSON.stringify({ status: { controllerId: id } }),
  )
  for (const name of ['boiler', '24:6f:28:aa:bb:cc', '246F28AABBCC']) {
    assert.equal((await json<{ shard: string }>('where', name)).shard, 'gw-1', name)
  }
  device.stop()
  await device.closed
  await eventually(
    'it is gone',
    async () => (await json<{ shard: string | null }>('where', id)).shard === null,
  )
})

test('drain and undrain: by annotation, and --wait until the shard is empty', async () => {
  await plugin('drain', 'gw-0')
  const pod = await client.get(Pods, { namespace: 'default', name: 'gw-0' })
  assert.equal(pod?.metadata.annotations?.[POD.drain], 'true')
  // What the operator does when it sees the annotation.
  await fetch(`http://127.0.0.1:${cluster.shards[0]!.gateway.adminPort}/drain`, { method: 'POST' })
  const waited = await plugin('drain', 'gw-0', '--wait', '--timeout', '30s')
  assert.match(waited.out, /gw-0 is empty/)
  assert.match((await plugin('shards')).out, /^gw-0 .*(draining|drained).*drain asked for by annotation$/m)
  const late = await plugin('drain', 'gw-1', '--wait', '--timeout', '0s')
  assert.equal(late.code, 2)
  assert.match(late.err, /gw-1 is not empty yet/)
  for (const name of ['gw-0', 'gw-1']) assert.equal((await plugin('undrain', name)).code, 0)
  assert.match((await plugin('undrain', 'gw-0')).err, /nobody asked gw-0 to drain/)
  await fetch(`http://127.0.0.1:${cluster.shards[0]!.gateway.adminPort}/undrain`, { method: 'POST' })
})

test('rollout: says to the operator what is wanted, and refuses what makes no sense', async () => {
  const spec = async () => (await client.get(TunnelGateways, ref))!
  assert.equal((await plugin('rollout', 'pause')).code, 0)
  assert.equal((await spec()).spec.paused, true)
  assert.match((await plugin('rollout', 'pause')).err, /paused already/)
  assert.equal((await plugin('rollout', 'resume')).code, 0)
  assert.equal((await spec()).spec.paused, false)
  assert.match((await plugin('rollout', 'resume')).err, /nothing is paused/)
  assert.match((await plugin('rollout', 'abort')).err, /no rollout is under way/)
  await setProgressing('False', 'Paused')
  assert.match((await plugin('rollout', 'undo')).err, /a rollout is under way/)
  assert.match((await plugin('rollout', 'abort')).err, /no earlier rollout/)
  await createSet('abc123,old456')
  await plugin('rollout', 'pause')
  assert.match((await plugin('rollout', 'abort')).out, /goes back to template old456/)
  assert.equal((await spec()).spec.paused, false)
  assert.equal((await spec()).metadata.annotations?.[ASKED.rejected], 'abc123')
  assert.match((await plugin('rollout', 'abort')).err, /went back already/)
  assert.equal((await plugin('rollout', 'restart')).code, 0)
  assert.ok((await spec()).metadata.annotations?.[ASKED.restartedAt])
  assert.match((await plugin('rollout', 'status')).err, /kubectl wmoc status/)
  assert.match((await plugin('rollout', 'sideways')).err, /use one of pause, resume, abort, undo, restart/)
  await setProgressing('False', 'Complete')
})

test('tail: the lines of every shard that name a controller, also those to come', async () => {
  const known = cluster.controlPlane.addController()
  const other = cluster.controlPlane.addController()
  const id = known.record.controllerId
  const early = await cluster.shards[0]!.online(known)
  const device = await cluster.shards[0]!.online(other)
  let out = ''
  const ending = new AbortController()
  const tailing = runPlugin({
    argv: ['tail', id],
    env: { KUBECONFIG: server.kubeconfig },
    write: (text) => (out += text.toString()),
    warn: () => {},
    signal: ending.signal,
  })
  await eventually('what was logged before', () => /^gw-0 .*tunnel opened/m.test(out))
  early.stop()
  const moved = await cluster.shards[1]!.online(known)
  await eventually('what is logged then', () => /^gw-1 .*tunnel opened/m.test(out))
  ending.abort()
  assert.equal(await tailing, 0)
  assert.ok(!out.includes(other.record.controllerId))
  assert.match((await plugin('tail', id, '--no-follow')).out, /^gw-1 .*tunnel opened/m)
  for (const open of [device, moved]) open.stop()
})

test('report: objects, logs and figures in an archive, without secrets', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'wmoc-report-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'report.tar.gz')
  await server.kubectl(
    'create',
    'secret',
    'generic',
    'redis',
    '--from-literal=url=redis://u:very-secret-value-3@h',
  )
  const { code, err } = await plugin('report', '-f', file)
  assert.equal(code, 0, err)
  const unpack = promisify(execFile)
  const { stdout: names } = await unpack('tar', ['tzf', file])
  for (const name of [
    'version.json',
    'objects/tunnelgateways.json',
    'objects/pods.json',
    'objects/events.json',
    'pods/gw-0/status.json',
    'pods/gw-0/metrics.txt',
    'pods/gw-0/gateway.log',
    'problems.txt',
  ]) {
    assert.ok(names.split('\n').includes(name), `${name} is not among ${names}`)
  }
  const { stdout: all } = await unpack('tar', ['xzOf', file], { maxBuffer: 100_000_000 })
  assert.doesNotMatch(all, /very-secret-value/)
  assert.match(all, /INTERNAL_TOKEN/)
  assert.match(all, /wmoc_gateway_tunnels/)
  assert.ok(readFileSync(file).length > 1_000)
})

test('what is wrong is said in a line', async () => {
  const cases: readonly [readonly string[], RegExp, number][] = [
    [['unknown'], /there is no command "unknown"/, 2],
    [['status', '-o', 'yaml'], /use -o table or -o json/, 2],
    [['status', '--wrong'], /--wrong/, 2],
    [
      ['status', '-n', 'nowhere'],
      /no TunnelGateway in the namespace nowhere; there is one in default: say so by -n/,
      2,
    ],
    [['shards', '-g', 'other'], /no TunnelGateway "other" in the namespace default; there is gw$/m, 2],
    [['drain'], /takes one pod: kubectl wmoc drain POD/, 2],
    [['drain', 'gw-7'], /no pod "gw-7"/, 2],
    [['where', 'nobody'], /no object Controller "nobody"/, 2],
    [['drain', 'gw-0', '--timeout', 'soon'], /--timeout must be like/, 2],
    [['status', '--context', 'none'], /no context "none"/, 1],
    [['status', '--kubeconfig', '/none'], /set KUBECONFIG/, 1],
  ]
  for (const [argv, words, code] of cases) {
    const found = await plugin(...argv)
    assert.match(found.err, words)
    assert.equal(found.code, code, argv.join(' '))
    assert.equal(found.err.split('\n').length, 2, found.err)
  }
  const { out, code } = await plugin('--help')
  assert.equal(code, 0)
  assert.match(out, /kubectl wmoc rollout undo/)
})
