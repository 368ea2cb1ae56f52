/** A real Prometheus that reads every process of the platform in the cluster, with the chart's rules. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { alertingRule } from '@wmoc/observability/alert'
import { ALERTS } from '@wmoc/observability/all-alerts'
import { startPrometheus } from '@wmoc/testkit/prometheus'
import type { Forward } from '@wmoc/testkit/kube/forward'
import type { TestPrometheus } from '@wmoc/testkit/prometheus'
import { ROOT } from '../../../scripts/start/root.ts'
import { GATEWAY, NAMESPACE, OPERATOR_NAMESPACE } from './installation.ts'
import type { Installation } from './installation.ts'

/** Port of metrics, and the namespace, by the value of `app.kubernetes.io/component` or `…/name`. */
const PROCESSES = [
  { job: 'wmoc-api', namespace: NAMESPACE, selector: 'app.kubernetes.io/component=api', port: 9081 },
  { job: 'wmoc-worker', namespace: NAMESPACE, selector: 'app.kubernetes.io/component=worker', port: 9081 },
  { job: 'wmoc-web', namespace: NAMESPACE, selector: 'app.kubernetes.io/component=web', port: 9084 },
  {
    job: 'wmoc-operator',
    namespace: OPERATOR_NAMESPACE,
    selector: 'app.kubernetes.io/name=wmoc-operator',
    port: 9083,
  },
] as const

/** `shards`: how many there are. Its rules are those of the chart; the alert ShardDown does not wait. */
export async function watchCluster(
  { cluster }: Installation,
  shards: number,
): Promise<TestPrometheus & { readonly targetCount: number }> {
  const folder = mkdtempSync(join(tmpdir(), 'wmoc-cluster-rules-'))
  const forwards: Forward[] = []
  const jobs = []
  const open = async (host: string, port: number) => {
    const forward = await cluster.forward(host, port)
    forwards.push(forward)
    return `127.0.0.1:${forward.port}`
  }
  for (const { job, namespace, selector, port } of PROCESSES) {
    const { items } = await cluster.get<{ items: { status: { podIP: string; phase: string } }[] }>(
      'pods',
      '-n',
      namespace,
      `--selector=${selector}`,
    )
    const running = items.filter(({ status }) => status.phase === 'Running')
    const targets = await Promise.all(running.map(({ status }) => open(status.podIP, port)))
    jobs.push({ name: job, targets, labels: { namespace } })
  }
  // By name: a shard that comes back has another address.
  const shardHost = (ordinal: number) =>
    `${GATEWAY}-${ordinal}.${GATEWAY}-peers.${NAMESPACE}.svc.cluster.local`
  const targets = await Promise.all(
    Array.from({ length: shards }, (_, ordinal) => open(shardHost(ordinal), 9082)),
  )
  jobs.push({ name: GATEWAY, targets, labels: { namespace: NAMESPACE } })

  const impatient = { groups: [{ name: 'policy', rules: [alertingRule(ALERTS.ShardDown, { for: '1s' })] }] }
  const policy = join(folder, 'policy.json')
  writeFileSync(policy, JSON.stringify(impatient))
  const rules = join(ROOT, 'charts/wmoc/files/rules')
  const prometheus = await startPrometheus({
    interval: '1s',
    jobs,
    ruleFiles: [join(rules, 'recording.yaml'), join(rules, 'alerts.yaml'), policy],
  })
  return {
    ...prometheus,
    targetCount: forwards.length,
    async stop() {
      await prometheus.stop()
      await Promise.all(forwards.map((forward) => forward.close()))
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
