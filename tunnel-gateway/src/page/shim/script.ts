/** The shim as the gateway hands it out. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'

/** Made of `browser/` by `npm run gen`. */
export const SHIM: Buffer = readFileSync(new URL('generated/shim.js', import.meta.url))

/** Below a page's prefix. */
export const SHIM_PATH = '/_wmoc/shim.js'

/** The same with the version that makes it immutable. */
export const SHIM_ADDRESS = `${SHIM_PATH}?v=${createHash('sha256').update(SHIM).digest('base64url').slice(0, 16)}`
