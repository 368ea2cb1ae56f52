import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { ALERT_NAMES } from '@wmoc/observability/alert-names'
import fc from 'fast-check'
import { stringify } from 'yaml'
import type { Stored } from '#src/runtime/objects.ts'
import { prometheusRule, rulesConfigMap } from './desired.ts'
import { planRules } from './plan.ts'
import { AlertPolicySpec } from './schema.ts'
import type { AlertPolicy } from './schema.ts'
import { eventsOf, statusOf } from './status.ts'

const NOW = '2026-11-21T10:00:00Z'
const severity = fc.constantFrom('critical', 'warning', 'info')
const preset = fc.record(
  {
    name: fc.constantFrom(...ALERT_NAMES),
    enabled: fc.boolean(),
    severity,
    for: fc.constantFrom('0s', '90s', '1h30m'),
    threshold: fc.constantFrom('0', '-1', '0.5', '100000000000000000000000'),
  },
  { requiredKeys: ['name'] },
)
const rule = fc.record(
  {
    alert: fc.stringMatching(/^[A-Z][A-Za-z0-9]{2,9}$/).filter((name) => !name.startsWith('WMOC')),
    expr: fc.constantFrom('up == 0', 'up ==', 'rate(up)', 'sum(rate(x_total[5m])) > 1', '1 == 1', 'up[5m]'),
    severity,
    summary: fc.constantFrom('It is.', 'Of {{ $labels.job }}', '{{ $value', ''),
    description: fc.constantFrom('Yes.', '{{ $value | humanize }}', '{{ nothing }}'),
    for: fc.constantFrom('5m', '10s'),
  },
  { requiredKeys: ['alert', 'expr', 'summary'] },
)
const spec = fc
  .record(
    {
      gatewayRef: fc.constant({ name: 'wmoc' }),
      presets: fc.uniqueArray(preset, { maxLength: 8, selector: ({ name }) => name }),
      rules: fc.uniqueArray(rule, { maxLength: 6, selector: ({ alert }) => alert }),
      ruleLabels: fc.constant({ release: 'kube-prometheus-stack' }),
    },
    { requiredKeys: ['presets'] },
  )
  .filter(({ presets, rules }) => presets.length + (rules?.length ?? 0) > 0)
  .map((value) => AlertPolicySpec.parse(value))

const policyOf = (value: AlertPolicySpec, status?: AlertPolicy['status']): Stored<AlertPolicy> => ({
  apiVersion: 'wmoc.online/v1alpha1',
  kind: 'AlertPolicy',
  metadata: { name: 'defaults', namespace: 'shop', uid: 'u', resourceVersion: '1', generation: 3 },
  spec: value,
  ...(status === undefined ? {} : { status }),
})

suite('the plan of a policy', () => {
  test('has every enabled preset and every own rule, either in place or refused', () => {
    fc.assert(
      fc.property(spec, (value) => {
        const { alerting, rejected } = planRules(value, 'shop')
        const presets = (value.presets ?? [])
          .filter(({ enabled }) => enabled)
          .map(({ name }) => `WMOC${name}`)
        const own = (value.rules ?? []).map(({ alert }) => alert)
        assert.deepEqual(
          [...alerting, ...rejected].map(({ alert }) => alert).toSorted(),
          [...presets, ...own].toSorted(),
        )
        for (const { problem } of rejected) assert.ok(problem.length > 10)
      }),
    )
  })

  test('of a good rule does not depend on the bad ones beside it', () => {
    fc.assert(
      fc.property(spec, (value) => {
        const { alerting, rejected } = planRules(value, 'shop')
        const bad = new Set(rejected.map(({ alert }) => alert))
        const without = { ...value, rules: value.rules?.filter(({ alert }) => !bad.has(alert)) }
        assert.deepEqual(planRules(without as AlertPolicySpec, 'shop').alerting, alerting)
      }),
    )
  })

  test('takes threshold, duration and severity of a preset, and the series of the gateway it names', () => {
    const value = AlertPolicySpec.parse({
      gatewayRef: { name: 'wmoc' },
      runbookBaseURL: 'https://wiki.example/',
      presets: [
        { name: 'ShardDown', severity: 'info', for: '10m', threshold: '2' },
        { name: 'OperatorReconcileErrors' },
        { name: 'RolloutStuck' },
      ],
    })
    const [shard, operator, rollout] = planRules(value, 'shop').alerting
    assert.match(shard!.expr, /up\{namespace="shop"\}.* > 2$/)
    assert.deepEqual([shard!.for, shard!.labels['severity']], ['10m', 'info'])
    assert.equal(shard!.annotations['runbook_url'], 'https://wiki.example/WMOCShardDown')
    assert.doesNotMatch(operator!.expr, /shop/)
    assert.match(rollout!.expr, /,object_namespace="shop"\}/)
    assert.doesNotMatch(rollout!.expr, /[{,]namespace=/)
  })

  test('brings the recording rules that its alerts read', () => {
    const value = AlertPolicySpec.parse({ presets: [{ name: 'TunnelErrorBudgetBurn' }] })
    const { recording, alerting } = planRules(value, 'shop')
    assert.ok(recording.length >= 2)
    for (const { record } of recording) assert.ok(alerting[0]!.expr.includes(record))
    assert.deepEqual(planRules({ ...value, recordingRules: false }, 'shop').recording, [])
  })

  test('gives rules that promtool takes, as PrometheusRule and as file', () => {
    const folder = mkdtempSync(join(tmpdir(), 'wmoc-rules-'))
    try {
      const paths = fc.sample(spec, { numRuns: 60, seed: 3 }).flatMap((value, index) => {
        const policy = policyOf(value)
        const plan = planRules(value, 'shop')
        const texts = [
          stringify(prometheusRule(policy, plan).spec),
          rulesConfigMap(policy, plan).data!['rules.yaml']!,
        ]
        return texts.map((text, form) => {
          const path = join(folder, `${index}-${form}.yaml`)
          writeFileSync(path, text)
          return path
        })
      })
      const { status, stdout, stderr, error } = spawnSync('promtool', ['check', 'rules', ...paths], {
        encoding: 'utf8',
      })
      if (error) throw error
      assert.equal(status, 0, `${stdout}${stderr}`.slice(-2_000))
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

suite('the status of a policy', () => {
  const place = { kind: 'PrometheusRule', isTaken: false } as const

  test('counts, is stable, and tells a refusal once', () => {
    fc.assert(
      fc.property(spec, (value) => {
        const plan = planRules(value, 'shop')
        const status = statusOf(policyOf(value), plan, place, NOW)
        assert.deepEqual(
          [status.rules, status.rejected, status.observedGeneration],
          [plan.alerting.length, plan.rejected.length, 3],
        )
        const after = policyOf(value, status)
        assert.deepEqual(statusOf(after, plan, place, '2027-01-01T00:00:00Z'), status)
        assert.equal(eventsOf(policyOf(value), plan).length, plan.rejected.length)
        assert.deepEqual(eventsOf(after, plan), [])
      }),
    )
  })

  test('says what a refused rule is called and what is wrong with it', () => {
    const value = AlertPolicySpec.parse({
      presets: [{ name: 'ShardDown' }],
      rules: [{ alert: 'MyRule', expr: 'rate(up)' }],
    })
    const { conditions } = statusOf(policyOf(value), planRules(value, 'shop'), place, NOW)
    const byType = Object.fromEntries(conditions!.map((each) => [each.type, each]))
    assert.deepEqual([byType['Ready']?.status, byType['Ready']?.reason], ['True', 'RulesApplied'])
    assert.deepEqual([byType['Accepted']?.status, byType['Accepted']?.reason], ['False', 'RuleRejected'])
    assert.match(byType['Accepted']!.message, /MyRule: rate takes a range like \[5m\], and up is series/)
  })
})
