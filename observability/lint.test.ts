import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import assert from 'node:assert/strict'
import { createMetrics } from '@wmoc/platform/metrics'
import { ALERT_NAMES } from './alert-names.ts'
import { alertingRule } from './alert.ts'
import { ALERTS } from './all-alerts.ts'
import { DASHBOARDS } from './all-dashboards.ts'
import { dashboardText } from './dashboard.ts'
import { createCatalogue, unknownNames } from './lint/catalogue.ts'
import { dashboardProblems } from './lint/dashboard-rules.ts'
import type { DashboardJson, PanelJson } from './lint/dashboard-rules.ts'
import { groupingLabels, metricReferences, ranges } from './lint/references.ts'
import { RECORDING_RULES } from './recording.ts'
import { promtool } from './testing/promtool.ts'

const ROOT = join(import.meta.dirname, '..')
const reference = readFileSync(join(ROOT, 'docs/generated/metrics.md'), 'utf8')
const defaults = createMetrics('test')
  .registry.getMetricsAsArray()
  .map(({ name }) => name)
  .filter((name) => !name.startsWith('wmoc_'))
const catalogue = createCatalogue(reference, defaults)

suite('what an expression names', () => {
  test('is metrics with their matchers, labels to group by and ranges, and no function or string', () => {
    const expr =
      'sum by (instance, le) (rate(wmoc_gateway_tunnels{job=~"$job",protocol!="up"}[5m])) / on (job) job:wmoc_x:sum offset 5m and up == count_values("process_x", process_cpu_seconds_total)'
    assert.deepEqual(
      metricReferences(expr).map(({ metric, matchers }) => [metric, ...matchers]),
      [
        ['wmoc_gateway_tunnels', 'job', 'protocol'],
        ['job:wmoc_x:sum'],
        ['up'],
        ['process_cpu_seconds_total'],
      ],
    )
    assert.deepEqual(groupingLabels(expr), ['instance', 'le', 'job'])
    assert.deepEqual(ranges(expr), ['5m'])
  })

  test('is told when it does not exist', () => {
    const cases = {
      'sum(wmoc_gateway_tunnel)': ['there is no metric wmoc_gateway_tunnel'],
      'wmoc_gateway_tunnels{kind="x"}': ['wmoc_gateway_tunnels has no label kind'],
      'sum by (reason) (wmoc_gateway_tunnels)': ['no metric here has a label reason'],
      'vector(1)': ['no metric is named'],
      wmoc_gateway_tunnel_rtt_seconds: ['there is no metric wmoc_gateway_tunnel_rtt_seconds'],
      'sum by (le) (wmoc_gateway_tunnel_rtt_seconds_bucket)': [],
    }
    for (const [expr, problems] of Object.entries(cases))
      assert.deepEqual(unknownNames(expr, catalogue), problems)
  })
})

suite('every metric and label exists that is named', () => {
  for (const name of ALERT_NAMES) {
    test(`by the alert ${name} and its samples`, () => {
      const alert = ALERTS[name]
      const { expr } = alertingRule(alert)
      assert.deepEqual(unknownNames(expr, catalogue), [])
      for (const { series } of [alert.tests.firing, alert.tests.silent])
        for (const sample of Object.keys(series))
          assert.deepEqual(unknownNames(sample, catalogue), [], sample)
    })
  }

  test('by the recording rules', () => {
    for (const { expr, record } of RECORDING_RULES)
      assert.deepEqual(unknownNames(expr, catalogue), [], record)
  })

  test('by the queries of the runbooks', () => {
    assert.ok(runbookQueries().length > 20)
    for (const { file, expr } of runbookQueries())
      assert.deepEqual(unknownNames(expr, catalogue), [], `${file}: ${expr}`)
  })
})

test('Prometheus understands every query of the dashboards and runbooks', () => {
  const folder = mkdtempSync(join(tmpdir(), 'wmoc-queries-'))
  const parses = (queries: readonly string[]) => {
    const rules = queries.map((expr) => ({ record: 'a:query:b', expr: withoutVariables(expr) }))
    const groups = rules.map((rule, index) => ({ name: String(index), rules: [rule] }))
    writeFileSync(join(folder, 'queries.yaml'), JSON.stringify({ groups }))
    return promtool(['check', 'rules', join(folder, 'queries.yaml')])
  }
  const queries = [...dashboardQueries(), ...runbookQueries().map(({ expr }) => expr)]
  assert.ok(queries.length > 80)
  const { isGood, text } = parses(queries)
  assert.ok(isGood, text)
  assert.ok(!parses([...queries, 'sum(wmoc_gateway_tunnels']).isGood)
  rmSync(folder, { recursive: true })
})

function dashboardQueries(): string[] {
  const panels = DASHBOARDS.flatMap(({ rows }) => rows.flatMap((row) => row.panels))
  return panels.flatMap(({ queries }) => Object.values(queries))
}

function withoutVariables(expr: string): string {
  return expr.replaceAll('$__rate_interval', '5m').replaceAll('$__range', '3h')
}

function runbookQueries(): { file: string; expr: string }[] {
  const folder = join(ROOT, 'docs/runbooks')
  return readdirSync(folder).flatMap((file) => {
    const blocks = [...readFileSync(join(folder, file), 'utf8').matchAll(/^```promql\n([^`]*)^```/gm)]
    return blocks.flatMap(([, block]) => block!.trim().split('\n')).map((expr) => ({ file, expr }))
  })
}

for (const spec of DASHBOARDS) {
  suite(`dashboard ${spec.name}`, () => {
    const text = dashboardText(spec)

    test('keeps to the rules', () => {
      assert.deepEqual(dashboardProblems(JSON.parse(text) as DashboardJson, catalogue), [])
    })

    test('is made the same every time', () => {
      assert.equal(dashboardText(spec), text)
      assert.equal(readFileSync(join(ROOT, `charts/wmoc/files/dashboards/${spec.name}.json`), 'utf8'), text)
    })
  })
}

suite('a broken dashboard is told by', () => {
  const good = () => JSON.parse(dashboardText(DASHBOARDS[0]!)) as Writable<DashboardJson>
  type Writable<T> = { -readonly [K in keyof T]: T[K] extends object | undefined ? Writable<T[K]> : T[K] }
  const broken: Record<
    string,
    [RegExp, (dashboard: Writable<DashboardJson>, panel: Writable<PanelJson>) => void]
  > = {
    'being editable': [/can be edited/, (dashboard) => (dashboard.editable = true)],
    'a foreign uid': [/no uid of ours/, (dashboard) => (dashboard.uid = 'x')],
    'no title': [/has no title/, (dashboard) => (dashboard.title = '')],
    'no schema version': [/no schema version/, (dashboard) => delete dashboard.schemaVersion],
    'a variable that is missing': [/no variable instance/, (dashboard) => dashboard.templating!.list!.pop()],
    'a variable over a metric that is not there': [
      /variable namespace: there is no metric/,
      (dashboard) => (dashboard.templating!.list![1]!.query = 'label_values(wmoc_nothing, namespace)'),
    ],
    'a panel without a title': [/has no title/, (_, panel) => (panel.title = '')],
    'a panel without a description': [/no description/, (_, panel) => delete panel.description],
    'a panel without a unit': [/no unit/, (_, panel) => delete panel.fieldConfig!.defaults!.unit],
    'a panel with a data source of its own': [
      /source of its own/,
      (_, panel) => (panel.datasource!.uid = 'x'),
    ],
    'a query with a data source of its own': [
      /a query asks a data source/,
      (_, panel) => (panel.targets![0]!.datasource!.uid = 'x'),
    ],
    'a panel without a query': [/asks nothing/, (_, panel) => (panel.targets = [])],
    'a query without a legend': [/no legend/, (_, panel) => delete panel.targets![0]!.legendFormat],
    'a legend of ids': [
      /single controllers/,
      (_, panel) => (panel.targets![0]!.legendFormat = '{{controller_id}}'),
    ],
    'a fixed range': [
      /\[5m\] does not follow/,
      (_, panel) => (panel.targets![0]!.expr = 'rate(wmoc_gateway_tunnels{namespace=~"$namespace"}[5m])'),
    ],
    'a metric that is not there': [
      /no metric wmoc_nothing/,
      (_, panel) => (panel.targets![0]!.expr = 'wmoc_nothing{namespace=~"$namespace"}'),
    ],
    'a query of every namespace': [
      /every namespace/,
      (_, panel) => (panel.targets![0]!.expr = 'wmoc_gateway_tunnels'),
    ],
    'two panels of one id': [
      /two panels have the id/,
      (dashboard, panel) => (dashboard.panels!.at(-1)!.id = panel.id),
    ],
    'two panels of one name': [
      /two panels are called/,
      (dashboard, panel) => (dashboard.panels!.at(-1)!.title = panel.title),
    ],
    'panels on each other': [
      /lie on each other/,
      (dashboard, panel) => (dashboard.panels!.at(-1)!.gridPos = panel.gridPos),
    ],
    'a panel beside the page': [/wider than the page/, (_, panel) => (panel.gridPos!.w = 30)],
  }
  for (const [name, [message, breakIt]] of Object.entries(broken)) {
    test(name, () => {
      const dashboard = good()
      breakIt(
        dashboard,
        dashboard.panels!.find(({ type }) => type !== 'row')!,
      )
      assert.match(dashboardProblems(dashboard, catalogue).join('\n'), message)
    })
  }
})
