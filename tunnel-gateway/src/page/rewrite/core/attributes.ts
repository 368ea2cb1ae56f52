/** Which attributes hold addresses, and how each is mapped. */
import { createCssRewriter } from './css.ts'
import type { PageAddresses } from './page-addresses.ts'
import { rewriteSrcset } from './srcset.ts'
import type { IsLeadByte } from './text-rewriter.ts'

export type AttributeKind = 'address' | 'srcset' | 'style' | 'document' | 'target' | 'dropped' | 'fact'

const KINDS: ReadonlyMap<string, AttributeKind> = new Map([
  ...kind(
    'address',
    'href src action formaction poster background manifest xlink:href longdesc lowsrc dynsrc data',
  ),
  ...kind('srcset', 'srcset imagesrcset'),
  // SVG's presentation attributes may hold `url()` as `style` may.
  ...kind('style', 'style fill stroke filter mask clip-path marker-start marker-mid marker-end cursor'),
  ...kind('document', 'srcdoc'),
  ...kind('target', 'target formtarget'),
  // Would tell other hosts what is clicked, by an address that authorises.
  ...kind('dropped', 'ping'),
  ...kind('fact', 'rel type as http-equiv content charset integrity crossorigin'),
])

function kind(of: AttributeKind, names: string): [string, AttributeKind][] {
  return names.split(' ').map((name) => [name, of])
}

/** Names of functions may be written with escapes. */
const MAY_HOLD_ADDRESS = /(?:url|src|set)\(|\\/i

/** @param name Of the attribute, lower case. Null: it passes as it is. */
export function kindOfAttribute(element: string, name: string): AttributeKind | null {
  const found = KINDS.get(name) ?? null
  return name === 'data' && element !== 'object' ? null : found
}

/** A value without references, mapped; null: as it is. */
export function mapAttribute(
  kindOf: AttributeKind,
  value: string,
  addresses: PageAddresses,
  isLeadByte: IsLeadByte | null,
): string | null {
  switch (kindOf) {
    case 'address':
      return addresses.map(value)
    case 'srcset':
      return rewriteSrcset(value, addresses.map)
    case 'style':
      return mapStyle(value, addresses, isLeadByte)
    default:
      return null
  }
}

function mapStyle(value: string, addresses: PageAddresses, isLeadByte: IsLeadByte | null): string | null {
  if (!MAY_HOLD_ADDRESS.test(value)) return null
  let out = ''
  const css = createCssRewriter(addresses.map, (text) => (out += text), isLeadByte)
  css.write(value)
  css.end()
  return out === value ? null : out
}
