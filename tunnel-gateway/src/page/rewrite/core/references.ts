/**
 * Character references in attribute values (HTML Standard, section 13.5). Only those are read that can hide the parts of an
 * address or of a style sheet; `&` itself is never read nor written, so that every other reference stays what it is.
 */

const NAMED: Readonly<Record<string, string>> = {
  Tab: '\t',
  NewLine: '\n',
  sol: '/',
  bsol: '\\',
  colon: ':',
  period: '.',
  lpar: '(',
  rpar: ')',
  lbrace: '{',
  rbrace: '}',
  semi: ';',
  comma: ',',
  quot: '"',
  apos: "'",
  lt: '<',
  gt: '>',
}
const REFERENCE = /&(?:#0{0,8}(\d{1,3})|#[xX]0{0,8}([0-9a-fA-F]{1,2})|([A-Za-z]{2,7})(?=;));?/g
/** Letters and digits hide nothing, and put behind an `&` they could make a reference. */
const READ = /[\t\n\f\r -%'-/:;<-@[-`{-~]/

/** The value with what it refers to in place. */
export function readReferences(raw: string): string {
  if (!raw.includes('&')) return raw
  return raw.replaceAll(REFERENCE, (all, decimal?: string, hex?: string, name?: string) => {
    if (name !== undefined) return NAMED[name] ?? all
    const code = decimal === undefined ? Number.parseInt(hex!, 16) : Number(decimal)
    const character = code < 0x80 ? String.fromCharCode(code) : all
    return READ.test(character) ? character : all
  })
}

export type Quote = '"' | "'" | ''

/** The value as it may stand between `quote`s, or without any. */
export function writeValue(value: string, quote: Quote): string {
  if (quote === '"') return value.replaceAll('"', '&quot;')
  if (quote === "'") return value.replaceAll("'", '&#39;')
  return value.replaceAll(/[\t\n\f\r "'<=>`]/g, (character) => `&#${character.charCodeAt(0)};`)
}

/** A whole text inside a value (`srcdoc`): the only place where `&` itself is read and written. */
export function readText(raw: string): string {
  return readReferences(raw).replaceAll(/&(?:amp|#38|#[xX]26);?/g, '&')
}

/** A text as a value between double quotes. */
export function writeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('"', '&quot;')
}
