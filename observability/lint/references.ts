/** Which metrics and labels a PromQL expression names. No parser: enough of one for the expressions of this folder. */

export interface MetricReference {
  readonly metric: string
  /** Labels in its matchers. */
  readonly matchers: readonly string[]
  /** The text between its braces. */
  readonly selector: string
}

const FAMILIES =
  /(?<![\w:"$])((?:wmoc|nodejs|process|kube)_\w+|[a-z]+:wmoc_\w+:\w+|up)(?![\w:(])(?:\{([^}]*)\})?/g

/** Every metric of the expression; words inside strings and after `by` are none. */
export function metricReferences(expr: string): MetricReference[] {
  const bare = expr.replaceAll(/\b(?:by|on|without|ignoring|group_left|group_right)\s*\([^)]*\)/g, '')
  return [...bare.matchAll(FAMILIES)].map(([, metric, selector = '']) => ({
    metric: metric!,
    matchers: [...selector.matchAll(/(\w+)\s*(?:=~|!~|!=|=)\s*"/g)].map(([, label]) => label!),
    selector,
  }))
}

/** Labels that results are grouped or joined by. */
export function groupingLabels(expr: string): string[] {
  const lists = [...expr.matchAll(/\b(?:by|on|without|ignoring)\s*\(([^)]*)\)/g)]
  return lists
    .flatMap(([, list]) => list!.split(',').map((label) => label.trim()))
    .filter((label) => label !== '')
}

/** Ranges in brackets, as written. */
export function ranges(expr: string): string[] {
  return [...expr.matchAll(/\[([^\]]+)\]/g)].map(([, range]) => range!)
}
