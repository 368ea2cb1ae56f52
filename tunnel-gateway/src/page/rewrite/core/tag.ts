/** What becomes of one start tag: which of its attributes are written anew, and what it says of what follows. */
import { mapAttribute } from './attributes.ts'
import type { AttributeKind } from './attributes.ts'
import { rewritePolicies } from './csp.ts'
import type { PolicyContext } from './csp.ts'
import type { PageAddresses } from './page-addresses.ts'
import { readReferences, readText, writeText, writeValue } from './references.ts'
import type { Quote } from './references.ts'
import { rewriteRefreshContent } from './refresh.ts'
import type { IsLeadByte } from './text-rewriter.ts'

/** One that may matter; others are not even told. */
export interface Attribute {
  readonly name: string
  readonly kind: AttributeKind
  /** Positions in the text; those of the value are without quotes. */
  readonly from: number
  readonly valueFrom: number
  readonly valueEnd: number
  readonly end: number
  readonly quote: Quote
  readonly hasValue: boolean
  /** The value as it is written. */
  readonly raw: string
}

export interface Edit {
  readonly from: number
  readonly end: number
  readonly text: string
}

/** What a tag says that decides about its other attributes, or about what follows. Lower case, without references. */
export interface TagFacts {
  rel: string
  type: string
  as: string
  httpEquiv: string
  /** Of `href` or `src`. */
  isOwn: boolean
  hasCrossOrigin: boolean
}

export interface TagContext {
  readonly addresses: PageAddresses
  readonly policy: PolicyContext
  /** Pages in a sandboxed frame can't reach the windows around it. */
  readonly isSandboxed: boolean
  isLeadByte(): IsLeadByte | null
  /** A `<meta>` tells the text's encoding by this label. */
  encoding(label: string): void
  /** A document inside a value, with everything that a document gets. */
  rewriteDocument(html: string): string
}

export function noFacts(): TagFacts {
  return { rel: '', type: '', as: '', httpEquiv: '', isOwn: false, hasCrossOrigin: false }
}

/**
 * The edits for a tag, or for a part of one that is too long to be held whole.
 * @param facts Grow with what is read; the first attribute of a name counts.
 */
export function editTag(
  element: string,
  attributes: readonly Attribute[],
  facts: TagFacts,
  context: TagContext,
): Edit[] {
  const values = attributes.map(({ name, raw }) => {
    const value = readReferences(raw)
    learn(facts, name, value, context.addresses)
    return value
  })
  const edits: Edit[] = []
  for (const [at, attribute] of attributes.entries()) {
    const edit = edited(element, attribute, values[at]!, facts, context)
    if (edit !== null) edits.push(edit)
  }
  return edits
}

function learn(facts: TagFacts, name: string, value: string, addresses: PageAddresses): void {
  const lower = value.trim().toLowerCase()
  if (name === 'rel') facts.rel ||= lower
  else if (name === 'type') facts.type ||= lower
  else if (name === 'as') facts.as ||= lower
  else if (name === 'http-equiv') facts.httpEquiv ||= lower
  else if (name === 'crossorigin') facts.hasCrossOrigin = true
  else if (name === 'href' || name === 'src') facts.isOwn = addresses.isOwn(value)
}

function edited(
  element: string,
  attribute: Attribute,
  value: string,
  facts: TagFacts,
  context: TagContext,
): Edit | null {
  const { kind } = attribute
  if (kind === 'dropped') return { from: attribute.from, end: attribute.end, text: '' }
  if (!attribute.hasValue) return null
  if (element === 'base' && attribute.name === 'href') context.addresses.setBase(value)
  switch (kind) {
    case 'document':
      return quoted(attribute, `"${writeText(context.rewriteDocument(readText(attribute.raw)))}"`)
    case 'target':
      return context.isSandboxed && /^\s*_(?:top|parent)\s*$/i.test(value)
        ? quoted(attribute, '"_self"')
        : null
    case 'fact':
      return editFact(element, attribute, value, facts, context)
    default: {
      const mapped = mapAttribute(kind, value, context.addresses, context.isLeadByte())
      return mapped === null ? null : rewritten(attribute, mapped)
    }
  }
}

function editFact(
  element: string,
  attribute: Attribute,
  value: string,
  facts: TagFacts,
  context: TagContext,
): Edit | null {
  if (attribute.name === 'integrity') return editIntegrity(attribute, facts)
  if (element !== 'meta') return null
  if (attribute.name === 'charset') context.encoding(value)
  if (attribute.name !== 'content') return null
  let content: string | null = null
  if (facts.httpEquiv === 'refresh') content = rewriteRefreshContent(value, context.addresses.map)
  else if (facts.httpEquiv.startsWith('content-security-policy'))
    content = rewritePolicies(value, context.policy)
  else if (facts.httpEquiv === 'content-type')
    context.encoding(/charset\s*=\s*["']?([^\s"';]+)/i.exec(value)?.[1] ?? '')
  return content === null || content === value ? null : rewritten(attribute, content)
}

/** Style sheets of the device change on their way; scripts don't, but a sandboxed page may check them only by CORS. */
function editIntegrity(attribute: Attribute, facts: TagFacts): Edit | null {
  if (!facts.isOwn) return null
  const isStyle = /(?:^|\s)stylesheet(?:\s|$)/.test(facts.rel) || facts.as === 'style'
  if (isStyle) return { from: attribute.from, end: attribute.end, text: '' }
  return facts.hasCrossOrigin ? null : { from: attribute.from, end: attribute.from, text: 'crossorigin="" ' }
}

function rewritten(attribute: Attribute, value: string): Edit {
  return {
    from: attribute.valueFrom,
    end: attribute.valueEnd,
    text: writeValue(value, attribute.quote),
  }
}

/** With quotes of its own, whatever the page had. */
function quoted(attribute: Attribute, text: string): Edit {
  const width = attribute.quote === '' ? 0 : 1
  return { from: attribute.valueFrom - width, end: attribute.valueEnd + width, text }
}
