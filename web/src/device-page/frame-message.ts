/**
 * What comes out of the frame. `{wmoc: 'page', path, title}` is what a device's page says of itself, `{wmoc: 'strayed',
 * path}` comes from the portal's own server where the page went to an address of the portal. Both are believed no more
 * than a path below the device's own address and a short plain text.
 */

const MAX_PATH = 1_000
const MAX_TITLE = 80
/** Controls, and what turns the direction of text around or hides in it. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu

export interface FrameMessage {
  readonly kind: 'page' | 'strayed'
  /** Begins with `/`, or with `/_wmoc/port/81/` for another port of the device; with query and fragment. */
  readonly path: string
  /** One line of visible text; may be empty. */
  readonly title: string
}

/** The message, or null for anything that is none. */
export function parseFrameMessage(data: unknown): FrameMessage | null {
  if (typeof data !== 'object' || data === null) return null
  const { wmoc, path, title = '' } = data as Record<string, unknown>
  if ((wmoc !== 'page' && wmoc !== 'strayed') || typeof path !== 'string' || typeof title !== 'string')
    return null
  if (path.length > MAX_PATH || !/^\/[\x21-\x5B\x5D-\x7E]*$/.test(path)) return null
  const line = title.slice(0, 1_000).replaceAll(UNSEEN, ' ').replaceAll(/\s+/g, ' ').trim()
  return { kind: wmoc, path, title: line.length > MAX_TITLE ? `${line.slice(0, MAX_TITLE - 1)}…` : line }
}

/** The address of a device's path in the portal, or null where the path would lead out of the device's address. */
export function shownAddress(base: string, path: string): string | null {
  const url = URL.parse(`${base}${path}`, 'http://portal.invalid')
  if (!url?.pathname.startsWith(`${base}/`)) return null
  return `${base}${path}`
}

const PORT = /^\/_wmoc\/port\/([1-9]\d{0,4})(?=\/)/

/** What stands before a path that is of another port of the device; empty for the main one. */
export function portOf(path: string): string {
  return PORT.exec(path)?.[0] ?? ''
}

/** Where the frame finds a device's path, or null as above. @param prefix With the capability. */
export function frameAddress(prefix: string, path: string): string | null {
  const [before = '', port] = PORT.exec(path) ?? []
  return shownAddress(port === undefined ? prefix : `${prefix}~${port}`, path.slice(before.length))
}

/** What follows `base` in an address of the portal, with query and fragment: what to ask the device for. */
export function devicePath(base: string, fullPath: string): string {
  const rest = fullPath.slice(base.length)
  return rest.startsWith('/') ? rest : `/${rest}`
}
