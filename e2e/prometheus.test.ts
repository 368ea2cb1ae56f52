/** A real Prometheus over the running platform: it reads every process, takes the rules, and an alert comes and goes. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { alertingRule, prometheusName } from '@wmoc/observability/alert'
import { ALERTS } from '@wmoc/observability/all-alerts'
import { alertingRulesText, recordingRulesText } from '@wmoc/observability/rule-files'
import { promtool } from '@wmoc/observability/testing/promtool'
import { startPrometheus } from '@wmoc/testkit/prometheus'
import type { TestPrometheus } from '@wmoc/testkit/prometheus'
import { eventually, openStack } from './support/stack.ts'
import type { TestStack } from './support/stack.ts'

suite('Prometheus', () => {
  let under: TestStack
  let prometheus: TestPrometheus | undefined
  let folder: string
  let targets: Record<string, readonly string[]>

  before(async () => {
    under = await openStack({}, { shards: 2 })
    folder = mkdtempSync(join(tmpdir(), 'wmoc-rules-'))
    const write = (name: string, text: string) => {
      writeFileSync(join(folder, name), text)
      return join(folder, name)
    }
    // As a policy that does not want to wait two minutes would have it.
    const impatient = { groups: [{ name: 'policy', rules: [alertingRule(ALERTS.ShardDown, { for: '1s' })] }] }
    const { api, worker } = under.stack.adminPorts
    targets = {
      gateway: under.stack.gateways().map(({ adminPort }) => `127.0.0.1:${adminPort}`),
      api: [`127.0.0.1:${api}`],
      worker: [`127.0.0.1:${worker}`],
    }
    prometheus = await startPrometheus({
      interval: '1s',
      jobs: Object.entries(targets).map(([name, list]) => ({
        name,
        targets: list,
        labels: { namespace: 'e2e' },
      })),
      ruleFiles: [
        write('recording.yaml', recordingRulesText()),
        write('alerts.yaml', alertingRulesText()),
        write('policy.yaml', JSON.stringify(impatient)),
      ],
    })
  })
  after(async () => {
    await prometheus?.stop()
    await under.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  test('reads every process without an error', async () => {
    const seen = await eventually(async () => {
      const all = await prometheus!.targets()
      return all.length === 4 && all.every(({ health }) => health !== 'unknown') && all
    }, 'every target is scraped')
    assert.deepEqual(
      seen.map(({ health, lastError }) => [health, lastError]),
      [0, 1, 2, 3].map(() => ['up', '']),
    )
  })

  test('shows a controller, and the requests to it, by the recording rules', async () => {
    const person = await under.signIn('owner@example.test')
    const { id } = await under.claimSim(person, { state: 'one' })
    const reads = (expr: string, value: number) =>
      eventually(
        async () => {
          // A rate needs something that grows between two scrapes.
          assert.equal((await person.fetch(`/c/${id}/`)).status, 200)
          return (await prometheus!.query(expr)) === value
        },
        `${expr} is ${value}`,
        60_000,
      )
    await reads('job:wmoc_gateway_tunnels:sum{namespace="e2e"}', 1)
    await reads('job:wmoc_gateway_proxy_errors:ratio_rate5m{namespace="e2e"}', 0)
    await reads('count(count_values("ring", wmoc_gateway_ring_fingerprint))', 1)
    await reads('min(wmoc_api_dependency_up)', 1)
  })

  test('evaluates every rule', async () => {
    const evaluated = await eventually(async () => {
      const rules = await prometheus!.rules()
      return rules.every(({ health }) => health !== 'unknown') && rules
    }, 'every rule is evaluated')
    assert.ok(evaluated.length > 30)
    assert.deepEqual(
      evaluated.filter(({ health }) => health !== 'ok'),
      [],
    )
  })

  for (const name of ['gateway', 'api', 'worker']) {
    test(`finds nothing to say about the names and helps of ${name}’s metrics`, async () => {
      const text = await (await fetch(`http://${targets[name]![0]}/metrics`)).text()
      assert.match(text, /^wmoc_/m)
      const { isGood, text: complaints } = promtool(['check', 'metrics'], text)
      assert.ok(isGood, complaints)
      assert.equal(complaints, '')
    })
  }

  test('K9: fires an alert when a shard is killed, and ends it when the shard is back', async () => {
    const firing = async () => {
      const alerts = await prometheus!.alerts()
      return alerts.find(
        ({ labels, state }) => labels['alertname'] === prometheusName('ShardDown') && state === 'firing',
      )
    }
    assert.equal(await firing(), undefined)
    await under.stack.kill('gateway-1')
    const alert = await eventually(firing, 'the alert fires')
    assert.deepEqual(alert.labels, {
      alertname: 'WMOCShardDown',
      job: 'gateway',
      namespace: 'e2e',
      severity: 'critical',
    })
    assert.match(alert.annotations['description']!, /^1 shards of gateway in e2e/)
    await under.stack.restart('gateway-1')
    await eventually(async () => (await firing()) === undefined, 'the alert ends')
  })
})
