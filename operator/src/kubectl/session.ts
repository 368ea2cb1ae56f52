/** What a command works with. */
import type { KubeClient } from '#src/runtime/client.ts'
import type { Options } from './options.ts'

export interface Session {
  readonly options: Options
  readonly client: KubeClient
  readonly namespace: string
  readonly signal: AbortSignal
  readonly write: (text: string | Uint8Array) => void
  readonly warn: (text: string) => void
}
