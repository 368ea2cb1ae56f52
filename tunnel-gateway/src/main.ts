/** The gateway process. */
import { withHeapFlags } from './heap-flags.ts'

withHeapFlags()
await import('./run.ts')
