/** Dialect v2: binary frames. HELLO and WELCOME first; from then on the streams of a session, and control frames. */
import { controlMessage, encodeControl, parseServerControl } from '@wmoc/protocol/v2/control-codec'
import { decodeFrames } from '@wmoc/protocol/v2/frame-codec'
import type { FrameType } from '@wmoc/protocol/v2/frames'
import type { Hello, Welcome } from '@wmoc/protocol/v2/handshake'
import type { Dialect, DialectOptions } from '../dialect.ts'
import type { DeviceLimits } from '../profile.ts'
import type { DeviceMessage } from '../session.ts'
import { StreamSession, type StreamHost } from './stream-session.ts'

export function createDialectV2(options: DialectOptions): Dialect {
  const { line, limits } = options
  /** Of the line before, until the gateway says whether they go on. */
  let suspended = options.suspended instanceof StreamSession ? options.suspended : null
  let session: StreamSession | null = null

  const host: StreamHost = { options, control: (type, payload) => void hear(type, payload) }

  /** Answers WELCOME, which is no message for the rest of the device as it is. */
  function hear(type: FrameType, payload: Uint8Array): Welcome | null {
    const parsed = parseServerControl(type, payload)
    if (!parsed.ok) options.onFault(new Error(`bad frame of the gateway: ${parsed.detail}`))
    else if (parsed.message.type !== 'welcome') options.onMessage(parsed.message)
    else return parsed.message
    return null
  }

  /** Before WELCOME only frames of the connection itself may come. */
  function shakeHands(data: Buffer): void {
    const frames = decodeFrames(data)
    if (typeof frames === 'string') return giveUp(frames)
    for (const { type, payload } of frames) {
      const welcome = hear(type, payload)
      if (!welcome) continue
      begin(welcome)
      const end = payload.byteOffset - data.byteOffset + payload.length
      if (end < data.length) takeFrames(data.subarray(end))
      return
    }
  }

  function begin(welcome: Welcome): void {
    const isResumed = welcome.resumed !== undefined && suspended?.resume(welcome.resumed.seq, host) === true
    session = isResumed ? suspended : new StreamSession(welcome, host)
    if (!isResumed) suspended?.abandon()
    suspended = null
    options.onMessage({ ...welcome, type: 'registered' })
  }

  function takeFrames(data: Buffer): void {
    const fault = session?.receive(data)
    if (fault) giveUp(fault)
  }

  /** The two ends understand each other no more: a new connection is all that helps. */
  function giveUp(reason: string): void {
    options.onFault(new Error(`bad frames of the gateway: ${reason}`))
    session?.abandon()
    session = null
    line.cut()
  }

  function send(message: DeviceMessage): void {
    if (message.type === 'register') {
      line.send(controlMessage({ ...helloOf(message, limits, suspended), type: 'hello' }))
    } else if (session) {
      const { frame, payload } = encodeControl(message)
      session.control(frame, payload)
    }
  }

  return {
    receive(data, isBinary) {
      if (!isBinary) giveUp('text_message')
      else if (session) takeFrames(data)
      else shakeHands(data)
    },
    send,
    drained: () => session?.pump(),
    abandon() {
      session?.abandon()
      session = null
    },
    suspend() {
      const lost = session?.isResumable ? session : null
      lost?.suspend()
      if (lost) session = null
      return lost
    },
    get inFlight() {
      return session?.size ?? 0
    },
  }
}

function helloOf(
  { token, credentials }: Extract<DeviceMessage, { type: 'register' }>,
  limits: DeviceLimits,
  suspended: StreamSession | null,
): Hello {
  return {
    token,
    credentials,
    max_chunk: limits.maxChunk,
    max_message: limits.maxMessage,
    rx_window: limits.window,
    rx_budget: limits.budget,
    ...(suspended?.id ? { resume: { session: suspended.id, seq: suspended.lastSeq } } : {}),
  }
}
