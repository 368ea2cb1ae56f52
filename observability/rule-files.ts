/** The texts of the rule files that the chart carries, as Prometheus reads them. */
import { stringify } from 'yaml'
import { ALERT_NAMES } from './alert-names.ts'
import { alertingRule } from './alert.ts'
import { ALERTS } from './all-alerts.ts'
import { RECORDING_RULES } from './recording.ts'

/** `recording.yaml`: one group, so that its rules are evaluated one after the other. */
export function recordingRulesText(): string {
  return ruleFile('wmoc.recording', RECORDING_RULES)
}

/** `alerts.yaml`: every alert with its own severity, threshold and duration. */
export function alertingRulesText(): string {
  return ruleFile(
    'wmoc.alerts',
    ALERT_NAMES.map((name) => alertingRule(ALERTS[name])),
  )
}

function ruleFile(name: string, rules: readonly object[]): string {
  const text = stringify({ groups: [{ name, rules }] }, { lineWidth: 0 })
  return `# Made by npm run gen from observability/; do not edit.\n${text}`
}
