import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { protocolReference } from '@wmoc/protocol/reference'
import { ROOT } from '../start/root.ts'

/** `docs/generated/protocol.md`. */
export function protocolText(): string {
  return protocolReference(readFileSync(join(ROOT, 'protocol/src/messages.ts'), 'utf8'))
}
