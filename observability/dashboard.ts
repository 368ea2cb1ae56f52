/** Dashboards as plain data, and the JSON that Grafana reads, made by its own builders. */
import {
  DashboardBuilder,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  RowBuilder,
  TextBoxVariableBuilder,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard'
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard'
import {
  LegendDisplayMode,
  LegendPlacement,
  StackingConfigBuilder,
  StackingMode,
  VizLegendOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common'
import { DataqueryBuilder } from '@grafana/grafana-foundation-sdk/prometheus'
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat'
import { PanelBuilder as TimeSeriesBuilder } from '@grafana/grafana-foundation-sdk/timeseries'

export interface PanelSpec {
  readonly title: string
  /** What is seen, and what to make of it. */
  readonly description: string
  /** Grafana's name of a unit, such as `s`, `reqps`, `percentunit`, `short`. */
  readonly unit: string
  /** Legend → PromQL. */
  readonly queries: Readonly<Record<string, string>>
  readonly kind?: 'timeseries' | 'stat'
  readonly isStacked?: boolean
  /** Of 24 columns; 8 for a time series, 4 for a figure where nothing is said. */
  readonly width?: number
}

export interface DashboardSpec {
  /** The file's name and the end of the uid. */
  readonly name: string
  readonly title: string
  readonly description: string
  /** The metric whose `job` and `instance` the variables offer. */
  readonly metric: string
  /** The dashboard links to the portal, whose address is asked for. */
  readonly hasPortal?: boolean
  readonly rows: readonly { readonly title: string; readonly panels: readonly PanelSpec[] }[]
}

/** Matchers for metrics of the processes that the variables pick. */
export const ON = 'namespace=~"$namespace",job=~"$job",instance=~"$instance"'
/** Matchers for what is recorded by job. */
export const ON_JOB = 'namespace=~"$namespace",job=~"$job"'
/** Matchers for metrics of other processes of the same installation. */
export const NEAR = 'namespace=~"$namespace"'

const DATASOURCE = { type: 'prometheus', uid: '${datasource}' }
const HEIGHTS = { timeseries: 8, stat: 4 }
const WIDTHS = { timeseries: 8, stat: 4 }

/** The dashboard as Grafana's classic JSON model. */
export function buildDashboard(spec: DashboardSpec): Dashboard {
  const builder = new DashboardBuilder(`WMOC / ${spec.title}`)
    .uid(`wmoc-${spec.name}`)
    .description(spec.description)
    .tags(['wmoc', 'generated'])
    .readonly()
    .refresh('1m')
    .time({ from: 'now-3h', to: 'now' })
    .timezone('browser')
    .link(
      new DashboardLinkBuilder('WMOC')
        .type(DashboardLinkType.Dashboards)
        .tags(['wmoc'])
        .asDropdown(true)
        .keepTime(true)
        .includeVars(true),
    )
    .withVariable(new DatasourceVariableBuilder('datasource').label('Data source').type('prometheus'))
    .withVariable(choice('namespace', `label_values(${spec.metric}, namespace)`))
    .withVariable(choice('job', `label_values(${spec.metric}{namespace=~"$namespace"}, job)`))
    .withVariable(
      choice('instance', `label_values(${spec.metric}{namespace=~"$namespace",job=~"$job"}, instance)`),
    )
  if (spec.hasPortal === true) addPortal(builder)
  let id = 0
  for (const row of spec.rows) {
    builder.withRow(new RowBuilder(row.title).id((id += 1)))
    for (const panel of row.panels) builder.withPanel(buildPanel(panel).id((id += 1)))
  }
  return builder.build()
}

/** The text of the file; the same every time. */
export function dashboardText(spec: DashboardSpec): string {
  return `${JSON.stringify(buildDashboard(spec), null, 2)}\n`
}

/** Everything is chosen at first, and everything includes series without the label. */
function choice(name: string, query: string): QueryVariableBuilder {
  return (
    new QueryVariableBuilder(name)
      .label(name)
      .datasource(DATASOURCE)
      .query({ query, refId: name, qryType: 1 })
      .refresh(VariableRefresh.OnTimeRangeChanged)
      // oxlint-disable-next-line unicorn/no-array-sort -- a method of the builder, not of an array
      .sort(VariableSort.AlphabeticalAsc)
      .multi(true)
      .includeAll(true)
      .allValue('.*')
      .current({ selected: true, text: 'All', value: '$__all' })
  )
}

function addPortal(builder: DashboardBuilder): void {
  builder.withVariable(
    new TextBoxVariableBuilder('portal').label('Portal').defaultValue('http://localhost:8080'),
  )
  builder.link(
    new DashboardLinkBuilder('Controllers in the portal')
      .type(DashboardLinkType.Link)
      .url('$portal/controllers')
      .targetBlank(true),
  )
}

function buildPanel(spec: PanelSpec): StatBuilder | TimeSeriesBuilder {
  const kind = spec.kind ?? 'timeseries'
  const panel = kind === 'stat' ? new StatBuilder() : timeSeries(spec.isStacked === true)
  panel
    .title(spec.title)
    .description(spec.description)
    .unit(spec.unit)
    .datasource(DATASOURCE)
    .height(HEIGHTS[kind])
    .span(spec.width ?? WIDTHS[kind])
  for (const [legend, expr] of Object.entries(spec.queries)) {
    const query = new DataqueryBuilder().expr(expr).legendFormat(legend).datasource(DATASOURCE)
    panel.withTarget(kind === 'stat' ? query.instant() : query.range())
  }
  return panel
}

function timeSeries(isStacked: boolean): TimeSeriesBuilder {
  const legend = new VizLegendOptionsBuilder()
    .displayMode(LegendDisplayMode.List)
    .placement(LegendPlacement.Bottom)
    .showLegend(true)
  const panel = new TimeSeriesBuilder().legend(legend).min(0)
  if (isStacked)
    panel.fillOpacity(20).stacking(new StackingConfigBuilder().mode(StackingMode.Normal).group('A'))
  return panel
}
