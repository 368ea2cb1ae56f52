/** The kinds that this operator reconciles; one line each. */
import type { Kind } from './runtime/kind.ts'

export const KINDS: readonly Kind[] = []
