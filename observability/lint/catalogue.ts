/** The metrics that exist, by name, with their labels. */
import { RECORDING_RULES } from '../recording.ts'
import { groupingLabels, metricReferences } from './references.ts'

export type Catalogue = ReadonlyMap<string, ReadonlySet<string>>

/** What every scrape, or every recording over scrapes, adds. */
const TARGET_LABELS = ['namespace', 'job', 'instance', 'pod']

/** Metrics of others, with the labels that are used of them. */
const FOREIGN: Readonly<Record<string, readonly string[]>> = {
  up: [],
  kube_cronjob_status_last_successful_time: ['cronjob'],
  kube_cronjob_created: ['cronjob'],
}

/**
 * @param reference The text of `docs/generated/metrics.md`.
 * @param defaults Names that the metrics library brings to every process.
 */
export function createCatalogue(reference: string, defaults: readonly string[]): Catalogue {
  const known = new Map<string, Set<string>>()
  const add = (name: string, labels: readonly string[]) =>
    known.set(name, new Set([...TARGET_LABELS, ...labels]))
  for (const line of reference.split('\n')) {
    const [, name, type, labelText] = /^\| `(\w+)` \| (\w+) \| ([^|]*)\|/.exec(line) ?? []
    if (name === undefined) continue
    const labels = [...labelText!.matchAll(/`(\w+)`/g)].map(([, label]) => label!)
    if (type === 'histogram') {
      add(`${name}_bucket`, [...labels, 'le'])
      add(`${name}_sum`, labels)
      add(`${name}_count`, labels)
    } else add(name, labels)
  }
  for (const name of defaults) add(name, [])
  for (const [name, labels] of Object.entries(FOREIGN)) add(name, labels)
  for (const { record } of RECORDING_RULES) add(record, [])
  return known
}

/** What an expression names that does not exist: metrics, labels of theirs, labels to group by. */
export function unknownNames(expr: string, catalogue: Catalogue): string[] {
  const references = metricReferences(expr)
  const labels = new Set(TARGET_LABELS)
  const problems: string[] = []
  for (const { metric, matchers } of references) {
    const own = catalogue.get(metric)
    if (own === undefined) problems.push(`there is no metric ${metric}`)
    for (const label of own ?? []) labels.add(label)
    for (const label of matchers)
      if (own !== undefined && !own.has(label)) problems.push(`${metric} has no label ${label}`)
  }
  if (references.length === 0) problems.push('no metric is named')
  for (const label of groupingLabels(expr))
    if (!labels.has(label)) problems.push(`no metric here has a label ${label}`)
  return problems
}
