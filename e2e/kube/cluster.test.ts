import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { run } from '@wmoc/testkit/process'
import { startCluster } from '@wmoc/testkit/kube/cluster'
import { ROOT } from '../../scripts/start/root.ts'
import type { TestCluster } from '@wmoc/testkit/kube/cluster'
import { waitUntil } from '@wmoc/testkit/kube/execute'

const NAMESPACE = {
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name: 'strict', labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } },
}
const container = {
  name: 'echo',
  image: 'localhost/pause:1',
  imagePullPolicy: 'Never',
  args: ['serve', ':8080'],
  ports: [{ containerPort: 8080 }],
  readinessProbe: { httpGet: { path: '/', port: 8080 }, periodSeconds: 1 },
}
const RESTRICTED = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
}
const labels = { app: 'echo' }
const metadata = { name: 'echo', namespace: 'strict' }
const ECHO = [
  {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata,
    spec: {
      replicas: 2,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
          topologySpreadConstraints: [
            {
              maxSkew: 1,
              topologyKey: 'kubernetes.io/hostname',
              whenUnsatisfiable: 'DoNotSchedule',
              labelSelector: { matchLabels: labels },
            },
          ],
          containers: [{ ...container, securityContext: RESTRICTED }],
        },
      },
    },
  },
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata,
    spec: { selector: labels, ports: [{ port: 80, targetPort: 8080 }] },
  },
]

/** What a cluster of this machine would leave behind: processes in its folder, mounts, cgroups, interfaces. */
function traces(folder: string): string[] {
  const processes = execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' }).split('\n')
  const mounts = readFileSync('/proc/mounts', 'utf8').split('\n')
  const groups = ['memory', 'systemd'].flatMap((name) =>
    readdirSync(`/sys/fs/cgroup/${name}`, { recursive: true, encoding: 'utf8' }),
  )
  return [
    ...[...processes, ...mounts].filter((line) => line.includes(folder)),
    ...groups.filter((path) => /wmoc-cluster-\d+$/.test(path)),
    ...(existsSync(folder) ? [folder] : []),
  ]
}

suite('a cluster of two nodes', () => {
  let cluster: TestCluster
  before(async () => {
    cluster = await startCluster({ nodes: 2 })
  })
  after(() => cluster.stop())

  test('runs pods under restricted on both nodes, and refuses others', async () => {
    await cluster.apply(NAMESPACE)
    await cluster.apply(ECHO)
    await cluster.kubectl('rollout', 'status', '-n', 'strict', 'deployment/echo', '--timeout=60s')
    const { items } = await cluster.get<{ items: { spec: { nodeName: string } }[] }>('pods', '-n', 'strict')
    assert.deepEqual(items.map(({ spec }) => spec.nodeName).toSorted(), ['node-1', 'node-2'])
    await assert.rejects(
      cluster.apply({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'loose', namespace: 'strict' },
        spec: { containers: [container] },
      }),
      /violates PodSecurity "restricted/,
    )
  })

  test('lets the test reach every pod through the name of their Service', async () => {
    const { url, close } = await cluster.forward('echo.strict.svc.cluster.local', 80)
    const names = new Set<string>()
    await waitUntil('answers of both pods', async () => {
      const response = await fetch(url, { headers: { connection: 'close' } })
      names.add(await response.text())
      return names.size === 2
    })
    await close()
  })

  test('keeps its objects over a restart of the API server', async () => {
    await cluster.restartApiServer()
    assert.match(await cluster.kubectl('get', 'deployment', '-n', 'strict'), /echo/)
  })

  test('notices the loss of a node and its return, and runs pods there again', async () => {
    await cluster.killNode('node-2')
    await cluster.kubectl('wait', 'node/node-2', '--for=condition=Ready=Unknown', '--timeout=90s')
    await cluster.kubectl('wait', 'node/node-1', '--for=condition=Ready', '--timeout=10s')
    await cluster.startNode('node-2')
    await cluster.kubectl('wait', 'node/node-2', '--for=condition=Ready', '--timeout=90s')
    await cluster.kubectl('rollout', 'status', '-n', 'strict', 'deployment/echo', '--timeout=90s')
  })

  test('leaves nothing behind when it stops, whatever its nodes went through', async () => {
    assert.notDeepEqual(traces(cluster.folder), [])
    await cluster.stop()
    assert.deepEqual(traces(cluster.folder), [])
  })
})

test('leaves nothing behind when the test is killed', async (t) => {
  const scripts = mkdtempSync(join(tmpdir(), 'wmoc-killed-'))
  t.after(() => rmSync(scripts, { recursive: true }))
  const script = join(scripts, 'dies.ts')
  writeFileSync(
    script,
    `import { startCluster } from '${join(ROOT, 'testkit/src/kube/cluster.ts')}'
console.log('folder', (await startCluster()).folder)
setInterval(() => {}, 1000)`,
  )
  const child = run(script)
  const folder = (await child.waitFor(/^folder /, 120_000)).split(' ')[1]!
  child.kill('SIGKILL')
  await waitUntil('the cluster is gone', async () => traces(folder).length === 0)
})
