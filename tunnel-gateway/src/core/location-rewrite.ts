/**
 * `Location`, `Content-Location` and `Refresh` of a device: it knows itself by an address of its own network, which
 * means nothing, or something else, in the user's browser.
 */

import { mapAddress, pageBase } from '#src/page/shim/addresses.ts'
import type { PagePlace } from '#src/page/shim/addresses.ts'

/** The reference as the user's browser may follow it; null where it leads somewhere that it must not. */
export function rewriteReference(reference: string, place: PagePlace): string | null {
  // Browsers take tabs out, wherever they are.
  const text = reference.trim().replaceAll('\t', '')
  if (text === '') return text
  const absolute = /^(?:(https?):)?[/\\]{2}([^/\\?#]*)(.*)$/is.exec(text)
  if (absolute !== null) return rewriteAbsolute(text, absolute[2]!.toLowerCase(), absolute[3]!, place)
  // Any other scheme, `javascript:` above all, has no business in these headers.
  if (/^[a-z][a-z0-9+.-]*:/i.test(text)) return null
  return mapAddress(text, place) ?? text
}

function rewriteAbsolute(text: string, authority: string, rest: string, place: PagePlace): string | null {
  const at = authority.lastIndexOf('@')
  const hostAndPort = at < 0 ? authority : authority.slice(at + 1)
  const host = withoutPort(hostAndPort)
  const path = /^[/\\]/.test(rest) ? rest : `/${rest}`
  // The page's own host at another port: the device's port, where it has such a one, else another server.
  const isElsewhere = hostAndPort !== place.pageHost && host === withoutPort(place.pageHost)
  const isOffered = place.ports.some((port) => hostAndPort === `${host}:${port}`)
  const mapped = isElsewhere && !isOffered ? null : mapAddress(text, place)
  if (mapped !== null) return mapped
  // Of the page's own public address, and mapped already.
  if (hostAndPort === place.pageHost) return path
  if (!isPrivateHost(host) && !isPrivateHost(readHost(text))) return at < 0 ? text : null
  // A device that told no address of its own can only mean itself; else the address is somebody else's.
  return place.hosts.length === 0
    ? (mapAddress(text, { ...place, hosts: [host] }) ?? pageBase(place) + path)
    : null
}

/** `Refresh: 5; url=/next`; the rewritten value, or null where its address is refused. */
export function rewriteRefresh(value: string, place: PagePlace): string | null {
  const match = /^\s*(\d{1,9}(?:\.\d{0,9})?)\s*(?:[;,]\s*(?:url\s*=\s*)?(.*))?$/is.exec(value)
  if (match === null) return null
  const target = match[2]?.trim().replaceAll(/^["']|["']$/g, '')
  if (target === undefined || target === '') return match[1]!
  const reference = rewriteReference(target, place)
  return reference === null ? null : `${match[1]!}; url=${reference}`
}

/** The host as browsers read it (URL Standard, section 3.5): without escapes, numbers as addresses; empty: none. */
function readHost(address: string): string {
  const text = Buffer.from(address, 'latin1').toString()
  return withoutPort(URL.parse(text, 'http://none.invalid')?.hostname ?? '')
}

function withoutPort(host: string): string {
  if (host.startsWith('[')) return host.slice(1, Math.max(1, host.indexOf(']')))
  return host.replace(/:\d*$/, '')
}

/** An address or name that only means something inside somebody's own network. */
export function isPrivateHost(host: string): boolean {
  if (
    host === '' ||
    host === 'localhost' ||
    /\.(?:local|localhost|lan|home|internal|home\.arpa)\.?$/.test(host)
  )
    return true
  // One label is a name of the local network; a number is an IPv4 address in disguise.
  if (!host.includes('.') && !host.includes(':')) return true
  const v4 = /^(?:::ffff:)?(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(host)
  if (v4 !== null) return isPrivateV4(Number(v4[1]), Number(v4[2]))
  if (host.includes(':')) return /^(?:::1?$|f[cd]|fe[89ab]|::ffff:|64:ff9b:)/.test(host)
  // Octal, hexadecimal and short forms, which browsers read as IPv4 too.
  return /^(?:0x[0-9a-f]*|\d+)(?:\.(?:0x[0-9a-f]*|\d+))*\.?$/.test(host)
}

function isPrivateV4(a: number, b: number): boolean {
  return (
    a === 0 ||
    a === 10 ||
    a === 127 ||
    a >= 224 ||
    (a === 100 && b >= 64 && b <= 127) ||
    (a === 169 && b === 254) ||
    (a === 172 && b >= 16 && b <= 31) ||
    (a === 192 && b === 168)
  )
}
