/**
 * Import maps (HTML Standard, section 8.1.5.1): they bring the absolute paths of imports below the page's prefix, so that no
 * script has to be changed. The longest key wins.
 */
import { pageBase, portPrefix } from '#src/page/shim/addresses.ts'
import type { PagePlace } from '#src/page/shim/addresses.ts'
import type { MapAddress } from './text-rewriter.ts'

type Imports = Record<string, unknown>

/** Ours, as `imports`; null: the page has its origin to itself and needs none. */
export function ownImports(place: PagePlace): Record<string, string> | null {
  const base = pageBase(place)
  if (base === '') return null
  const imports: Record<string, string> = { '/': `${base}/` }
  // Modules find each other by paths that are mapped already.
  const prefixes = [place.prefix, ...place.ports.map((port) => portPrefix(place, port)), base]
  for (const prefix of prefixes) if (prefix !== '') imports[`${prefix}/`] = `${prefix}/`
  return imports
}

/** JSON that can stand inside a `script`. */
export function importMapText(imports: Record<string, string>): string {
  return inScript({ imports })
}

/**
 * The page's own map with its addresses mapped, and ours in it; null: it is none, and browsers will say so.
 * @param ours Null: there is one before it already, or none is needed.
 */
export function mergeImportMap(
  text: string,
  ours: Record<string, string> | null,
  map: MapAddress,
): string | null {
  const parsed = parse(text)
  if (!isRecord(parsed)) return null
  const { imports, scopes, integrity, ...rest } = parsed
  const merged: Record<string, unknown> = { ...rest }
  if (isRecord(imports) || ours !== null)
    merged['imports'] = { ...ours, ...mapImports(isRecord(imports) ? imports : {}, map) }
  if (isRecord(scopes)) merged['scopes'] = mapScopes(scopes, map)
  if (isRecord(integrity)) merged['integrity'] = mapKeys(integrity, map)
  return inScript(merged)
}

function mapImports(imports: Imports, map: MapAddress): Imports {
  const addresses = Object.entries(imports).map(([key, address]) => [
    key,
    typeof address === 'string' ? (map(address) ?? address) : address,
  ])
  return mapKeys(Object.fromEntries(addresses) as Imports, map)
}

/** Both what the page calls it, and what it is once relative addresses are resolved. */
function mapKeys(record: Imports, map: MapAddress): Imports {
  const mapped = Object.entries(record).flatMap(([key, value]) => {
    const other = map(key)
    return other === null ? [] : [[other, value]]
  })
  return { ...record, ...(Object.fromEntries(mapped) as Imports) }
}

function mapScopes(scopes: Imports, map: MapAddress): Imports {
  const inside = Object.entries(scopes).map(([scope, imports]) => [
    map(scope) ?? scope,
    isRecord(imports) ? mapImports(imports, map) : imports,
  ])
  return Object.fromEntries(inside) as Imports
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

function isRecord(value: unknown): value is Imports {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function inScript(value: unknown): string {
  return JSON.stringify(value).replaceAll('<', String.raw`\u003c`)
}
