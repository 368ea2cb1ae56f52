/** From a policy to its rules: which are good, and which are refused and why. Pure. */
import { ALERTS } from '@wmoc/observability/all-alerts'
import { alertingRule } from '@wmoc/observability/alert'
import type { AlertingRule } from '@wmoc/observability/alert'
import { recordingRulesFor } from '@wmoc/observability/recording'
import type { RecordingRule } from '@wmoc/observability/recording'
import { expressionProblem } from './promql/check.ts'
import { templateProblem } from './promql/strings.ts'
import type { AlertPolicySpec } from './schema.ts'

type Preset = NonNullable<AlertPolicySpec['presets']>[number]
type OwnRule = NonNullable<AlertPolicySpec['rules']>[number]

export interface RejectedRule {
  readonly alert: string
  /** For people: what is wrong. */
  readonly problem: string
}

export interface RulePlan {
  readonly alerting: readonly AlertingRule[]
  /** What the alerting rules read. */
  readonly recording: readonly RecordingRule[]
  readonly rejected: readonly RejectedRule[]
}

const MAX_PROBLEM = 500

/** @param namespace Where the policy is; `gatewayRef` narrows presets to its series. */
export function planRules(spec: AlertPolicySpec, namespace: string): RulePlan {
  const matchers = spec.gatewayRef === undefined ? [] : [`namespace="${namespace}"`]
  const presets = (spec.presets ?? [])
    .filter(({ enabled }) => enabled)
    .map((preset) => presetRule(preset, matchers, spec.runbookBaseURL))
  const own = (spec.rules ?? []).map((rule) => ({ rule: ownRule(rule), problem: problemOf(rule) }))
  const alerting = [...presets, ...own.filter(({ problem }) => problem === null).map(({ rule }) => rule)]
  const rejected = own.flatMap(({ rule, problem }) =>
    problem === null ? [] : [{ alert: rule.alert, problem: problem.slice(0, MAX_PROBLEM) }],
  )
  return { alerting, recording: spec.recordingRules ? recordingRulesFor(alerting) : [], rejected }
}

function presetRule(preset: Preset, matchers: readonly string[], runbookBaseUrl: string): AlertingRule {
  const alert = ALERTS[preset.name]
  const rule = (scope: readonly string[]) =>
    alertingRule(alert, {
      runbookBaseUrl,
      matchers: scope,
      ...(preset.severity === undefined ? {} : { severity: preset.severity }),
      ...(preset.for === undefined ? {} : { for: preset.for }),

      ...(preset.threshold === undefined ? {} : { threshold: Number(preset.threshold) }),
    })
  const everywhere = rule([])
  // The operator may live in a namespace of its own.
  return /wmoc_operator_(?!object_)/.test(everywhere.expr) ? everywhere : rule(matchers)
}

function ownRule(rule: OwnRule): AlertingRule {
  const annotations = {
    ...(rule.summary === undefined ? {} : { summary: rule.summary }),
    ...(rule.description === undefined ? {} : { description: rule.description }),
    ...(rule.runbookURL === undefined ? {} : { runbook_url: rule.runbookURL }),
  }
  return {
    alert: rule.alert,
    expr: rule.expr,
    for: rule.for,
    labels: { severity: rule.severity },
    annotations,
  }
}

function problemOf(rule: OwnRule): string | null {
  const wrong = expressionProblem(rule.expr)
  if (wrong !== null) return wrong
  for (const field of ['summary', 'description', 'runbookURL'] as const) {
    const text = rule[field]
    const problem = text === undefined ? null : templateProblem(text)
    if (problem !== null) return `${field}: ${problem}`
  }
  return null
}
