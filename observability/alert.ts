/** What an alert is, and the rule that Prometheus gets of it. Pure: the operator makes rules of presets by the same function. */
import type { AlertName } from './alert-names.ts'

export type Severity = 'critical' | 'warning' | 'info'

/** What an expression may depend on. */
export interface ExprInput {
  readonly threshold: number
  /**
   * A metric's name with label matchers: those given, and those that narrow the whole rule, such as a namespace.
   * `select('wmoc_gateway_draining')` → `wmoc_gateway_draining{namespace="shop"}`.
   */
  readonly select: (metric: string, ...matchers: readonly string[]) => string
}

/** Samples as promtool writes them: series → values. */
export interface AlertTest {
  readonly series: Readonly<Record<string, string>>
  /** Between two samples, and between two evaluations; a minute where nothing is said. */
  readonly interval?: string
  /** When to look, as a Prometheus duration since the first sample. */
  readonly at: string
}

export interface Alert {
  readonly name: AlertName
  readonly severity: Severity
  /** How long the expression must hold, as a Prometheus duration. */
  readonly for: string
  /** What `expr` compares with, unless an AlertPolicy says otherwise; the unit is told by `thresholdMeaning`. */
  readonly threshold: number
  readonly thresholdMeaning: string
  readonly expr: (input: ExprInput) => string
  /** One sentence without figures. */
  readonly summary: string
  /** With `{{ $labels… }}` and `{{ $value }}`. */
  readonly description: string
  readonly tests: {
    /** Samples on which it fires, the labels it then has besides `severity`, and how its description reads. */
    readonly firing: AlertTest & {
      readonly labels: Readonly<Record<string, string>>
      readonly description: string
    }
    /** Samples that look alike, on which it stays silent. */
    readonly silent: AlertTest
  }
}

/** What an AlertPolicy may change of an alert. */
export interface AlertOverrides {
  readonly severity?: Severity
  readonly for?: string
  readonly threshold?: number
  /**
   * Label matchers put into every selector, such as `namespace="shop"`. Of what the operator tells of objects, the namespace
   * is theirs: it may live in another itself.
   */
  readonly matchers?: readonly string[]
  /** Where runbooks are, with the slash at its end. */
  readonly runbookBaseUrl?: string
}

/** One alerting rule as it stands in a rule file or a PrometheusRule. */
export interface AlertingRule {
  readonly alert: string
  readonly expr: string
  readonly for: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}

export const RUNBOOK_BASE_URL = 'https://wmoc.online/docs/runbooks/'

/** The name of an alert in Prometheus, and of its runbook: `WMOCRingSplit`. */
export function prometheusName(name: AlertName): string {
  return `WMOC${name}`
}

/** The rule of an alert, with what a policy changes of it. */
export function alertingRule(alert: Alert, overrides: AlertOverrides = {}): AlertingRule {
  const name = prometheusName(alert.name)
  const scope = overrides.matchers ?? []
  return {
    alert: name,
    expr: alert.expr({
      threshold: overrides.threshold ?? alert.threshold,
      select: (metric, ...matchers) =>
        selector(metric, [...matchers, ...scope.map(metric === OBJECTS ? ofObject : String)]),
    }),
    for: overrides.for ?? alert.for,
    labels: { severity: overrides.severity ?? alert.severity },
    annotations: {
      summary: alert.summary,
      description: alert.description,
      runbook_url: `${overrides.runbookBaseUrl ?? RUNBOOK_BASE_URL}${name}`,
    },
  }
}

const OBJECTS = 'wmoc_operator_object_conditions'

const ofObject = (matcher: string) => matcher.replace(/^namespace\b/, 'object_namespace')

function selector(metric: string, matchers: readonly string[]): string {
  return matchers.length === 0 ? metric : `${metric}{${matchers.join(',')}}`
}
