/** The token of a shared link: 256 bits in an address's fragment, kept for this tab so that a reload finds it. */

const key = (id: string) => `wmoc.link.${id}`

/** The token in a fragment, or null. */
export function linkToken(hash: string): string | null {
  return /^#([A-Za-z0-9_-]{43})$/.exec(hash)?.[1] ?? null
}

export function keptLink(id: string): string | null {
  try {
    return sessionStorage.getItem(key(id))
  } catch {
    return null
  }
}

export function keepLink(id: string, token: string): void {
  try {
    sessionStorage.setItem(key(id), token)
  } catch {
    // Storage may be forbidden: then the link works until the tab is loaded anew.
  }
}
