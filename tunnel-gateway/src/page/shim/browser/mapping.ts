/** What of a value is an address, and the value with addresses mapped. Values without one come back as they were. */
import { mapAddress } from '../addresses.ts'
import { here } from './here.ts'

export type Map = (value: unknown) => unknown
type MapText = (text: string) => string

const CSS_ADDRESS = /(\burl\(\s*["']?|@import\s+["'])([^"')]+)/gi
const CANDIDATE = /((?:^|,)\s*)([^\s,]\S*)/g
const TAG = /<[a-z]("[^"]*"|'[^']*'|[^"'<>])*/gi
const IN_TAG = /(\s([a-z]+)\s*=\s*["']?)((?<=")[^"]*|(?<=')[^']*|[^\s"'>]+)/gi

const absolute: MapText = (path) => new URL(path, here.origin).href

function address(text: string): string {
  const { base } = here
  // A worker of ours lives at a blob's address, which nothing is relative to; and a browser stops climbing at the root,
  // but would climb over the prefix.
  if (base || text.startsWith('..')) text = new URL(text, base || document.baseURI).href
  const mapped = mapAddress(text, here) ?? text
  return base ? absolute(mapped) : mapped
}

const inAll =
  (pattern: RegExp, map: MapText): MapText =>
  (text) =>
    text.replace(pattern, (_all, before: string, found: string) => before + map(found))
const cssText = inAll(CSS_ADDRESS, address)
const candidates = inAll(CANDIDATE, address)

function attributeText(name: string, value: string): string {
  if (/^(href|(form)?action|src|poster|data)$/i.test(name)) return address(value)
  if (/srcset$/i.test(name)) return candidates(value)
  // CSS is mapped wherever it is in HTML.
  return /^(style|srcdoc)$/i.test(name) ? htmlText(value) : value
}

const inTag: MapText = (text) =>
  text.replace(
    IN_TAG,
    (_all, before: string, name: string, value: string) => before + attributeText(name, value),
  )
const htmlText: MapText = (text) => cssText(text.replace(TAG, inTag))

const mapping =
  (map: MapText): Map =>
  (value) => {
    const text = String(value)
    const mapped = map(text)
    return mapped === text ? value : mapped
  }

export const url = mapping(address)
/** As `WebSocket` takes it in browsers that want its scheme. */
export const socket: Map = (value) => {
  const mapped = url(value)
  return mapped === value ? value : absolute(mapped as string).replace(/^http/, 'ws')
}
export const css = mapping(cssText)
export const html = mapping(htmlText)
/** Of an element's attribute by its name, or of the property that is made of it. */
export const attribute = (name: unknown, value: unknown): unknown =>
  mapping((text) => attributeText(name as string, text))(value)
