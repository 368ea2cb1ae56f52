/** The rule files of the chart. */
import { alertingRulesText, recordingRulesText } from '../../observability/rule-files.ts'

export const RULE_FILES: Readonly<Record<string, () => string>> = {
  'charts/wmoc/files/rules/recording.yaml': recordingRulesText,
  'charts/wmoc/files/rules/alerts.yaml': alertingRulesText,
}
