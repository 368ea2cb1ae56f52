/** Frames of stream 0 that wait to be sent. */
import { writeFrameHeader } from './frame-codec.ts'
import { FRAME, V2_LIMITS, type FrameType } from './frames.ts'

const HEADER = V2_LIMITS.headerBytes
/** Answers to PING that may wait; of more the oldest is dropped. */
const MAX_PONGS = 8

export class ControlQueue {
  private waiting: { readonly type: FrameType; readonly payload: Uint8Array }[] = []
  private pongs = 0
  bytes = 0

  get isEmpty(): boolean {
    return this.waiting.length === 0
  }

  /** Bytes of the first frame, 0 when there is none. */
  get firstBytes(): number {
    const first = this.waiting[0]
    return first ? HEADER + first.payload.length : 0
  }

  add(type: FrameType, payload: Uint8Array): void {
    if (type === FRAME.pong && this.pongs === MAX_PONGS) this.dropPong()
    if (type === FRAME.pong) this.pongs += 1
    this.bytes += HEADER + payload.length
    // A greeting opens its connection, whatever waits since the one before was lost.
    if (type === FRAME.hello || type === FRAME.welcome) this.waiting.unshift({ type, payload })
    else this.waiting.push({ type, payload })
  }

  /** Writes whole frames as far as there is room; answers where they end. */
  writeTo(out: Uint8Array, start: number): number {
    let at = start
    let count = 0
    for (const { type, payload } of this.waiting) {
      if (at + HEADER + payload.length > out.length) break
      writeFrameHeader(out, at, type, 0, 0, 0, payload.length)
      out.set(payload, at + HEADER)
      at += HEADER + payload.length
      if (type === FRAME.pong) this.pongs -= 1
      count += 1
    }
    if (count > 0) this.waiting.splice(0, count)
    this.bytes -= at - start
    return at
  }

  /** The connection whose PING these answer is gone. */
  dropPongs(): void {
    while (this.pongs > 0) this.dropPong()
  }

  clear(): void {
    this.waiting = []
    this.bytes = this.pongs = 0
  }

  private dropPong(): void {
    const at = this.waiting.findIndex(({ type }) => type === FRAME.pong)
    const [pong] = this.waiting.splice(at, 1)
    this.bytes -= HEADER + (pong?.payload.length ?? 0)
    this.pongs -= 1
  }
}
