/** Where to go after sign-in: a path of this portal or `/`. `//evil`, `/\evil` and foreign schemes are none. */
export function safePath(next: unknown): string {
  if (typeof next !== 'string' || !next.startsWith('/')) return '/'
  const url = URL.parse(next, 'http://portal.invalid')
  if (!url || url.origin !== 'http://portal.invalid') return '/'
  return `${url.pathname}${url.search}${url.hash}`
}
