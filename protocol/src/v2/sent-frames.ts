/** What was sent on a session that can be resumed, until the other side says that it came. */
import { readU16 } from './frame-codec.ts'
import { FRAME, V2_LIMITS } from './frames.ts'

const HEADER = V2_LIMITS.headerBytes
/** Far below 65,536, so that `seq` stays unambiguous. */
const MAX_FRAMES = 16_384
/** Heads, ends and credits; bodies are bounded by credit. */
const ROOM_FOR_HEADS = 131_072

interface Piece {
  /** Whole frames of streams, as they went out. */
  bytes: Uint8Array
  readonly lastSeq: number
}

export class SentFrames {
  private readonly maxBytes: number
  private pieces: Piece[] = []
  /** The next piece to go out again; Infinity when there is none. */
  private repeatAt = Infinity
  private acked = 0
  private lastSeq = 0
  /** False once there was more than can be kept: the session can't be resumed any more. */
  isComplete: boolean
  bytes = 0

  constructor(isKept: boolean, connectionCredit: number) {
    this.isComplete = isKept
    this.maxBytes = connectionCredit + ROOM_FOR_HEADS
  }

  /** Repeats come before anything new. */
  get isRepeating(): boolean {
    return this.repeatAt !== Infinity
  }

  /** Frames that just went out, `lastSeq` the last of them. */
  keep(bytes: Uint8Array, lastSeq: number): void {
    this.lastSeq = lastSeq
    if (!this.isComplete || bytes.length === 0) return
    this.pieces.push({ bytes, lastSeq })
    this.bytes += bytes.length
    if (this.bytes > this.maxBytes || distance(this.acked, lastSeq) > MAX_FRAMES) this.forget()
  }

  /** The other side has every frame up to `seq`. False: it can't have. */
  acknowledge(seq: number): boolean {
    if (!this.isComplete) return true
    const until = distance(this.acked, seq)
    if (until > distance(this.acked, this.lastSeq)) return false
    let count = 0
    for (const { lastSeq, bytes } of this.pieces) {
      if (distance(this.acked, lastSeq) > until) break
      this.bytes -= bytes.length
      count += 1
    }
    if (count > 0) this.pieces.splice(0, count)
    this.repeatAt = this.pieces.length === 0 ? Infinity : Math.max(0, this.repeatAt - count)
    this.acked = seq
    return true
  }

  /** Begins to repeat what comes after `seq`. Answers the bytes of bodies in it; null: `seq` makes no sense. */
  rewind(seq: number): number | null {
    if (!this.isComplete || !this.acknowledge(seq)) return null
    const first = this.pieces[0]
    if (first) {
      const from = startAfter(first.bytes, seq)
      this.bytes -= from
      first.bytes = first.bytes.subarray(from)
    }
    this.repeatAt = first ? 0 : Infinity
    return this.pieces.reduce((sum, { bytes }) => sum + bodyBytes(bytes), 0)
  }

  /** The next whole frames to repeat: at most `maxBytes` unless one frame alone is longer. */
  repeat(maxBytes: number): Uint8Array {
    const piece = this.pieces[this.repeatAt]!
    let end = 0
    while (end < piece.bytes.length) {
      const next = end + HEADER + readU16(piece.bytes, end + 6)
      if (end > 0 && next > maxBytes) break
      end = next
    }
    const { bytes } = piece
    if (end < bytes.length) {
      const rest = { lastSeq: piece.lastSeq, bytes: bytes.subarray(end) }
      const now = { lastSeq: lastSeqOf(bytes.subarray(0, end)), bytes: bytes.subarray(0, end) }
      this.pieces.splice(this.repeatAt, 1, now, rest)
    }
    this.repeatAt += 1
    if (this.repeatAt === this.pieces.length) this.repeatAt = Infinity
    return bytes.subarray(0, end)
  }

  forget(): void {
    this.pieces = []
    this.bytes = 0
    this.repeatAt = Infinity
    this.isComplete = false
  }
}

/** Steps from one `seq` to a later one. */
function distance(from: number, to: number): number {
  return (to - from) & 0xffff
}

function* offsets(frames: Uint8Array): Generator<number> {
  for (let at = 0; at < frames.length; at += HEADER + readU16(frames, at + 6)) yield at
}

/** Where the frames after `seq` begin; 0 when `seq` is of an earlier piece. */
function startAfter(frames: Uint8Array, seq: number): number {
  for (const at of offsets(frames))
    if (readU16(frames, at + 4) === seq) return at + HEADER + readU16(frames, at + 6)
  return 0
}

function lastSeqOf(frames: Uint8Array): number {
  let seq = 0
  for (const at of offsets(frames)) seq = readU16(frames, at + 4)
  return seq
}

/** Bytes that cost credit. */
function bodyBytes(frames: Uint8Array): number {
  let sum = 0
  for (const at of offsets(frames))
    if (frames[at] === FRAME.data || frames[at] === FRAME.wsMsg) sum += readU16(frames, at + 6)
  return sum
}
