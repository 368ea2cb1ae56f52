/** The stream machine: streams in a table, frames in by `receive`, frames out by `pull`. See `mux.ts` for the contract. */
import { ConnectionCredit } from './connection-credit.ts'
import { frameFault, readU16, readU32 } from './frame-codec.ts'
import { FLAG, FRAME, RESET, V2_LIMITS, type FrameType, type ResetCode } from './frames.ts'
import {
  decodeRequestHead,
  decodeResponseHead,
  decodeTrailers,
  encodeRequestHead,
  latin1,
} from './header-block.ts'
import { muxInvariants } from './mux-invariants.ts'
import { Output } from './mux-output.ts'
import { ENDING, Stream, type StreamOwner } from './mux-stream.ts'
import type { Mux, MuxFault, MuxOptions, MuxStream, RequestHead, StreamHandler } from './mux.ts'

const HEADER = V2_LIMITS.headerBytes
const MAX_ID = 0xffff
const RESET_CODES: ReadonlySet<number> = new Set(Object.values(RESET))
const UNPRINTABLE = /[^\x20-\x7e]/g
const nobody: StreamHandler = { data() {}, end() {}, reset() {}, writable() {} }

/** One end of a connection with many streams. Pure: it holds no socket, timer or clock and never throws on what came. */
export function createMux(options: MuxOptions): Mux {
  return new Machine(options)
}

class Machine implements Mux, StreamOwner {
  private readonly options: MuxOptions
  private readonly streams = new Map<number, Stream>()
  private readonly output: Output
  private fault: MuxFault | null = null
  private isClosed = false
  private isSuspended = false
  private lastId = 0

  lastSeq = 0
  private readonly credit: ConnectionCredit

  constructor(options: MuxOptions) {
    this.options = options
    this.credit = new ConnectionCredit(options.receiveWindow.connection, () => this.output.giveCredit())
    this.output = new Output({
      maxChunk: options.maxChunk,
      credit: options.sendWindow.connection,
      isResumable: options.isResumable,
      wake: () => options.wake(),
      takeCredit: () => this.credit.take(),
      lastSeq: () => this.lastSeq,
      sendEnded: (stream) => this.settle(stream),
    })
  }

  get size(): number {
    return this.streams.size
  }

  get heldBytes(): number {
    return this.output.heldBytes
  }

  get isResumable(): boolean {
    return this.output.sent.isComplete
  }

  open(
    head: RequestHead,
    kind: 'request' | 'websocket',
    isLast: boolean,
    handler: StreamHandler,
  ): MuxStream | null {
    if (this.isClosed || this.streams.size >= this.options.maxStreams) return null
    const stream = this.newStream(this.freeId(), true, kind === 'websocket', handler)
    stream.head = encodeRequestHead(head)
    if (stream.head === null) this.refuse(stream, RESET.refused, 'head can not be encoded')
    else {
      if (isLast && !stream.isWebsocket) stream.ending = ENDING.fin
      this.urge(stream)
    }
    return stream
  }

  control(type: FrameType, payload: Uint8Array): void {
    if (!this.isClosed) this.output.addControl(type, payload)
  }

  pull(maxBytes: number): Uint8Array | null {
    return this.isClosed ? null : this.output.pull(maxBytes)
  }

  suspend(): void {
    this.isSuspended = true
    this.output.suspend()
  }

  resume(lastSeq: number): boolean {
    if (this.isClosed || !this.output.resume(lastSeq)) return false
    this.isSuspended = false
    this.credit.resume()
    return true
  }

  closeAll(code: ResetCode): void {
    if (this.isClosed) return
    this.isClosed = true
    const open = [...this.streams.values()]
    this.streams.clear()
    this.output.clear()
    for (const stream of open) {
      const isHeard = !stream.isReset
      stream.isReset = stream.isOver = true
      stream.dropQueue()
      if (isHeard) stream.handler.reset(code, '')
      stream.handler.over?.()
    }
    this.output.queuedBytes = 0
  }

  receive(message: Uint8Array): MuxFault | null {
    for (let at = 0; at < message.length && !this.fault && !this.isClosed && !this.isSuspended;) {
      const start = at + HEADER
      if (start > message.length) return this.fail('truncated_frame')
      const type = message[at]!
      const flags = message[at + 1]!
      const id = readU16(message, at + 2)
      const seq = readU16(message, at + 4)
      const length = readU16(message, at + 6)
      const fault = frameFault(type, flags, id, length)
      if (fault) return this.fail(fault)
      at = start + length
      if (at > message.length) return this.fail('truncated_frame')
      if (id === 0) {
        if (seq !== 0) return this.fail('bad_seq')
        this.connectionFrame(type as FrameType, message.subarray(start, at))
      } else {
        if (seq !== ((this.lastSeq + 1) & 0xffff)) return this.fail('bad_seq')
        this.lastSeq = seq
        if (this.options.isResumable) this.credit.countFrame(HEADER + length)
        this.streamFrame(type, flags, id, message, start, at)
      }
    }
    return this.fault
  }

  private connectionFrame(type: FrameType, payload: Uint8Array): void {
    if (type === FRAME.credit) {
      if (!this.output.addCredit(readU32(payload, 0))) this.fail('too_much_credit')
      else if (!this.output.sent.acknowledge(readU16(payload, 4))) this.fail('bad_acknowledgement')
    } else if (type === FRAME.ping) this.output.addControl(FRAME.pong, payload)
    else if (type === FRAME.pong) this.options.pong?.(payload)
    else this.options.control(type, payload)
  }

  private streamFrame(
    type: number,
    flags: number,
    id: number,
    message: Uint8Array,
    start: number,
    end: number,
  ): void {
    const stream = this.streams.get(id)
    // An opener that has not sent its head yet has chosen the id again: what comes is for the stream before.
    if (!stream || (stream.isOpener && !stream.isHeadSent)) {
      if (type === FRAME.req || type === FRAME.wsOpen)
        this.openedByPeer(id, type, flags, message.subarray(start, end))
      // Both may cross the frame that ended the stream.
      else if (type !== FRAME.credit && type !== FRAME.rst) this.fail('unknown_stream')
      return
    }
    if (type === FRAME.data || type === FRAME.wsMsg) this.bytesCame(stream, type, flags, message, start, end)
    else if (type === FRAME.credit) this.creditCame(stream, readU32(message, start))
    else if (type === FRAME.rst) this.resetCame(stream, message.subarray(start, end))
    else if (type === FRAME.req || type === FRAME.wsOpen) this.fail('stream_in_use')
    else this.edgeCame(stream, type, flags, message.subarray(start, end))
  }

  private openedByPeer(id: number, type: number, flags: number, payload: Uint8Array): void {
    const { accept, maxStreams, role } = this.options
    if (role !== 'acceptor' || !accept || this.streams.has(id)) return void this.fail('unexpected_open')
    const isLast = (flags & FLAG.fin) !== 0
    const isFull = this.streams.size >= maxStreams
    if (this.streams.size >= 2 * maxStreams + 16) return void this.fail('too_many_streams')
    const stream = this.newStream(id, false, type === FRAME.wsOpen, nobody)
    stream.isReceiveOver = isLast
    const request = isFull ? null : decodeRequestHead(payload)
    if (!request) return this.resetLocally(stream, isFull ? RESET.refused : RESET.protocol, '')
    stream.handler = accept(request, stream, type === FRAME.wsOpen ? 'websocket' : 'request', isLast)
    if (isLast && !stream.isReset) stream.handler.end(null)
  }

  private bytesCame(
    stream: Stream,
    type: number,
    flags: number,
    message: Uint8Array,
    start: number,
    end: number,
  ): void {
    const length = end - start
    if (length > this.credit.left) return void this.fail('connection_credit_exceeded')
    this.credit.left -= length
    const isLast = (flags & FLAG.fin) !== 0
    if (stream.isReset) {
      this.credit.giveBack(length)
      if (type === FRAME.data && isLast) this.endReceiving(stream)
      return
    }
    const isMessage = type === FRAME.wsMsg
    const isWrong = stream.isReceiveOver || stream.expected !== (isMessage ? 'messages' : 'body')
    if (isWrong || length > stream.receiveCredit) {
      this.credit.giveBack(length)
      if (!isMessage && isLast) stream.isReceiveOver = true
      return this.refuse(stream, RESET.protocol, isWrong ? 'unexpected body' : 'credit exceeded')
    }
    stream.receiveCredit -= length
    stream.unconsumed += length
    this.credit.unconsumed += length
    const bytes = message.subarray(start, end)
    if (isMessage) return this.messageCame(stream, bytes, (flags & FLAG.binary) !== 0, isLast)
    if (isLast) stream.isReceiveOver = true
    if (length > 0) stream.handler.data(bytes, isLast)
    if (isLast) this.bodyEnded(stream)
  }

  private messageCame(stream: Stream, bytes: Uint8Array, isBinary: boolean, isLast: boolean): void {
    if (stream.messageKind !== null && stream.messageKind !== isBinary)
      return this.refuse(stream, RESET.protocol, 'a message of two kinds')
    stream.messageKind = isLast ? null : isBinary
    stream.handler.message?.(bytes, isBinary, isLast)
  }

  /** RESP, END, WS_CLOSE. */
  private edgeCame(stream: Stream, type: number, flags: number, payload: Uint8Array): void {
    const isLast = (flags & FLAG.fin) !== 0 || type === FRAME.wsClose
    if (stream.isReset) return isLast ? this.endReceiving(stream) : undefined
    const isWrong =
      stream.isReceiveOver ||
      stream.expected !== (type === FRAME.resp ? 'head' : type === FRAME.end ? 'body' : 'messages')
    if (isLast) stream.isReceiveOver = true
    if (isWrong) this.refuse(stream, RESET.protocol, 'unexpected frame')
    else if (type === FRAME.resp) this.headCame(stream, payload, isLast)
    else if (type === FRAME.end) this.trailersCame(stream, payload)
    else this.closeCame(stream, payload)
  }

  private headCame(stream: Stream, payload: Uint8Array, isLast: boolean): void {
    const head = decodeResponseHead(payload)
    if (!head) return this.refuse(stream, RESET.badResponse, 'malformed head')
    stream.expected = 'body'
    if (stream.isWebsocket) {
      if (head.status === 101) {
        if (isLast) return this.refuse(stream, RESET.protocol, 'a WebSocket that ends at once')
        stream.expected = 'messages'
        stream.canSend = true
        this.output.schedule(stream)
      } else {
        stream.isSendOver = true
        stream.dropQueue()
      }
    }
    stream.handler.head?.(head, isLast)
    if (isLast) this.bodyEnded(stream)
  }

  private trailersCame(stream: Stream, payload: Uint8Array): void {
    const trailers = payload.length > 0 ? decodeTrailers(payload) : null
    if (!trailers && payload.length > 0) return this.refuse(stream, RESET.badResponse, 'malformed trailers')
    stream.handler.end(trailers)
    this.settle(stream)
  }

  private closeCame(stream: Stream, payload: Uint8Array): void {
    if (stream.messageKind !== null) return this.refuse(stream, RESET.protocol, 'closed within a message')
    stream.handler.closed?.(readU16(payload, 0), Buffer.from(payload.subarray(2)).toString())
    this.settle(stream)
  }

  private bodyEnded(stream: Stream): void {
    if (!stream.isReset) stream.handler.end(null)
    this.settle(stream)
  }

  private creditCame(stream: Stream, bytes: number): void {
    if (stream.isReset || stream.isSendOver) return
    stream.sendCredit += bytes
    if (stream.sendCredit > V2_LIMITS.maxCredit) return this.refuse(stream, RESET.protocol, 'too much credit')
    this.output.schedule(stream)
  }

  private resetCame(stream: Stream, payload: Uint8Array): void {
    stream.isReceiveOver = true
    if (!stream.isReset) {
      const number = readU16(payload, 0)
      const code = RESET_CODES.has(number) ? (number as ResetCode) : RESET.interrupted
      this.silence(stream)
      if (!stream.isSendOver) this.sendReset(stream, code, '')
      stream.handler.reset(code, latin1(payload, 2).slice(0, 120).replace(UNPRINTABLE, '?'))
    }
    this.settle(stream)
  }

  // What streams ask for.

  urge(stream: Stream): void {
    this.output.urge(stream)
  }

  schedule(stream: Stream): void {
    this.output.schedule(stream)
  }

  queued(bytes: number): void {
    this.output.queuedBytes += bytes
  }

  returned(bytes: number): void {
    this.credit.unconsumed -= bytes
    this.credit.giveBack(bytes)
  }

  resetLocally(stream: Stream, code: ResetCode, words: string): void {
    if (stream.isReset || stream.isOver) return
    this.silence(stream)
    if (stream.isOpener && !stream.isHeadSent) stream.isSendOver = stream.isReceiveOver = true
    else this.sendReset(stream, code, words)
    this.settle(stream)
  }

  refuse(stream: Stream, code: ResetCode, words: string): void {
    if (stream.isReset || stream.isOver) return
    this.silence(stream)
    if (stream.isOpener && !stream.isHeadSent) stream.isSendOver = stream.isReceiveOver = true
    else this.sendReset(stream, code, '')
    stream.handler.reset(code, words)
    this.settle(stream)
  }

  /** From here on the handler hears nothing of the other side. */
  private silence(stream: Stream): void {
    stream.isReset = true
    stream.dropQueue()
    stream.isCreditDue = false
    this.release(stream)
  }

  /** Bytes whose reader is gone count as read. */
  private release(stream: Stream): void {
    const { unconsumed } = stream
    stream.unconsumed = 0
    if (unconsumed > 0) this.returned(unconsumed)
  }

  private sendReset(stream: Stream, code: ResetCode, words: string): void {
    stream.resetCode = code
    stream.resetWords = words.slice(0, 120).replace(UNPRINTABLE, '?')
    this.output.urge(stream)
  }

  private endReceiving(stream: Stream): void {
    stream.isReceiveOver = true
    this.settle(stream)
  }

  /** Frees the stream when both directions have ended and nothing of it waits. */
  private settle(stream: Stream): void {
    if (stream.isOver || !stream.isSendOver || !stream.isReceiveOver || this.isClosed) return
    stream.isOver = true
    stream.resetCode = 0
    this.release(stream)
    this.streams.delete(stream.id)
    stream.handler.over?.()
  }

  private newStream(id: number, isOpener: boolean, isWebsocket: boolean, handler: StreamHandler): Stream {
    const { sendWindow, receiveWindow } = this.options
    const stream = new Stream(
      this,
      id,
      isOpener,
      isWebsocket,
      handler,
      sendWindow.stream,
      receiveWindow.stream,
    )
    this.streams.set(id, stream)
    return stream
  }

  /** Ids go round, so that frames which cross the end of a stream can't meet the next with its id. */
  private freeId(): number {
    do this.lastId = this.lastId === MAX_ID ? 1 : this.lastId + 1
    while (this.streams.has(this.lastId))
    return this.lastId
  }

  private fail(reason: string): MuxFault {
    this.fault ??= { reason }
    return this.fault
  }

  invariants(): string[] {
    return muxInvariants(this.streams, this.output, this.credit)
  }
}
