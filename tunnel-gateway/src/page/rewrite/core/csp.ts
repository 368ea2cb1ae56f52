/**
 * A device's Content-Security-Policy in the page's new place (CSP Level 3). `'self'` stays: it means the origin of the
 * response's address even where the document is sandboxed. Hosts of the device become the addresses they are mapped to. What
 * we put into the page is allowed by its address where the policy has `'unsafe-inline'` (a nonce would switch that off), else by a nonce.
 */
import type { MapAddress } from './text-rewriter.ts'

export interface PolicyContext {
  readonly map: MapAddress
  /** `https://host` of the page's public address. */
  readonly origin: string
  /** The shim's path, without query; empty: nothing is put into the page. */
  readonly shimPath: string
  readonly nonce: string
}

const HOST_SOURCE = /^(?:([a-z][a-z0-9+.-]*):\/\/)?([^/'\s;,]+)(\/[^\s;,]*)?$/i
const SOURCE_LIST = /^(?:[a-z-]+-src(?:-elem|-attr)?|form-action|base-uri)$/
const STRICT = /^'(?:nonce-|sha\d{3}-|strict-dynamic')/i

/** @param policies One policy, or several with commas between, as in a header. */
export function rewritePolicies(policies: string, context: PolicyContext): string {
  return policies
    .split(',')
    .map((policy) => rewritePolicy(policy.trim(), context))
    .filter((policy) => policy !== '')
    .join(', ')
}

function rewritePolicy(policy: string, context: PolicyContext): string {
  const directives = policy
    .split(';')
    .map((directive) => directive.trim().split(/\s+/))
    .filter(([name]) => name !== undefined && name !== '')
  const isKnown = new Set<string>()
  const kept = directives.flatMap(([given, ...values]) => {
    const name = given!.toLowerCase()
    // Only the first of a name counts (section 2.2.1).
    if (isKnown.has(name)) return []
    isKnown.add(name)
    if (name === 'report-uri') return [[name, ...values.map((address) => context.map(address) ?? address)]]
    if (!SOURCE_LIST.test(name)) return [[given!, ...values]]
    return [[name, ...values.map((source) => mapSource(source, context))]]
  })
  allowOurs(kept, context)
  return kept.map((directive) => directive.join(' ')).join('; ')
}

function mapSource(source: string, { map, origin }: PolicyContext): string {
  const match = HOST_SOURCE.exec(source)
  if (match === null) return source
  const [, scheme = 'http', host = '', path = '/'] = match
  const mapped = map(`${scheme}://${host.replace(/:\*$/, '')}${path}`)
  if (mapped === null) return source
  const base = /^wss?$/i.test(scheme) ? origin.replace(/^http/, 'ws') : origin
  return host.endsWith(':*') ? base : base + mapped
}

function allowOurs(directives: string[][], { origin, shimPath, nonce }: PolicyContext): void {
  if (shimPath === '') return
  const find = (name: string) => directives.find(([given]) => given === name)
  const scripts = find('script-src-elem') ?? find('script-src')
  const inherited = scripts ?? find('default-src')
  if (inherited === undefined) return
  const sources = inherited.slice(1)
  // A page without any script needs nothing of ours.
  if (sources.every((source) => source.toLowerCase() === "'none'")) return
  const isLax =
    sources.some((source) => source.toLowerCase() === "'unsafe-inline'") &&
    !sources.some((source) => STRICT.test(source))
  const ours = isLax ? `${origin}${shimPath}` : `'nonce-${nonce}'`
  if (scripts === undefined) directives.push(['script-src', ...sources, ours])
  else scripts.push(ours)
}
