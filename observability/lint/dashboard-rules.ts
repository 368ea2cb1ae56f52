/** What every dashboard of ours keeps to. Judged on the JSON that Grafana gets, not on what made it. */
import type { Catalogue } from './catalogue.ts'
import { unknownNames } from './catalogue.ts'
import { metricReferences, ranges } from './references.ts'

/** As much of Grafana's classic model as the rules look at. */
export interface DashboardJson {
  readonly uid?: string
  readonly title?: string
  readonly editable?: boolean
  readonly schemaVersion?: number
  readonly templating?: { readonly list?: readonly VariableJson[] }
  readonly panels?: readonly PanelJson[]
}

interface VariableJson {
  readonly name: string
  readonly type: string
  readonly query?: unknown
  readonly allValue?: string
}

export interface PanelJson {
  readonly id?: number
  readonly type: string
  readonly title?: string
  readonly description?: string
  readonly fieldConfig?: { readonly defaults?: { readonly unit?: string } }
  readonly datasource?: { readonly uid?: string }
  readonly targets?: readonly TargetJson[]
  readonly gridPos?: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
}

interface TargetJson {
  readonly expr?: string
  readonly legendFormat?: string
  readonly datasource?: { readonly uid?: string }
}

const VARIABLES = ['datasource', 'namespace', 'job', 'instance']
const RANGES = new Set(['$__rate_interval', '$__range', '$__range:5m'])
/** Labels that name one controller or one person: their number has no bound. */
const IDS = /\{\{\s*(controller|controller_id|user|user_id|mac)\s*\}\}/

/** One line for each rule that is broken. */
export function dashboardProblems(dashboard: DashboardJson, catalogue: Catalogue): string[] {
  const panels = (dashboard.panels ?? []).filter(({ type }) => type !== 'row')
  return [
    ...wholeProblems(dashboard, catalogue),
    ...repeated(panels.map(({ id }) => String(id))).map((id) => `two panels have the id ${id}`),
    ...repeated(panels.map(({ title }) => title ?? '')).map((title) => `two panels are called "${title}"`),
    ...overlaps(panels),
    ...panels.flatMap((panel) =>
      [...panelProblems(panel, catalogue)].map((text) => `"${panel.title}": ${text}`),
    ),
  ]
}

function* wholeProblems(dashboard: DashboardJson, catalogue: Catalogue): Generator<string> {
  if (dashboard.editable !== false) yield 'can be edited'
  if (!/^wmoc-[a-z]+$/.test(dashboard.uid ?? '')) yield 'has no uid of ours'
  if ((dashboard.title ?? '') === '') yield 'has no title'
  if (dashboard.schemaVersion === undefined) yield 'has no schema version'
  const variables = dashboard.templating?.list ?? []
  for (const name of VARIABLES)
    if (!variables.some((variable) => variable.name === name)) yield `has no variable ${name}`
  for (const { name, type, query } of variables) {
    if (type !== 'query') continue
    const text = typeof query === 'string' ? query : ((query as { query?: string } | undefined)?.query ?? '')
    const metric = /^label_values\(([^,]+),/.exec(text)?.[1] ?? ''
    for (const problem of unknownNames(metric, catalogue)) yield `variable ${name}: ${problem}`
  }
}

function* panelProblems(panel: PanelJson, catalogue: Catalogue): Generator<string> {
  if ((panel.title ?? '') === '') yield 'has no title'
  if ((panel.description ?? '') === '') yield 'has no description'
  if ((panel.fieldConfig?.defaults?.unit ?? '') === '') yield 'has no unit'
  if (panel.datasource?.uid !== '${datasource}') yield 'asks a data source of its own'
  if ((panel.targets ?? []).length === 0) yield 'asks nothing'
  for (const target of panel.targets ?? []) yield* targetProblems(target, catalogue)
}

function* targetProblems(target: TargetJson, catalogue: Catalogue): Generator<string> {
  const expr = target.expr ?? ''
  if (target.datasource?.uid !== '${datasource}') yield 'a query asks a data source of its own'
  if ((target.legendFormat ?? '') === '') yield 'a query has no legend'
  if (IDS.test(target.legendFormat ?? '')) yield 'a legend names single controllers or people'
  yield* unknownNames(expr, catalogue)
  for (const range of ranges(expr))
    if (!RANGES.has(range)) yield `the range [${range}] does not follow the zoom`
  for (const { metric, selector } of metricReferences(expr))
    if (!selector.includes('namespace=~"$namespace"')) yield `${metric} is asked of every namespace`
}

function* overlaps(panels: readonly PanelJson[]): Generator<string> {
  for (const [index, { gridPos: a, title }] of panels.entries()) {
    if (a === undefined) yield `"${title}" has no place`
    for (const { gridPos: b, title: other } of panels.slice(index + 1)) {
      if (a === undefined || b === undefined) continue
      const isApart = a.x + a.w <= b.x || b.x + b.w <= a.x || a.y + a.h <= b.y || b.y + b.h <= a.y
      if (!isApart) yield `"${title}" and "${other}" lie on each other`
    }
    if (a !== undefined && a.x + a.w > 24) yield `"${title}" is wider than the page`
  }
}

function repeated(values: readonly string[]): string[] {
  return [...new Set(values.filter((value, index) => values.indexOf(value) !== index))]
}
