/** What of a head (name after value) changes with the body, and which bodies change at all. */
import { rewritePolicies } from './csp.ts'
import type { PolicyContext } from './csp.ts'
import type { BodyKind } from './body.ts'

const TYPES: Readonly<Record<string, BodyKind>> = {
  'text/html': 'html',
  'application/xhtml+xml': 'xhtml',
  'text/css': 'css',
}

export interface ContentType {
  readonly kind: BodyKind
  /** Empty: none. */
  readonly charset: string
}

/** Null: this type passes as it is. */
export function rewrittenType(contentType: string): ContentType | null {
  const kind = TYPES[contentType.split(';', 1)[0]!.trim().toLowerCase()]
  if (kind === undefined) return null
  const charset = /;\s*charset\s*=\s*"?([^\s";]+)/i.exec(contentType)?.[1] ?? ''
  return { kind, charset }
}

/** The value of a header; undefined: there is none. Several are joined. */
export function headerOf(headers: readonly string[], name: string): string | undefined {
  const values: string[] = []
  for (let at = 0; at < headers.length; at += 2)
    if (headers[at]!.toLowerCase() === name) values.push(headers[at + 1]!)
  return values.length === 0 ? undefined : values.join(', ')
}

/** Of the body that the device sent, and wrong for the one that the person gets. */
const OF_THE_BODY: ReadonlySet<string> = new Set([
  'content-length',
  'accept-ranges',
  'content-md5',
  'digest',
  'content-digest',
  'repr-digest',
])

export interface HeadChanges {
  /** The body is rewritten, or would be if there were one. */
  readonly isRewritten: boolean
  readonly keepsCoding: boolean
  /** Makes the device's entity tag one of ours; null: the tag stays. */
  readonly tag: ((tag: string) => string) | null
  /** Null: the answer is no document. */
  readonly policy: PolicyContext | null
  readonly map: PolicyContext['map']
}

/** The head for a person's browser. */
export function changedHead(headers: readonly string[], changes: HeadChanges): string[] {
  const out: string[] = []
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at]!
    const value = changedValue(name.toLowerCase(), headers[at + 1]!, changes)
    if (value !== null) out.push(name, value)
  }
  // The same address is another text to a script than to a frame.
  if (changes.isRewritten) out.push('Vary', 'Sec-Fetch-Dest')
  return out
}

function changedValue(name: string, value: string, changes: HeadChanges): string | null {
  if (changes.isRewritten && OF_THE_BODY.has(name)) return null
  if (name === 'content-encoding' && changes.isRewritten && !changes.keepsCoding) return null
  if (name === 'etag' && changes.tag !== null) return changes.tag(value)
  if (name === 'link')
    return value.replaceAll(/<([^<>]*)>/g, (_all, address: string) => `<${changes.map(address) ?? address}>`)
  if (changes.policy !== null && name.startsWith('content-security-policy'))
    return rewritePolicies(value, changes.policy)
  return value
}

const CODINGS: Readonly<Record<string, Coding>> = {
  '': 'identity',
  identity: 'identity',
  gzip: 'gzip',
  'x-gzip': 'gzip',
  deflate: 'deflate',
  br: 'br',
  zstd: 'zstd',
}

export type Coding = 'identity' | 'gzip' | 'deflate' | 'br' | 'zstd'

/** @param encoding `Content-Encoding`. Null: one that is not known here, or several. */
export function codingOf(encoding: string | undefined): Coding | null {
  return CODINGS[(encoding ?? '').trim().toLowerCase()] ?? null
}

/** Whether `Accept-Encoding` (RFC 9110 section 12.5.3) lets the coding pass. */
export function accepts(acceptEncoding: string | undefined, coding: Coding): boolean {
  const listed = (acceptEncoding ?? '')
    .toLowerCase()
    .split(',')
    .map((item) => item.split(';').map((part) => part.trim()))
  const found = listed.find(([name]) => name === coding) ?? listed.find(([name]) => name === '*')
  return found !== undefined && !found.slice(1).some((parameter) => /^q=0(?:\.0{0,3})?$/.test(parameter))
}
