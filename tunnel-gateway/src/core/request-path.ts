/** Reads request targets. The path goes to the device raw and un-normalised; nothing here decodes what is delivered. */

export type Target =
  /** `/c/{id}` or `/c/{id}?query`: to be sent on to `/c/{id}/`. */
  | { readonly kind: 'redirect'; readonly location: string }
  | { readonly kind: 'device'; readonly controllerId: string; readonly path: string }
  /** Belongs to the gateway itself (`/_wmoc/…`); never reaches a device. */
  | { readonly kind: 'reserved'; readonly path: string }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'malformed' }

/** Visible ASCII without `#` (RFC 3986 section 3.3, RFC 9112 section 3.2): whatever else is in a target is an attack or a bug. */
const TARGET = /^\/[\x21\x22\x24-\x7e]*$/
const CONTROLLER_PATH =
  /^\/c\/([0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})(?=[/?]|$)/

/** Reads a target below `/c/` on the portal's host. Ids are lower-case: one device has one address. */
export function parseControllerTarget(target: string): Target {
  if (!TARGET.test(target)) return { kind: 'malformed' }
  const match = CONTROLLER_PATH.exec(target)
  if (match === null) return { kind: 'unknown' }
  const controllerId = match[1]!
  const rest = target.slice(match[0].length)
  if (!rest.startsWith('/')) return { kind: 'redirect', location: `/c/${controllerId}/${rest}` }
  if (isReserved(rest)) return { kind: 'reserved', path: rest }
  return { kind: 'device', controllerId, path: rest }
}

/** Reads a target on a device's own origin; the controller is known by the host. */
export function parseOwnOriginTarget(target: string): {
  kind: 'device' | 'reserved' | 'malformed'
  path: string
} {
  if (!TARGET.test(target)) return { kind: 'malformed', path: '' }
  return { kind: isReserved(target) ? 'reserved' : 'device', path: target }
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
