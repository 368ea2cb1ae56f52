import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import assert from 'node:assert/strict'
import { stringify } from 'yaml'
import { ALERT_NAMES } from './alert-names.ts'
import type { AlertName } from './alert-names.ts'
import { alertingRule, prometheusName } from './alert.ts'
import type { Alert, AlertTest } from './alert.ts'
import { ALERTS } from './all-alerts.ts'
import { RECORDING_RULES, recordingRulesFor } from './recording.ts'
import { alertingRulesText, recordingRulesText } from './rule-files.ts'
import { promtool } from './testing/promtool.ts'

const RUNBOOKS = join(import.meta.dirname, '../docs/runbooks')
const overview = readFileSync(join(RUNBOOKS, '../observability.md'), 'utf8')
const HEADINGS = ['Meaning', 'Impact', 'Diagnosis', 'Mitigation']
let folder = ''

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'wmoc-rules-'))
  writeFileSync(join(folder, 'recording.yaml'), recordingRulesText())
  writeFileSync(join(folder, 'alerts.yaml'), alertingRulesText())
})
after(() => rmSync(folder, { recursive: true }))

/** Runs the rules on samples; `expected` is what is to fire. */
function judge(alert: Alert, { series, at, interval = '1m' }: AlertTest, expected: readonly object[]) {
  const file = join(folder, `${alert.name}.test.yaml`)
  const rule = alertingRule(alert)
  const rules = [...recordingRulesFor([rule]), rule]
  writeFileSync(join(folder, 'rules.yaml'), stringify({ groups: [{ name: 'all', rules }] }))
  const input = Object.entries(series).map(([name, values]) => ({ series: name, values }))
  const asked = { eval_time: at, alertname: prometheusName(alert.name), exp_alerts: expected }
  const tests = [{ interval, input_series: input, alert_rule_test: [asked] }]
  writeFileSync(file, stringify({ rule_files: ['rules.yaml'], evaluation_interval: interval, tests }))
  return promtool(['test', 'rules', file])
}

function firing(alert: Alert): object {
  const { severity } = alert
  const { labels, description } = alert.tests.firing
  const { annotations } = alertingRule(alert)
  return { exp_labels: { severity, ...labels }, exp_annotations: { ...annotations, description } }
}

suite('rules', () => {
  test('promtool takes both files', () => {
    for (const name of ['recording.yaml', 'alerts.yaml']) {
      const { isGood, text } = promtool(['check', 'rules', join(folder, name)])
      assert.ok(isGood, text)
      assert.doesNotMatch(text, /FAILED|WARNING/i)
    }
  })

  test('a rule names the recording rules that it reads', () => {
    const rules = [alertingRule(ALERTS.TunnelErrorBudgetBurn)]
    assert.deepEqual(
      recordingRulesFor(rules).map(({ record }) => record),
      ['job:wmoc_gateway_proxy_errors:ratio_rate5m', 'job:wmoc_gateway_proxy_errors:ratio_rate1h'],
    )
    assert.deepEqual(recordingRulesFor([alertingRule(ALERTS.ShardDown)]), [])
    assert.ok(RECORDING_RULES.every(({ record }) => /^[a-z]+:wmoc_\w+:\w+$/.test(record)))
  })

  test('a policy changes severity, duration, threshold and scope, and nothing else', () => {
    const rule = alertingRule(ALERTS.DrainStuck, {
      severity: 'info',
      for: '3m',
      threshold: 12,
      matchers: ['namespace="shop"'],
      runbookBaseUrl: 'https://example.com/',
    })
    assert.deepEqual(rule, {
      ...alertingRule(ALERTS.DrainStuck),
      expr: 'sum by (namespace, job, instance) (wmoc_gateway_tunnels{namespace="shop"}) > 12 and on (namespace, job, instance) wmoc_gateway_draining{namespace="shop"} == 1',
      for: '3m',
      labels: { severity: 'info' },
      annotations: {
        ...alertingRule(ALERTS.DrainStuck).annotations,
        runbook_url: 'https://example.com/WMOCDrainStuck',
      },
    })
  })
})

for (const name of ALERT_NAMES) {
  suite(name, () => {
    const alert = ALERTS[name]

    test('K9: fires where it should, and reads as intended', () => {
      const { isGood, text } = judge(alert, alert.tests.firing, [firing(alert)])
      assert.ok(isGood, text)
      assert.ok(!judge(alert, alert.tests.firing, []).isGood, 'a test that expects silence is red')
    })

    test('K9: stays silent on what looks alike', () => {
      const { isGood, text } = judge(alert, alert.tests.silent, [])
      assert.ok(isGood, text)
    })

    test('stays valid with a threshold, a duration and a scope of one’s own', () => {
      const rule = alertingRule(alert, { threshold: 3, for: '7m', matchers: ['namespace="shop"'] })
      const file = join(folder, `${name}.own.yaml`)
      writeFileSync(file, stringify({ groups: [{ name: 'own', rules: [rule] }] }))
      const { isGood, text } = promtool(['check', 'rules', file])
      assert.ok(isGood, text)
      assert.notEqual(rule.expr, alertingRule(alert).expr)
    })

    test('has a file and a runbook of its own', () => {
      assert.equal(alert.name, name)
      const kebab = name.replaceAll(/(?<!^)([A-Z])/g, '-$1').toLowerCase()
      assert.match(
        readFileSync(join(import.meta.dirname, 'alerts', `${kebab}.ts`), 'utf8'),
        RegExp(`'${name}'`),
      )
      assert.deepEqual(headings(readFileSync(runbookOf(name), 'utf8')), HEADINGS)
      assert.ok(
        overview.includes(`| [${name}](runbooks/${prometheusName(name)}.md) |`),
        'docs/observability.md',
      )
    })
  })
}

test('there is no runbook without an alert', () => {
  const known = ALERT_NAMES.map((name) => `${prometheusName(name)}.md`)
  assert.deepEqual(readdirSync(RUNBOOKS).toSorted(), known.toSorted())
})

function runbookOf(name: AlertName): string {
  return join(RUNBOOKS, `${prometheusName(name)}.md`)
}

function headings(text: string): string[] {
  return [...text.matchAll(/^## (.+)$/gm)].map(([, heading]) => heading!)
}
