/** `values.schema.json` and `README.md` of a chart, both made of its commented `values.yaml`. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isMap, isScalar, isSeq, parseDocument } from 'yaml'
import type { Node, Pair, YAMLMap } from 'yaml'
import { z } from 'zod'
import { ROOT } from '../start/root.ts'
import { table } from './markdown.ts'

const Json = z.record(z.string(), z.json())
type Json = z.infer<typeof Json>

/** One key of the values, with what its comment says. */
interface Value {
  readonly path: readonly string[]
  readonly description: string
  readonly schema: Json
  /** The default as YAML on one line; null: a map whose keys follow. */
  readonly fallback: string | null
}

const TEMPLATE_MARK = '<!-- values -->'

/** The strict schema of `charts/<chart>/values.yaml`, as JSON. */
export function chartSchema(chart: string): string {
  const schema = {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: `Values of the chart ${chart}`,
    ...schemaOfValues(read(chart, 'values.yaml')),
  }
  return `${JSON.stringify(schema, null, 2)}\n`
}

/**
 * What a text of commented values allows: its keys and no others, each of its default's type, with what `@schema` lines
 * say besides. A map whose first key has no comment is one value, free inside.
 * @throws Error for a key that nothing describes.
 */
export function schemaOfValues(text: string): Json {
  const schema = schemaOfMap(mapOf(text))
  // Helm puts `global` into every chart's values.
  return { ...schema, properties: { ...schema.properties, global: { type: 'object' } } }
}

/** `charts/<chart>/README.in.md` with a table of all values in place of its mark. */
export function chartReadme(chart: string): string {
  const template = read(chart, 'README.in.md')
  if (!template.includes(TEMPLATE_MARK)) throw new Error(`README.in.md has no line ${TEMPLATE_MARK}`)
  const rows = flatten(mapOf(read(chart, 'values.yaml')), [])
    .filter(({ fallback }) => fallback !== null)
    .map(({ path, description, fallback }) => [`\`${path.join('.')}\``, `\`${fallback}\``, description])
  const note = `<!-- Made by \`npm run gen\` from README.in.md and values.yaml; do not edit. -->\n`
  return note + template.replace(TEMPLATE_MARK, () => table(['value', 'default', 'meaning'], rows))
}

function read(chart: string, file: string): string {
  return readFileSync(join(ROOT, 'charts', chart, file), 'utf8')
}

function mapOf(text: string): YAMLMap {
  const document = parseDocument(text)
  if (document.errors[0]) throw document.errors[0]
  if (!isMap(document.contents)) throw new Error('values.yaml is no map')
  return document.contents
}

function schemaOfMap(map: YAMLMap): { type: 'object'; properties: Record<string, Json> } & Json {
  const properties: Record<string, Json> = {}
  for (const { path, description, schema } of entries(map, [])) {
    properties[path.at(-1)!] = { ...(description ? { description } : {}), ...schema }
  }
  return { type: 'object', additionalProperties: false, properties }
}

function flatten(map: YAMLMap, path: readonly string[]): Value[] {
  return entries(map, path).flatMap((value, index) => {
    const node = map.items[index]!.value as Node | null
    return value.fallback === null && isMap(node) ? [value, ...flatten(node, value.path)] : [value]
  })
}

function entries(map: YAMLMap, path: readonly string[]): Value[] {
  return map.items.map((pair, index) => entryOf(pair, path, index === 0 ? map.commentBefore : null))
}

function entryOf(pair: Pair, parent: readonly string[], ofMap?: string | null): Value {
  const key = pair.key as { value: string; commentBefore?: string | null }
  const node = pair.value as Node | null
  const path = [...parent, key.value]
  // The parser gives the comment of a map's first key to the map.
  const comment = key.commentBefore ?? ofMap ?? ''
  const { description, extra } = readComment(lastBlock(comment))
  // A map whose first key has no comment is one value, such as a security context.
  const isBranch = isMap(node) && node.items.length > 0 && hasComment(node)
  if (!isBranch && description === '') throw new Error(`values.yaml: ${path.join('.')} has no description`)
  return {
    path,
    description,
    schema: { ...(isBranch ? schemaOfMap(node) : { type: extra['type'] ?? typeOf(node, path) }), ...extra },
    fallback: isBranch ? null : oneLine(node),
  }
}

function hasComment(map: YAMLMap): boolean {
  const { key, value } = map.items[0]! as { key: Node; value: unknown }
  if (key.commentBefore ?? map.commentBefore) return true
  return isMap(value) && value.items.length > 0 && hasComment(value)
}

/** What stands right above a key; an empty line ends what belongs to the file. */
function lastBlock(comment: string): string {
  return comment.split(/\n\s*\n/).at(-1)!
}

function readComment(comment: string): { description: string; extra: Json } {
  const lines = comment.split('\n').map((line) => line.trim())
  const marked = lines.filter((line) => line.startsWith('@schema '))
  return {
    description: lines.filter((line) => line !== '' && !line.startsWith('@schema ')).join(' '),
    extra: Object.assign(
      {},
      ...marked.map((line) => Json.parse(JSON.parse(line.slice('@schema '.length)))),
    ) as Json,
  }
}

function typeOf(node: Node | null, path: readonly string[]): string {
  if (isMap(node)) return 'object'
  if (isSeq(node)) return 'array'
  const value = isScalar(node) ? node.value : null
  if (typeof value === 'number') return 'integer'
  if (typeof value === 'string' || typeof value === 'boolean') return typeof value
  throw new Error(`values.yaml: ${path.join('.')} needs a default that tells its type`)
}

function oneLine(node: Node | null): string {
  const value: unknown = node === null ? null : node.toJSON()
  return JSON.stringify(value)
}
