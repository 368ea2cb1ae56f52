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
  /** Addresses and names that the device told of itself, lower case, with or without port. */
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
const ABSOLUTE = /^(?:(https?|wss?):)?[/\\]{2}([^/\\?#]*)(.*)$/i

/**
 * The address as a path of the page's public origin, whatever scheme it had; null: leave it, because it is relative,
 * mapped already, or somebody else's.
 * @param address An absolute path, or an address with or without scheme (`http`, `https`, `ws`, `wss`).
 */
export function mapAddress(address: string, place: PagePlace): string | null {
  const text = bare(address)
  const absolute = ABSOLUTE.exec(text)
  if (absolute !== null) {
    const [, scheme = '', authority = '', rest = ''] = absolute
    return mapHost(authority.slice(authority.lastIndexOf('@') + 1).toLowerCase(), rest, scheme, place)
  }
  return /^[/\\]/.test(text) ? mapPath(text, pageBase(place), place) : null
}

/** The path as the device knows it: what `mapAddress` put before it taken off. A path that is not the page's stays. */
export function devicePath(path: string, place: Place): string {
  const base = pageBase(place)
  return path.startsWith(`${base}/`) ? path.slice(base.length) : path
}

/** What browsers take off before they read an address. */
function bare(address: string): string {
  // oxlint-disable-next-line no-control-regex
  return address.trimEnd().replace(/^[\0- ]+|[\t\n\r]/g, '')
}

function mapPath(path: string, base: string, { prefix, publicPrefix }: PagePlace): string | null {
  if (prefix === '' ? path.startsWith('/_wmoc/') : isUnder(path, prefix, '~')) return null
  const rest = publicPrefix !== '' && isUnder(path, publicPrefix) ? path.slice(publicPrefix.length) : path
  return base === '' ? null : base + rooted(rest)
}

/** With one slash before it. */
function rooted(path: string): string {
  return `/${path.replace(/^[/\\]/, '')}`
}

function isUnder(path: string, prefix: string, more = ''): boolean {
  const next = path[prefix.length] ?? ''
  return path.startsWith(prefix) && (next === '' || `/?#${more}`.includes(next))
}

function mapHost(authority: string, rest: string, scheme: string, place: PagePlace): string | null {
  const { hosts, pageHost, ports } = place
  const path = rooted(rest)
  const isAsked = (host: string) => splitPort(host)[0] === name
  const [name, port] = splitPort(authority)
  // Of the page's own origin, which is of one port of the device.
  if (authority === pageHost)
    return mapPath(path, pageBase(place), place) ?? (scheme.startsWith('w') ? path : null)
  if (!hosts.some(isAsked) && !isAsked(pageHost)) return null
  const isMain =
    port === null ||
    hosts.includes(authority) ||
    // A device that announced no ports has one, whatever number it has in its own network.
    ports.length === 0 ||
    (WEB_PORTS.has(port) && !ports.includes(port))
  return mapPath(path, portPrefix(place, isMain ? null : port), place) ?? path
}

const WEB_PORTS: ReadonlySet<number> = new Set([80, 443])

/** IPv6 addresses come in brackets, or bare where there is no port. */
function splitPort(authority: string): readonly [name: string, port: number | null] {
  const colon = authority.lastIndexOf(':')
  const digits = authority.slice(colon + 1)
  const isPort = colon >= 0 && /^\d*$/.test(digits) && /^\[.*\]$|^[^:]*$/.test(authority.slice(0, colon))
  const name = isPort ? authority.slice(0, colon) : authority
  return [name.replace(/^\[|[\].]$/g, ''), isPort && digits !== '' ? Number(digits) : null]
}
