/** Names that a build tool gives: `app.3f9a1c2b.js`, `index-DkW8s_4a.css`, `main.js?v=3f9a1c2b`. */

const EXTENSION = /\.(?:m?js|css|woff2?|ttf|otf|svg|png|jpe?g|gif|webp|avif|ico|wasm|map|mp3|mp4)$/i
const IN_NAME = /[.-]([A-Za-z0-9_]{6,64})\.[A-Za-z0-9.]{1,12}$/
const IN_QUERY = /^(?:v|ver|version|h|hash|rev|build)=([A-Za-z0-9._-]{6,64})$|^([0-9a-f]{6,64})$/i

/**
 * Whether the address of an asset names its very content, so that another content has another address. @param path With
 * its query.
 */
export function hasHashInName(path: string): boolean {
  const [name = '', query = ''] = path.split('?', 2)
  if (!EXTENSION.test(name)) return false
  if (query !== '') {
    const match = IN_QUERY.exec(query)
    return match !== null && looksRandom((match[1] ?? match[2])!)
  }
  const hash = IN_NAME.exec(name)?.[1]
  return hash !== undefined && looksRandom(hash)
}

/** Hexadecimal with a digit, or digits and both cases: `1.2.3-rc`, `jquery` and `20240101` are no hashes. */
function looksRandom(text: string): boolean {
  if (/^[0-9a-f]+$/.test(text)) return /[0-9]/.test(text) && /[a-f]/.test(text)
  return /[0-9]/.test(text) && /[A-Z]/.test(text) && /[a-z]/.test(text) && !text.includes('.')
}
