/** Splits a mail's text so that links to this portal can be followed; foreign ones stay text. Pure. */
export function linkParts(text: string, origin: string): { text: string; path: string | null }[] {
  return text
    .split(/(https?:\/\/[^\s<>"]+)/)
    .filter((part) => part !== '')
    .map((part) => ({ text: part, path: pathOf(part, origin) }))
}

function pathOf(text: string, origin: string): string | null {
  const url = URL.parse(text)
  return url?.origin === origin ? url.pathname + url.search + url.hash : null
}
