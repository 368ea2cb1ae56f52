/** Sets of header names, all in lower case, and the grammar of names and values (RFC 9110 section 5). */

export const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

/** Control characters other than tab never belong in a value (RFC 9110 section 5.5). */
// oxlint-disable-next-line no-control-regex
export const BAD_VALUE = /[\x00-\x08\x0a-\x1f\x7f]/

/** For one connection only (RFC 9110 section 7.6.1), besides what `Connection` names. */
export const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-authentication-info',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
])

/** The names that a `Connection` header lists. */
export function namesIn(value: string): string[] {
  return value
    .split(',')
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== '')
}

/** Headers by name, for JSON and for who looks one up. A name that came more than once holds all its values. */
export type HeaderBlock = Record<string, string | string[]>

/** Name after value as a block. */
export function blockOf(list: readonly string[]): HeaderBlock {
  const block = Object.create(null) as HeaderBlock
  for (let at = 0; at + 1 < list.length; at += 2) addHeader(block, list[at]!, list[at + 1]!)
  return block
}

/** Adds one value; a repeated header becomes an array. The object has no prototype, so any name is only data. */
export function addHeader(block: HeaderBlock, name: string, value: string): void {
  const present = block[name]
  if (present === undefined) block[name] = value
  else if (Array.isArray(present)) present.push(value)
  else block[name] = [present, value]
}
