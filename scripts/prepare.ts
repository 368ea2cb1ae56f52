/** After `npm ci`: builds the portal and warms the compile cache, so that the first start needn't. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { buildPortal } from './start/portal-build.ts'
import { isPortalStale } from './start/portal.ts'
import { COMPILE_CACHE, ROOT } from './start/root.ts'

/** Each prints its help and ends: with its modules loaded. */
const PROCESSES = [
  'api/src/main.ts',
  'api/src/cli.ts',
  'tunnel-gateway/src/main.ts',
  'device-sim/src/main.ts',
  'scripts/start.ts',
]

try {
  if (isPortalStale(ROOT)) await buildPortal(ROOT, console.log)
  for (const script of PROCESSES) {
    const env = { ...process.env, NODE_COMPILE_CACHE: COMPILE_CACHE }
    await once(spawn(process.execPath, [join(ROOT, script), '--help'], { env, stdio: 'ignore' }), 'exit')
  }
} catch (error) {
  // The start tries again and tells; an installation must not fail by it.
  console.error(error instanceof Error ? error.message : error)
}
