/** Frames of dialect v2 ↔ bytes. Strict: what the specification does not allow is a fault, not a guess. */
import { FLAG, FRAME, V2_LIMITS, type FrameType } from './frames.ts'

/** One frame, for tests and tools; the machine itself makes no object per frame. */
export interface Frame {
  readonly type: FrameType
  readonly flags: number
  readonly stream: number
  readonly seq: number
  /** Shares the memory of the message. */
  readonly payload: Uint8Array
}

const HEADER = V2_LIMITS.headerBytes

interface Shape {
  readonly place: 'connection' | 'stream' | 'either'
  /** Flags that may be set. */
  readonly flags: number
  /** Flags that must be set. */
  readonly needs?: number
  readonly min: number
  readonly max: number
}

const json: Shape = { place: 'connection', flags: 0, min: 2, max: V2_LIMITS.maxPayload }
const head: Shape = { place: 'stream', flags: FLAG.fin, min: 2, max: V2_LIMITS.maxHeadBytes }
const ping: Shape = { place: 'connection', flags: 0, min: 0, max: 8 }

const SHAPES: Readonly<Record<FrameType, Shape | null>> = {
  [FRAME.hello]: json,
  [FRAME.welcome]: json,
  [FRAME.req]: head,
  [FRAME.resp]: head,
  [FRAME.data]: { place: 'stream', flags: FLAG.fin, min: 0, max: V2_LIMITS.maxPayload },
  [FRAME.end]: { place: 'stream', flags: FLAG.fin, needs: FLAG.fin, min: 0, max: V2_LIMITS.maxHeadBytes },
  [FRAME.rst]: { place: 'stream', flags: 0, min: 2, max: 512 },
  [FRAME.credit]: { place: 'either', flags: 0, min: 4, max: 6 },
  [FRAME.ping]: ping,
  [FRAME.pong]: ping,
  [FRAME.goaway]: json,
  [FRAME.event]: json,
  [FRAME.cmd]: json,
  [FRAME.cmdResult]: json,
  [FRAME.wsOpen]: { ...head, flags: 0 },
  [FRAME.wsMsg]: { place: 'stream', flags: FLAG.fin | FLAG.binary, min: 0, max: V2_LIMITS.maxPayload },
  [FRAME.wsClose]: { place: 'stream', flags: 0, min: 2, max: 125 },
  [FRAME.otaBlock]: null,
  [FRAME.error]: json,
  [FRAME.activation]: json,
}
const shapes: readonly (Shape | null | undefined)[] = Array.from(
  { length: 256 },
  (_, type) => SHAPES[type as FrameType],
)

/** What is wrong with a frame whatever the state of its stream; null: nothing. The words hold nothing of the peer's. */
export function frameFault(type: number, flags: number, stream: number, length: number): string | null {
  const shape = shapes[type]
  if (!shape) return 'unknown_frame_type'
  if ((flags & ~shape.flags) !== 0 || (shape.needs && (flags & shape.needs) === 0)) return 'bad_flags'
  if (shape.place === 'either') return length === (stream === 0 ? 6 : 4) ? null : 'bad_length'
  if ((stream === 0) !== (shape.place === 'connection')) return 'bad_stream'
  return length < shape.min || length > shape.max ? 'bad_length' : null
}

/** Writes the eight bytes of a header at `at`. */
export function writeFrameHeader(
  out: Uint8Array,
  at: number,
  type: number,
  flags: number,
  stream: number,
  seq: number,
  length: number,
): void {
  out[at] = type
  out[at + 1] = flags
  out[at + 2] = stream >>> 8
  out[at + 3] = stream
  out[at + 4] = seq >>> 8
  out[at + 5] = seq
  out[at + 6] = length >>> 8
  out[at + 7] = length
}

/** Bytes of one frame. Throws RangeError when the payload is longer than a frame can be. */
export function encodeFrame(
  type: FrameType,
  payload: Uint8Array,
  { flags = 0, stream = 0, seq = 0 }: { flags?: number; stream?: number; seq?: number } = {},
): Uint8Array {
  if (payload.length > V2_LIMITS.maxPayload) throw new RangeError(`a payload of ${payload.length} bytes`)
  const out = Buffer.allocUnsafe(HEADER + payload.length)
  writeFrameHeader(out, 0, type, flags, stream, seq, payload.length)
  out.set(payload, HEADER)
  return out
}

/** The frames of one message; a string says why it is no list of whole, well-formed frames. */
export function decodeFrames(message: Uint8Array): Frame[] | string {
  const frames: Frame[] = []
  for (let at = 0; at < message.length;) {
    if (message.length - at < HEADER) return 'truncated_frame'
    const [type = 0, flags = 0] = [message[at], message[at + 1]]
    const [stream, seq, length] = [
      readU16(message, at + 2),
      readU16(message, at + 4),
      readU16(message, at + 6),
    ]
    const fault = frameFault(type, flags, stream, length)
    if (fault) return fault
    const end = at + HEADER + length
    if (end > message.length) return 'truncated_frame'
    const payload = message.subarray(at + HEADER, end)
    frames.push({ type: type as FrameType, flags, stream, seq, payload })
    at = end
  }
  return frames
}

/** Big-endian number of two bytes. */
export function readU16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!
}

/** Big-endian number of four bytes. */
export function readU32(bytes: Uint8Array, at: number): number {
  return readU16(bytes, at) * 0x1_0000 + readU16(bytes, at + 2)
}

/** Writes a big-endian number of four bytes. */
export function writeU32(out: Uint8Array, at: number, value: number): void {
  out[at] = value >>> 24
  out[at + 1] = value >>> 16
  out[at + 2] = value >>> 8
  out[at + 3] = value
}

export interface FrameReader {
  /**
   * Takes the next bytes of a TCP connection and hands on runs of whole frames, in order, as `Mux.receive` takes them.
   * What is handed on is the receiver's to keep, if the chunk was. `take` answers false to stop: the rest is dropped.
   */
  push(chunk: Uint8Array, take: (frames: Uint8Array) => boolean): void
  /** Bytes of a frame that has not come whole: at most one frame. */
  readonly heldBytes: number
}

/** Frames out of a stream of bytes that is split anywhere. Looks at lengths only; `Mux.receive` judges the frames. */
export function createFrameReader(): FrameReader {
  const header = Buffer.alloc(HEADER)
  let headerBytes = 0
  /** The frame that began in an earlier chunk, once its length is known. */
  let frame: Buffer | null = null
  let frameBytes = 0

  /** Puts the start of `chunk` to what is held; answers how many bytes that took. */
  function complete(chunk: Uint8Array): number {
    let used = 0
    if (!frame) {
      used = Math.min(HEADER - headerBytes, chunk.length)
      header.set(chunk.subarray(0, used), headerBytes)
      headerBytes += used
      if (headerBytes < HEADER) return used
      frame = Buffer.allocUnsafeSlow(HEADER + readU16(header, 6))
      frame.set(header)
      frameBytes = HEADER
    }
    const more = Math.min(frame.length - frameBytes, chunk.length - used)
    frame.set(chunk.subarray(used, used + more), frameBytes)
    frameBytes += more
    return used + more
  }

  function push(chunk: Uint8Array, take: (frames: Uint8Array) => boolean): void {
    let start = 0
    if (headerBytes > 0) {
      start = complete(chunk)
      if (!frame || frameBytes < frame.length) return
      const whole = frame
      frame = null
      headerBytes = frameBytes = 0
      if (!take(whole)) return
    }
    const end = wholeFrames(chunk, start)
    if (end > start && !take(chunk.subarray(start, end))) return
    if (end < chunk.length) complete(chunk.subarray(end))
  }

  return {
    push,
    get heldBytes() {
      return frame ? frameBytes : headerBytes
    },
  }
}

function wholeFrames(chunk: Uint8Array, start: number): number {
  let at = start
  while (chunk.length - at >= HEADER) {
    const end = at + HEADER + readU16(chunk, at + 6)
    if (end > chunk.length) break
    at = end
  }
  return at
}
