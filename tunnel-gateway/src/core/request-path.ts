/** Reads request targets. The path goes to the device raw and un-normalised; nothing here decodes what is delivered. */

/** What an address below `/c/` says, or one on a device's own origin (which says it by its host). */
export interface PageAddress {
  /** What the sandboxed frame of a page is authorised by; null: none is given. */
  readonly capability: string | null
  /** A port of the device other than its page's own. */
  readonly port: number | null
  /** What comes before the paths of the device's main port: `/c/{id}`, with the capability where one is given; '' on the own origin. */
  readonly prefix: string
  /** Raw path and query, from the first slash after the prefix. `reserved`: the gateway's own, never a device's. */
  readonly path: string
}

export type Target =
  /** `/c/{id}` or `/c/{id}?query`: to be sent on to `/c/{id}/`. */
  | { readonly kind: 'redirect'; readonly location: string }
  | ({ readonly kind: 'device' | 'reserved'; readonly controllerId: string } & PageAddress)
  | { readonly kind: 'unknown' }
  | { readonly kind: 'malformed' }

export type OwnOriginTarget =
  | { readonly kind: 'redirect'; readonly location: string }
  | ({ readonly kind: 'device' | 'reserved' } & PageAddress)
  | { readonly kind: 'malformed' }

/** Visible ASCII without `#` (RFC 3986 section 3.3, RFC 9112 section 3.2): whatever else is in a target is an attack or a bug. */
const TARGET = /^\/[\x21\x22\x24-\x7e]*$/
const CONTROLLER_PATH =
  /^\/c\/([0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})(?:~([A-Za-z0-9_-]{1,100})(?:~([1-9]\d{0,4}))?)?(?=[/?]|$)/
const PORT_PATH = /^\/_wmoc\/port\/([1-9]\d{0,4})(?=[/?]|$)/
const MAX_PORT = 65_535

/**
 * Reads a target below `/c/` on the portal's host: `/c/{id}/…`, `/c/{id}~{capability}/…`,
 * `/c/{id}~{capability}~{port}/…`. Ids are lower-case: one device has one address.
 */
export function parseControllerTarget(target: string): Target {
  if (!TARGET.test(target)) return { kind: 'malformed' }
  const match = CONTROLLER_PATH.exec(target)
  if (match === null) return { kind: 'unknown' }
  const [whole, controllerId, capability = null, givenPort] = match as unknown as [
    string,
    string,
    string?,
    string?,
  ]
  const port = givenPort === undefined ? null : Number(givenPort)
  if (port !== null && port > MAX_PORT) return { kind: 'unknown' }
  const path = target.slice(whole.length)
  if (!path.startsWith('/')) return { kind: 'redirect', location: `${whole}/${path}` }
  const prefix = port === null ? whole : whole.slice(0, whole.lastIndexOf('~'))
  return { kind: isReserved(path) ? 'reserved' : 'device', controllerId, capability, port, prefix, path }
}

/** Reads a target on a device's own origin: `/…`, or `/_wmoc/port/{port}/…` for another port of the device. */
export function parseOwnOriginTarget(target: string): OwnOriginTarget {
  if (!TARGET.test(target)) return { kind: 'malformed' }
  const match = PORT_PATH.exec(target)
  const port = match === null || Number(match[1]) > MAX_PORT ? null : Number(match[1])
  const path = port === null ? target : target.slice(match![0].length)
  if (!path.startsWith('/')) return { kind: 'redirect', location: `${match![0]}/${path}` }
  return { kind: isReserved(path) ? 'reserved' : 'device', capability: null, port, prefix: '', path }
}

/** Whether the path leads to another port of the device: as on its own origin, so below `/c/{id}` in the address bar. */
export function leadsToPort(path: string): boolean {
  return /^\/_wmoc\/port\/[1-9]\d{0,4}\//.test(path)
}

/** The path of a page below `/c/{id}`, where people keep and share its address. @param port Null: the main one. */
export function keptPath({ port, path }: Pick<PageAddress, 'port' | 'path'>): string {
  return port === null ? path : `/_wmoc/port/${port}${path}`
}

/** Whether a device's server could understand the path as `/_wmoc` or below, however it is written. */
export function isReserved(path: string): boolean {
  // The common case first: without an underscore or an escape it cannot be.
  if (!path.includes('_') && !path.includes('%')) return false
  let text = path.split('?', 1)[0]!
  for (let pass = 0; pass < 2; pass += 1) {
    text = text.replaceAll(/%([0-7][0-9a-f])/gi, (_all, hex: string) =>
      String.fromCharCode(parseInt(hex, 16)),
    )
  }
  return text.split(/[/\\]+/).some((segment) => segment.split(';', 1)[0]!.toLowerCase() === '_wmoc')
}

/** A path of this origin to go on to: begins with one slash and cannot be read as another host. Anything else is `/`. */
export function samePagePath(path: string): string {
  return TARGET.test(path) && !/^\/[/\\]/.test(path) && path.length <= 4_096 ? path : '/'
}
