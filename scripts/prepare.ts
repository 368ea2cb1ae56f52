/** After `npm ci`: builds the portal, so that the first start needn't. */
import { isPortalStale } from './start/portal.ts'
import { buildPortal } from './start/portal-build.ts'
import { ROOT } from './start/root.ts'

try {
  if (isPortalStale(ROOT)) await buildPortal(ROOT, console.log)
} catch (error) {
  // The start tries again and tells; an installation must not fail by it.
  console.error(error instanceof Error ? error.message : error)
}
