/**
 * Zod schemas that say what Kubernetes can check. What they add travels as metadata of the schema (`x-kubernetes-…`) into
 * the resource definition; the zod side checks the same, so that both refuse the same objects.
 */
import { z } from 'zod'

const EXTENSION = 'x-kubernetes-validations'

interface Rule {
  readonly rule: string
  readonly message: string
}

/** `schema` with more metadata; a schema made from another one does not inherit it by itself. */
function withMeta<S extends z.ZodType>(
  schema: S,
  meta: Readonly<Record<string, unknown>>,
  from: z.ZodType = schema,
): S {
  return schema.meta({ ...from.meta(), ...meta })
}

/** Text for `kubectl explain`. */
export function describe<S extends z.ZodType>(schema: S, description: string): S {
  return withMeta(schema, { description })
}

/**
 * A rule in CEL with the message for people who break it.
 * @param check The same rule for zod, given the parsed value: true where it holds. Leave it out only for rules about the
 *   old value (`oldSelf`) and about `self.metadata`, which zod does not see.
 */
export function cel<S extends z.ZodType>(
  schema: S,
  rule: string,
  message: string,
  check?: (value: z.output<S>) => boolean,
): S {
  const rules = [...((schema.meta()?.[EXTENSION] as Rule[] | undefined) ?? []), { rule, message }]
  const refined = check === undefined ? schema : schema.refine(check, message)
  return withMeta(refined, { [EXTENSION]: rules }, schema)
}

/** A field that can't change once it is set. @param name As the message calls it. */
export function immutable<S extends z.ZodType>(schema: S, name: string, why = ''): S {
  return cel(schema, 'self == oldSelf', `${name} is immutable${why === '' ? '' : `: ${why}`}`)
}

/** A whole number in 32 bits. */
export function int32(min: number, max: number): z.ZodNumber {
  return withMeta(z.int().min(min).max(max), { format: 'int32' })
}

/** A whole number that JavaScript can hold. */
export function int64(min: number, max: number = Number.MAX_SAFE_INTEGER): z.ZodNumber {
  return withMeta(z.int().min(min).max(max), { format: 'int64' })
}

/**
 * A length of time as Kubernetes and Prometheus write it, in the form both read: `90s`, `1h30m`; no fractions, at least
 * 1 s unless `min` says otherwise. Our pattern is narrower than the API server's `duration`.
 */
export function duration(min: 'any' | 'positive' = 'positive') {
  const base = z.string().min(2).max(20).regex(DURATION, 'must be a duration like 90s, 10m or 1h30m')
  return min === 'any'
    ? base
    : cel(base, "duration(self) > duration('0s')", 'must be longer than 0s', (text) => durationMs(text) > 0)
}

const DURATION = /^(?:[0-9]{1,5}h)?(?:[0-9]{1,6}m)?(?:[0-9]{1,7}s)?$/

/** Milliseconds of a text that `duration` accepts. */
export function durationMs(text: string): number {
  const units = { h: 3_600_000, m: 60_000, s: 1_000 } as const
  let ms = 0
  for (const [, count, unit] of text.matchAll(/([0-9]{1,7})([hms])/g))
    ms += Number(count) * units[unit as 'h']
  return ms
}

/** A whole number, or a share like `25%`. */
export function intOrString(max: number) {
  const number = z.int().min(0).max(max)
  const percent = z.string().regex(/^(?:100|[0-9]{1,2})%$/, 'must be a whole number or a percentage like 25%')
  return withMeta(
    cel(
      z.union([number, percent]),
      `type(self) == int ? self >= 0 && self <= ${max} : self.matches('^(100|[0-9]{1,2})%$')`,
      `must be a whole number from 0 to ${max} or a percentage like 25%`,
    ),
    { 'x-kubernetes-int-or-string': true },
  )
}

/** Any object of Kubernetes' own, kept as it is: checked by the server when it is used. */
export function anyObject<T = Record<string, unknown>>(description: string) {
  return withMeta(z.record(z.string(), z.unknown()), {
    'x-kubernetes-preserve-unknown-fields': true,
    description,
  }) as unknown as z.ZodType<T, T>
}

/** A list whose items are told apart by a field: appliers own items, not the list. Two with the same key are refused. */
export function listMap<S extends z.ZodObject>(item: S, key: keyof z.output<S> & string, maxItems: number) {
  const list = z.array(item).max(maxItems)
  return withMeta(
    list.refine(
      (items) => new Set(items.map((entry) => (entry as Record<string, unknown>)[key])).size === items.length,
      `two items have the same ${key}`,
    ),
    { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': [key] },
  )
}

/** A list without order; a value that comes twice is refused. */
export function listSet<S extends z.ZodType<string>>(item: S, maxItems: number) {
  const list = z.array(item).max(maxItems)
  return withMeta(
    list.refine((items) => new Set(items).size === items.length, 'a value comes twice'),
    { 'x-kubernetes-list-type': 'set' },
  )
}

/** RFC 3339, as the API server writes moments. */
export function dateTime() {
  return withMeta(z.iso.datetime({ offset: true }), { format: 'date-time' })
}

/** `status.observedGeneration`; -1: nobody has looked at the object yet (`crdManifest` sets it, for `helm --wait` and the like). */
export function observedGeneration() {
  return int64(-1).optional()
}

/** `status.conditions` as the API conventions want them. */
export function conditions() {
  const condition = z.object({
    type: z.string().max(316),
    status: z.enum(['True', 'False', 'Unknown']),
    observedGeneration: int64(0).optional(),
    lastTransitionTime: dateTime(),
    reason: z
      .string()
      .min(1)
      .max(1024)
      .regex(/^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$/),
    message: z.string().max(32_768),
  })
  return listMap(condition, 'type', 20)
}

/** Reference to a key of a Secret in the same namespace. @param key Where none is given. */
export function secretKeyRef(key: string) {
  return z.object({
    name: z.string().min(1).max(253),
    key: z.string().min(1).max(253).default(key),
  })
}
