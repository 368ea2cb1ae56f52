/** Dialect v2's frames of the connection itself, in the words that the session machine shares with dialect v1. Pure. */
import type { CommandResult, Log, Metrics, Register, ServerMessage } from '@wmoc/protocol/messages'
import type { Parsed } from '@wmoc/protocol/v1-codec'
import { controlMessage, parseDeviceControl } from '@wmoc/protocol/v2/control-codec'
import type { FrameType } from '@wmoc/protocol/v2/frames'
import type { Hello, Welcome } from '@wmoc/protocol/v2/handshake'

/** A `register` in either dialect; of v2 with what HELLO says besides. */
export type Registration = Register & Omit<Hello, 'token' | 'credentials'>

/** A `registered` in either dialect; for v2 with what WELCOME says besides. */
export type Welcoming = Welcome & { readonly type: 'registered' }

/** A frame of a device. */
export function readControl(
  frame: FrameType,
  payload: Uint8Array,
): Parsed<Registration | CommandResult | Metrics | Log> {
  const parsed = parseDeviceControl(frame, payload)
  if (!parsed.ok || parsed.message.type !== 'hello') return parsed as Parsed<CommandResult | Metrics | Log>
  return { ok: true, message: { ...parsed.message, type: 'register' } }
}

/** A message with the one frame that says this. Requests are streams and no messages here. */
export function writeControl(message: ServerMessage | Welcoming): Uint8Array {
  if (message.type === 'http_request' || message.type === 'http_cancel')
    throw new TypeError(`${message.type} is no frame`)
  if (message.type !== 'registered') return controlMessage(message)
  return controlMessage({ ...(message as Welcoming), type: 'welcome' })
}
