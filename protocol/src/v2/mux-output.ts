/**
 * The sending half of a mux: what goes out next. First frames of the connection, then heads, RST and CREDIT of streams,
 * then bodies in turn, as far as credit allows.
 */
import { ControlQueue } from './control-queue.ts'
import { writeFrameHeader, writeU32 } from './frame-codec.ts'
import { FLAG, FRAME, V2_LIMITS, type FrameType } from './frames.ts'
import type { Latin1Buffer } from './header-block.ts'
import { ENDING, StreamLine, type Stream } from './mux-stream.ts'
import { QUEUE_MARKS } from './mux.ts'
import { SentFrames } from './sent-frames.ts'

const HEADER = V2_LIMITS.headerBytes
const CREDIT_FRAME = HEADER + 6
/** Longest turn of a stream while others wait; alone it may fill whole frames. */
const TURN_BYTES = 16_384
/** Rather than cut a piece shorter than this, the rest of a message stays empty. */
const SMALLEST_CUT = 256
const EMPTY = Buffer.alloc(0)

export interface OutputOptions {
  readonly maxChunk: number
  /** Credit of the connection at first. */
  readonly credit: number
  readonly isResumable: boolean
  wake(): void
  /** Credit for the other side to use on the connection; it is being given now. */
  takeCredit(): number
  /** The last frame that came. */
  lastSeq(): number
  /** The sender's direction of the stream was ended by a frame of the message that was just made. */
  sendEnded(stream: Stream): void
}

export class Output {
  private readonly options: OutputOptions
  private readonly control = new ControlQueue()
  private urgent: Stream[] = []
  private readonly bodies = new StreamLine()
  /** Have credit of their own, but the connection has none. */
  private readonly stalled = new StreamLine()
  readonly sent: SentFrames
  private seq = 0
  private credit: number
  private isAwake = false
  private isSuspended = false
  isCreditDue = false
  queuedBytes = 0

  // Of the message that is being made.
  private out: Buffer = EMPTY
  private at = 0
  private ended: Stream[] = []
  private drained: Stream[] = []

  constructor(options: OutputOptions) {
    this.options = options
    this.credit = options.credit
    this.sent = new SentFrames(options.isResumable, options.credit)
  }

  get heldBytes(): number {
    return this.queuedBytes + this.control.bytes + this.sent.bytes
  }

  wake(): void {
    if (this.isAwake || this.isSuspended) return
    this.isAwake = true
    this.options.wake()
  }

  giveCredit(): void {
    if (this.isCreditDue) return
    this.isCreditDue = true
    this.wake()
  }

  addControl(type: FrameType, payload: Uint8Array): void {
    this.control.add(type, payload)
    this.wake()
  }

  urge(stream: Stream): void {
    if (!stream.isUrgent) {
      stream.isUrgent = true
      this.urgent.push(stream)
    }
    this.wake()
  }

  /** Body or end of the stream may have become sendable. */
  schedule(stream: Stream): void {
    if (stream.isListed || !isSendable(stream)) return
    stream.isListed = true
    if (this.credit <= 0 && costs(stream)) return this.stalled.push(stream)
    this.bodies.push(stream)
    this.wake()
  }

  /** False: more than a sender can hold. */
  addCredit(bytes: number): boolean {
    this.credit += bytes
    if (this.credit > 0 && this.stalled.head) {
      this.bodies.append(this.stalled)
      this.wake()
    }
    return this.credit <= V2_LIMITS.maxCredit
  }

  suspend(): void {
    this.isSuspended = true
    this.isAwake = false
    this.control.dropPongs()
  }

  /** Goes on after `seq` on a new connection, whose credit the other side has yet to give. */
  resume(seq: number): boolean {
    const repeated = this.isSuspended ? this.sent.rewind(seq) : null
    if (repeated === null) return false
    this.credit = -repeated
    this.isSuspended = false
    this.giveCredit()
    return true
  }

  /** Forgets everything: the connection is over. */
  clear(): void {
    this.control.clear()
    this.urgent = []
    this.bodies.clear()
    this.stalled.clear()
    this.sent.forget()
    this.queuedBytes = 0
    this.isCreditDue = false
  }

  pull(maxBytes: number): Uint8Array | null {
    if (this.isSuspended) return null
    const isRepeating = this.sent.isRepeating
    if (isRepeating && !this.isCreditDue && this.control.isEmpty) return this.sent.repeat(maxBytes)
    const size = this.sizeOfNext(maxBytes, isRepeating)
    const message = size > 0 ? this.make(size, isRepeating) : EMPTY
    if (message.length > 0) return message
    this.isAwake = false
    return null
  }

  private make(size: number, isRepeating: boolean): Uint8Array {
    this.out = Buffer.allocUnsafe(size)
    this.at = 0
    this.writeControl()
    const streamsAt = this.at
    if (!isRepeating && this.control.isEmpty && this.writeUrgent()) this.writeBodies()
    const message = this.at < size ? this.out.subarray(0, this.at) : this.out
    if (this.at > streamsAt) this.sent.keep(message.subarray(streamsAt), this.seq)
    this.out = EMPTY
    if (this.ended.length > 0 || this.drained.length > 0) this.tell()
    return message
  }

  /** Only now, with the message whole, may others call in again. */
  private tell(): void {
    const { ended, drained } = this
    this.ended = []
    this.drained = []
    for (const stream of drained) if (!stream.isReset) stream.handler.writable()
    for (const stream of ended) this.options.sendEnded(stream)
  }

  /** What waits, as a good guess that is never too small for the first frame; at most `maxBytes` beside that. */
  private sizeOfNext(maxBytes: number, isRepeating: boolean): number {
    let size = this.control.bytes + (this.isCreditDue ? CREDIT_FRAME : 0)
    let first = this.isCreditDue ? CREDIT_FRAME : this.control.firstBytes
    if (!isRepeating) {
      for (let at = 0; at < this.urgent.length && size < maxBytes; at += 1) {
        const stream = this.urgent[at]!
        const bytes = urgentBytes(stream)
        if (first === 0) first = bytes
        size += bytes
        if (!stream.isListed && stream.head !== null) size += this.bodyBytes(stream)
      }
      for (let stream = this.bodies.head; stream && size < maxBytes; stream = stream.next)
        size += this.bodyBytes(stream)
      if (first === 0 && this.bodies.head) first = HEADER + Math.max(1, this.bodies.head.endBlock.length)
    }
    return Math.max(first, Math.min(size, maxBytes))
  }

  /** At most what the stream can send in one message. */
  private bodyBytes(stream: Stream): number {
    const bytes = Math.min(stream.queuedBytes, stream.sendCredit)
    const pieces = stream.binary ? stream.chunks.length - stream.first : 0
    const frames = 2 + pieces + Math.floor(bytes / Math.min(this.options.maxChunk, TURN_BYTES))
    return bytes + frames * HEADER + stream.endBlock.length
  }

  private writeControl(): void {
    if (this.isCreditDue) {
      this.isCreditDue = false
      const seq = this.options.lastSeq()
      this.writeHeader(FRAME.credit, 0, 0, 0, 6)
      writeU32(this.out, this.at, this.options.takeCredit())
      this.out[this.at + 4] = seq >>> 8
      this.out[this.at + 5] = seq
      this.at += 6
    }
    this.at = this.control.writeTo(this.out, this.at)
  }

  /** False: there was no room for all. */
  private writeUrgent(): boolean {
    let count = 0
    for (const stream of this.urgent) {
      if (urgentBytes(stream) > this.room()) break
      count += 1
      stream.isUrgent = false
      if (stream.isOver) continue
      if (stream.resetCode !== 0) this.writeReset(stream)
      else {
        if (stream.head !== null) this.writeHead(stream, stream.head)
        if (stream.isCreditDue) this.writeCredit(stream)
      }
    }
    if (count === this.urgent.length) {
      if (count > 0) this.urgent = []
      return true
    }
    this.urgent.splice(0, count)
    return false
  }

  private writeReset(stream: Stream): void {
    this.writeStreamHeader(stream, FRAME.rst, 0, 2 + stream.resetWords.length)
    this.out[this.at] = stream.resetCode >>> 8
    this.out[this.at + 1] = stream.resetCode
    this.at += 2
    this.writeOctets(stream.resetWords)
    stream.resetCode = 0
    this.endSending(stream)
  }

  private writeHead(stream: Stream, head: string): void {
    const isLast =
      stream.ending === ENDING.fin && !stream.hasQueued && !(stream.isWebsocket && stream.isOpener)
    const type = stream.isOpener ? (stream.isWebsocket ? FRAME.wsOpen : FRAME.req) : FRAME.resp
    this.writeStreamHeader(stream, type, isLast ? FLAG.fin : 0, head.length)
    this.writeOctets(head)
    stream.head = null
    stream.isHeadSent = true
    if (isLast) this.endSending(stream)
    else this.schedule(stream)
  }

  private writeCredit(stream: Stream): void {
    stream.isCreditDue = false
    if (stream.isReceiveOver) return
    this.writeStreamHeader(stream, FRAME.credit, 0, 4)
    writeU32(this.out, this.at, stream.toCredit)
    this.at += 4
    stream.receiveCredit += stream.toCredit
    stream.toCredit = 0
  }

  private writeBodies(): void {
    for (let stream = this.bodies.head; stream; stream = this.bodies.head) {
      if (isSendable(stream)) {
        if (this.credit <= 0 && costs(stream)) {
          this.bodies.shift()
          this.stalled.push(stream)
          continue
        }
        if (!this.writeTurn(stream)) return
      }
      this.bodies.shift()
      stream.isListed = false
      this.schedule(stream)
    }
  }

  /** One turn of one stream. False: no room for it. */
  private writeTurn(stream: Stream): boolean {
    if (!stream.hasQueued) return this.writeEnd(stream)
    const { maxChunk } = this.options
    const turn = stream.next ? Math.min(maxChunk, TURN_BYTES) : maxChunk
    const waiting = stream.binary ? stream.chunks[stream.first]!.length - stream.offset : stream.queuedBytes
    const wanted = Math.min(
      waiting,
      turn,
      waiting === 0 ? 0 : stream.sendCredit,
      waiting === 0 ? 0 : this.credit,
    )
    const room = this.room() - HEADER
    const length = Math.min(wanted, room)
    if (room < 0 || (length < wanted && (length <= 0 || (this.at > 0 && length < SMALLEST_CUT)))) return false
    if (stream.binary) this.writeMessage(stream, stream.binary[stream.first]!, length, waiting)
    else this.writeData(stream, length)
    if (stream.wasHigh && stream.queuedBytes <= QUEUE_MARKS.low) {
      stream.wasHigh = false
      this.drained.push(stream)
    }
    return true
  }

  private writeData(stream: Stream, length: number): void {
    const isLast = length === stream.queuedBytes && stream.ending === ENDING.fin
    this.writeStreamHeader(stream, FRAME.data, isLast ? FLAG.fin : 0, length)
    for (let left = length; left > 0;) left -= this.copy(stream, left)
    this.spend(stream, length)
    if (isLast) this.endSending(stream)
  }

  private writeMessage(stream: Stream, isBinary: boolean, length: number, waiting: number): void {
    const flags = (length === waiting ? FLAG.fin : 0) | (isBinary ? FLAG.binary : 0)
    this.writeStreamHeader(stream, FRAME.wsMsg, flags, length)
    this.copy(stream, length)
    this.spend(stream, length)
  }

  /** Copies at most `length` bytes of the oldest chunk; a chunk that is used up goes. */
  private copy(stream: Stream, length: number): number {
    const chunk = stream.chunks[stream.first]!
    const end = Math.min(stream.offset + length, chunk.length)
    const taken = end - stream.offset
    this.out.set(taken === chunk.length ? chunk : chunk.subarray(stream.offset, end), this.at)
    this.at += taken
    stream.offset = end
    if (end === chunk.length) stream.shiftChunk()
    return taken
  }

  private spend(stream: Stream, length: number): void {
    stream.sendCredit -= length
    this.credit -= length
    stream.queuedBytes -= length
    this.queuedBytes -= length
  }

  /** END, WS_CLOSE or an empty DATA with FIN. */
  private writeEnd(stream: Stream): boolean {
    const block = stream.endBlock
    if (HEADER + block.length > this.room()) return false
    const [type, flags] =
      stream.ending === ENDING.close
        ? [FRAME.wsClose, 0]
        : [stream.ending === ENDING.trailers ? FRAME.end : FRAME.data, FLAG.fin]
    this.writeStreamHeader(stream, type, flags, block.length)
    this.writeOctets(block)
    this.endSending(stream)
    return true
  }

  private endSending(stream: Stream): void {
    stream.isSendOver = true
    this.ended.push(stream)
  }

  private writeStreamHeader(stream: Stream, type: number, flags: number, length: number): void {
    this.seq = (this.seq + 1) & 0xffff
    this.writeHeader(type, flags, stream.id, this.seq, length)
  }

  private writeHeader(type: number, flags: number, id: number, seq: number, length: number): void {
    writeFrameHeader(this.out, this.at, type, flags, id, seq, length)
    this.at += HEADER
  }

  private writeOctets(octets: string): void {
    if (octets.length > 0) this.at += (this.out as Latin1Buffer).latin1Write(octets, this.at, octets.length)
  }

  private room(): number {
    return this.out.length - this.at
  }

  /** What must hold for `stream`, which is open; empty when it does. */
  streamInvariants(stream: Stream): string[] {
    const wrong: string[] = []
    const waits = stream.head !== null || stream.resetCode !== 0 || stream.isCreditDue
    if (waits && !stream.isUrgent) wrong.push('waits and is not in the line of heads')
    if (stream.isUrgent !== this.urgent.includes(stream)) wrong.push('is wrongly urgent')
    if (isSendable(stream) && !stream.isListed) wrong.push('could send and is not in line')
    if (stream.isListed !== (this.bodies.has(stream) || this.stalled.has(stream)))
      wrong.push('is wrongly in line')
    return wrong
  }

  invariants(): string[] {
    return this.credit > 0 && this.stalled.head ? ['streams stall although the connection has credit'] : []
  }
}

/** Bytes of a body or message, for which credit is needed, come next. */
function costs(stream: Stream): boolean {
  return stream.hasQueued && stream.chunks[stream.first]!.length > 0
}

function isSendable(stream: Stream): boolean {
  if (!stream.isHeadSent || !stream.canSend || stream.isReset || stream.isSendOver) return false
  return stream.hasQueued ? stream.sendCredit > 0 || !costs(stream) : stream.ending !== ENDING.none
}

function urgentBytes(stream: Stream): number {
  if (stream.isOver) return 0
  if (stream.resetCode !== 0) return HEADER + 2 + stream.resetWords.length
  return (stream.head === null ? 0 : HEADER + stream.head.length) + (stream.isCreditDue ? HEADER + 4 : 0)
}
