/** The life of a command. Pure; the SQL of `service.ts` says the same, the tests hold them together. */
import { V1_LIMITS } from '@wmoc/protocol/messages'
import { jsonDepth } from '#src/kernel/clean-text.ts'
import type { Json } from '#src/kernel/clean-text.ts'
import type { CommandState } from '../contract.ts'

export type CommandEvent = 'take' | 'succeed' | 'fail' | 'expire' | 'withdraw'

const NEXT: Readonly<Record<CommandState, Readonly<Partial<Record<CommandEvent, CommandState>>>>> = {
  queued: { take: 'sent', expire: 'expired', withdraw: 'expired' },
  sent: { take: 'sent', succeed: 'acknowledged', fail: 'failed', expire: 'expired' },
  acknowledged: {},
  failed: {},
  expired: {},
}

/** Where an event leads; the same state where it means nothing: a finished command never changes again. */
export function nextState(state: CommandState, event: CommandEvent): CommandState {
  return NEXT[state][event] ?? state
}

/** What is wrong with parameters, in words for the caller; null when they may be sent. */
export function paramsProblem(params: Json): string | null {
  if (jsonDepth(params, V1_LIMITS.maxJsonDepth) > V1_LIMITS.maxJsonDepth) {
    return `nested deeper than ${V1_LIMITS.maxJsonDepth} levels`
  }
  const bytes = Buffer.byteLength(JSON.stringify(params))
  return bytes > V1_LIMITS.maxCommandParamsBytes
    ? `larger than ${V1_LIMITS.maxCommandParamsBytes} bytes`
    : null
}
