import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { protocolReference } from '@wmoc/protocol/reference'
import { protocolV2Reference } from '@wmoc/protocol/v2/reference'
import { ROOT } from '../start/root.ts'

const source = (path: string) => readFileSync(join(ROOT, 'protocol/src', path), 'utf8')

/** `docs/generated/protocol.md`. */
export function protocolText(): string {
  return protocolReference(source('messages.ts'))
}

/** `docs/generated/protocol-v2.md`. */
export function protocolV2Text(): string {
  return protocolV2Reference({
    frames: source('v2/frames.ts'),
    handshake: source('v2/handshake.ts'),
    headerBlock: source('v2/header-block.ts'),
  })
}
