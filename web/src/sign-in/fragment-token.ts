/** `#name=value` of an address in a mail; '' without it. Fragments stay out of logs and Referer. */
export function fragmentToken(hash: string, name: string): string {
  return new URLSearchParams(hash.replace(/^#/, '')).get(name) ?? ''
}
