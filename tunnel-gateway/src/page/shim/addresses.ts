/**
 * Which of a page's addresses are the device's own, and where they lie for a browser. One mapping for what is rewritten
 * on its way (`page/rewrite`), what the page makes while it runs (the shim), and what the tests expect. Pure; runs in
 * browsers too.
 */

/** Where a page of a device lies for the browser that shows it. */
export interface PagePlace {
  /** Of the device's main port: `/c/{id}~{capability}`; empty where the device has an origin of its own. */
  readonly prefix: string
  /** What devices write that heed `X-Forwarded-Prefix`: `/c/{id}`; empty where the device has an origin of its own. */
  readonly publicPrefix: string
  /** The port of the device that this page came from; null: the main one. */
  readonly port: number | null
  /** Other ports that the device announced. */
  readonly ports: readonly number[]
  /** Addresses and names that the device told of itself, lower case, with or without port, IPv6 in brackets. */
  readonly hosts: readonly string[]
  /** `host[:port]` of the page's public address, lower case: scripts make addresses of `location.hostname`. */
  readonly pageHost: string
}

type Place = Pick<PagePlace, 'prefix' | 'port'>

/** What the paths of a port are put under; null: of the main port. */
export function portPrefix({ prefix }: Pick<PagePlace, 'prefix'>, port: number | null): string {
  if (port === null) return prefix
  return prefix === '' ? `/_wmoc/port/${port}` : `${prefix}~${port}`
}

/** What the page's own absolute paths are put under; no slash at the end. */
export function pageBase(place: Place): string {
  return portPrefix(place, place.port)
}

// As browsers read them (URL Standard, section 4.4): either slash, any case, user and password before the last `@`.
const ABSOLUTE = /^(?:(?:http|(ws))s?:)?[/\\]{2}(?:[^/\\?#]*@)?([^/\\?#]*)([^]*)/i

/**
 * The address as a path of the page's public origin, whatever scheme it had; null: leave it, because it is relative,
 * mapped already, or somebody else's.
 * @param address An absolute path, or an address with or without scheme (`http`, `https`, `ws`, `wss`).
 */
export function mapAddress(address: string, place: PagePlace): string | null {
  const text = address.trim().replace(/[\t\n\r]/g, '')
  const absolute = ABSOLUTE.exec(text)
  if (!absolute) return /^[/\\]/.test(text) ? mapPath(text, pageBase(place), place) : null
  const [, socket, authority = '', rest = ''] = absolute
  return mapHost(authority.toLowerCase(), rest, Boolean(socket), place)
}

/** The path as the device knows it: what `mapAddress` put before it taken off. A path that is not the page's stays. */
export function devicePath(path: string, place: Place): string {
  const base = pageBase(place)
  return path.startsWith(`${base}/`) ? path.slice(base.length) : path
}

function mapPath(path: string, base: string, { prefix, publicPrefix }: PagePlace): string | null {
  if (isUnder(path, prefix || '/_wmoc')) return null
  return (
    (base &&
      base + rooted(publicPrefix && isUnder(path, publicPrefix) ? path.slice(publicPrefix.length) : path)) ||
    null
  )
}

/** With one slash before it. */
function rooted(path: string): string {
  return `/${path.replace(/^[/\\]/, '')}`
}

/** A capability and a port follow after a tilde. */
function isUnder(path: string, prefix: string): boolean {
  return path.startsWith(prefix) && /^([/?#~]|$)/.test(path.slice(prefix.length))
}

function mapHost(authority: string, rest: string, isSocket: boolean, place: PagePlace): string | null {
  const { hosts, pageHost, ports } = place
  const path = rooted(rest)
  // Of the page's own origin, which is of one port of the device.
  if (authority === pageHost) return mapPath(path, pageBase(place), place) ?? (isSocket ? path : null)
  const name = nameOf(authority)
  if (![pageHost, ...hosts].some((host) => nameOf(host) === name)) return null
  const port = +authority.split(':').pop()!
  const isMain =
    !port ||
    hosts.includes(authority) ||
    // A device that announced no ports has one, whatever number it has in its own network.
    (!ports.includes(port) && (!ports[0] || port === 80 || port === 443))
  return mapPath(path, portPrefix(place, isMain ? null : port), place) ?? path
}

function nameOf(authority: string): string {
  return authority.replace(/\.?(:\d*)?$/, '')
}
