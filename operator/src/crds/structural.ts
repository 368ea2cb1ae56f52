/**
 * Zod → the "structural schema" that a CustomResourceDefinition holds: a part of JSON Schema without references, with
 * one type everywhere, and with Kubernetes' own `x-kubernetes-…` words.
 */
import { z } from 'zod'

export interface StructuralSchema {
  readonly type?: string
  readonly properties?: Readonly<Record<string, StructuralSchema>>
  readonly items?: StructuralSchema
  readonly additionalProperties?: StructuralSchema
  readonly required?: readonly string[]
  readonly default?: unknown
  readonly [key: string]: unknown
}

type Json = Record<string, unknown>

/** What is taken over as it is; anything else is translated below or refused. */
const KEPT = new Set([
  'type',
  'description',
  'default',
  'enum',
  'format',
  'pattern',
  'title',
  'minimum',
  'maximum',
  'multipleOf',
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
  'minProperties',
  'maxProperties',
  'required',
  'nullable',
])
/** Formats that the API server checks; it ignores all others. */
const FORMATS = new Set(['int32', 'int64', 'date-time', 'email', 'uri', 'uuid', 'byte'])

/** The structural schema of what a user may write. Throws, with the path, where zod says what Kubernetes can't. */
export function structuralSchema(schema: z.ZodType): StructuralSchema {
  const json = z.toJSONSchema(schema, { io: 'input', reused: 'inline', unrepresentable: 'any' }) as Json
  return convert(json, '$')
}

function convert(json: Json, path: string): StructuralSchema {
  const out: Json = {}
  for (const [key, value] of Object.entries(json)) {
    if (KEPT.has(key) || key.startsWith('x-kubernetes-')) out[key] = value
    else Object.assign(out, translate(key, value, json, path))
  }
  if (typeof out['format'] === 'string' && !FORMATS.has(out['format'])) delete out['format']
  if (out['format'] === 'date-time') delete out['pattern']
  if (out['x-kubernetes-int-or-string'] === true) {
    for (const key of ['type', 'minimum', 'maximum', 'pattern', 'enum']) delete out[key]
  }
  if (out['x-kubernetes-preserve-unknown-fields'] === true) delete out['additionalProperties']
  if (out['type'] === 'integer') dropSafeBounds(out)
  if (typeof out['type'] !== 'string' && out['x-kubernetes-int-or-string'] !== true) {
    throw new Error(`${path}: has no single type; a resource definition needs one`)
  }
  return out
}

function translate(key: string, value: unknown, json: Json, path: string): Json {
  switch (key) {
    case '$schema':
    case 'id':
    case 'propertyNames':
      return {}
    case 'properties': {
      const properties = Object.entries(value as Record<string, Json>)
      return {
        properties: Object.fromEntries(
          properties.map(([name, inner]) => [name, convert(inner, `${path}.${name}`)]),
        ),
      }
    }
    case 'items':
      return { items: convert(value as Json, `${path}[]`) }
    case 'additionalProperties':
      // Unknown fields of an object are pruned by the server; only those of a map are described.
      return typeof value === 'boolean' || Object.keys(value as Json).length === 0
        ? {}
        : { additionalProperties: convert(value as Json, `${path}.*`) }
    case 'const':
      return { enum: [value] }
    case 'exclusiveMinimum':
      return { minimum: value, exclusiveMinimum: true }
    case 'exclusiveMaximum':
      return { maximum: value, exclusiveMaximum: true }
    case 'anyOf':
      if (json['x-kubernetes-int-or-string'] === true)
        return { anyOf: [{ type: 'integer' }, { type: 'string' }] }
      break
    default:
  }
  throw new Error(`${path}: a resource definition can't say "${key}"; use the helpers of crds/fields.ts`)
}

/** Zod's whole numbers are bounded by what JavaScript can hold; that says nothing to a reader. */
function dropSafeBounds(out: Json): void {
  if (out['minimum'] === Number.MIN_SAFE_INTEGER) delete out['minimum']
  if (out['maximum'] === Number.MAX_SAFE_INTEGER) delete out['maximum']
}
