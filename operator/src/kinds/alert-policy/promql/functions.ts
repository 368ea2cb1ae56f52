/**
 * The functions of PromQL that every Prometheus since 2.40 has, and no experimental one: a rule that an older server
 * does not know makes it refuse all rules. From `promql/parser/functions.go` of Prometheus.
 */
export type ValueType = 'vector' | 'scalar' | 'matrix' | 'string'

export interface Signature {
  readonly args: readonly ValueType[]
  /** How many of the last arguments may be left out. */
  readonly optional: number
  /** Whether the last argument may come any number of times, or never. */
  readonly isVariadic: boolean
  readonly returns: ValueType
}

const vector: Partial<Signature> = { args: ['vector'] }
const range: Partial<Signature> = { args: ['matrix'] }
const now: Partial<Signature> = { args: ['vector'], optional: 1 }

const TABLE: Readonly<Record<string, Partial<Signature>>> = {
  ...each('abs absent acos acosh asin asinh atan atanh ceil cos cosh deg exp floor ln log10 log2', vector),
  ...each('rad sgn sin sinh sort sort_desc sqrt tan tanh timestamp', vector),
  ...each('histogram_count histogram_sum', vector),
  ...each('absent_over_time avg_over_time changes count_over_time delta deriv idelta increase irate', range),
  ...each('last_over_time max_over_time min_over_time present_over_time rate resets', range),
  ...each('stddev_over_time stdvar_over_time sum_over_time', range),
  ...each('day_of_month day_of_week day_of_year days_in_month hour minute month year', now),
  clamp: { args: ['vector', 'scalar', 'scalar'] },
  clamp_max: { args: ['vector', 'scalar'] },
  clamp_min: { args: ['vector', 'scalar'] },
  histogram_fraction: { args: ['scalar', 'scalar', 'vector'] },
  histogram_quantile: { args: ['scalar', 'vector'] },
  label_join: { args: ['vector', 'string', 'string', 'string'], isVariadic: true },
  label_replace: { args: ['vector', 'string', 'string', 'string', 'string'] },
  pi: { returns: 'scalar' },
  predict_linear: { args: ['matrix', 'scalar'] },
  quantile_over_time: { args: ['scalar', 'matrix'] },
  round: { args: ['vector', 'scalar'], optional: 1 },
  scalar: { args: ['vector'], returns: 'scalar' },
  time: { returns: 'scalar' },
  vector: { args: ['scalar'] },
}

/** The signature of a function; undefined for a name that not every Prometheus knows. */
export function signatureOf(name: string): Signature | undefined {
  const known = Object.hasOwn(TABLE, name) ? TABLE[name] : undefined
  return known && { args: [], optional: 0, isVariadic: false, returns: 'vector', ...known }
}

function each(names: string, signature: Partial<Signature>): Record<string, Partial<Signature>> {
  return Object.fromEntries(names.split(' ').map((name) => [name, signature]))
}
