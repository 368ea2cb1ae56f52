/** One end of one stream: what waits to be sent, what both sides may still send. Decisions are the machine's. */
import { RESET, type ResetCode } from './frames.ts'
import { encodeResponseHead, encodeTrailers } from './header-block.ts'
import { QUEUE_MARKS, type HeaderList, type MuxStream, type ResponseHead, type StreamHandler } from './mux.ts'

/** How the sender's direction ends once the queue is empty. */
export const ENDING = { none: 0, fin: 1, trailers: 2, close: 3 } as const
type Ending = (typeof ENDING)[keyof typeof ENDING]

/** What the other side may send now: its head, bytes of a body, messages of a WebSocket, nothing. */
type Expected = 'head' | 'body' | 'messages' | 'nothing'

/** What a stream asks of its machine. */
export interface StreamOwner {
  /** A head, RST or CREDIT waits. */
  urge(stream: Stream): void
  /** Body or end may have become sendable. */
  schedule(stream: Stream): void
  /** Bytes were queued (or dropped, below 0). */
  queued(bytes: number): void
  /** The reader took bytes that had come. */
  returned(bytes: number): void
  resetLocally(stream: Stream, code: ResetCode, words: string): void
  /** What was to be sent can't be said: resets the stream and tells its own handler. */
  refuse(stream: Stream, code: ResetCode, words: string): void
}

export class Stream implements MuxStream {
  readonly id: number
  readonly isOpener: boolean
  readonly isWebsocket: boolean
  private readonly owner: StreamOwner
  handler: StreamHandler

  /** Octets of the head that waits to be sent. */
  head: string | null = null
  isHeadSent = false
  /** Bodies may follow; for a WebSocket only after 101. */
  canSend = true
  sendCredit: number
  /** Chunks of a body, or whole messages; `first` is the index of the oldest, `offset` what of it was sent. */
  chunks: Uint8Array[] = []
  /** WebSocket: whether the message at the same index is binary. */
  binary: boolean[] | null = null
  first = 0
  offset = 0
  queuedBytes = 0
  ending: Ending = ENDING.none
  /** Octets of trailers or of WS_CLOSE. */
  endBlock = ''
  wasHigh = false

  expected: Expected
  receiveCredit: number
  /** All credit that the other side could have at most. */
  receiveWindow: number
  /** Given to the handler and not yet taken by the reader. */
  unconsumed = 0
  /** Taken by the reader and not yet given back. */
  toCredit = 0
  isCreditDue = false
  /** WebSocket: kind of the message whose first pieces came; null between messages. */
  messageKind: boolean | null = null

  resetCode: ResetCode | 0 = 0
  resetWords = ''
  /** RST came, or was asked for here: the handler hears nothing but `over`. */
  isReset = false
  isSendOver = false
  isReceiveOver = false
  isOver = false
  /** In the queue of heads, of bodies. */
  isUrgent = false
  isListed = false
  next: Stream | null = null

  constructor(
    owner: StreamOwner,
    id: number,
    isOpener: boolean,
    isWebsocket: boolean,
    handler: StreamHandler,
    sendCredit: number,
    receiveCredit: number,
  ) {
    this.owner = owner
    this.id = id
    this.isOpener = isOpener
    this.isWebsocket = isWebsocket
    this.handler = handler
    this.sendCredit = sendCredit
    this.receiveCredit = receiveCredit
    this.receiveWindow = receiveCredit
    this.canSend = !isWebsocket
    this.expected = isOpener ? 'head' : isWebsocket ? 'nothing' : 'body'
  }

  get hasQueued(): boolean {
    return this.first < this.chunks.length
  }

  /** Nothing more can be put into the sender's direction. */
  private get isClosed(): boolean {
    return this.isReset || this.isSendOver || this.ending !== ENDING.none
  }

  respond(head: ResponseHead, isLast: boolean): void {
    if (this.isOpener || this.isClosed || this.isHeadSent || this.head !== null) return
    this.head = encodeResponseHead(head)
    if (this.head === null) return this.owner.refuse(this, RESET.badResponse, 'head can not be encoded')
    if (this.isWebsocket) {
      if (head.status === 101) this.expected = 'messages'
      else this.isReceiveOver = true
    }
    this.canSend = true
    if (isLast && !(this.isWebsocket && head.status === 101)) this.ending = ENDING.fin
    this.owner.urge(this)
  }

  write(bytes: Uint8Array): void {
    if (bytes.length > 0 && !this.isClosed) this.push(bytes)
  }

  message(bytes: Uint8Array, isBinary: boolean): void {
    if (!this.isWebsocket || this.isClosed) return
    this.binary ??= []
    this.binary.push(isBinary)
    this.push(bytes)
  }

  end(trailers?: HeaderList): void {
    if (this.isClosed) return
    const block = trailers ? encodeTrailers(trailers) : ''
    if (block === null) return this.owner.refuse(this, RESET.badResponse, 'trailers can not be encoded')
    this.finish(block === '' ? ENDING.fin : ENDING.trailers, block)
  }

  close(code: number, reason: string): void {
    if (this.isClosed) return
    const octets = Buffer.from(reason).subarray(0, 123).toString('latin1')
    this.finish(ENDING.close, String.fromCharCode((code >> 8) & 0xff, code & 0xff) + octets)
  }

  reset(code: ResetCode, words = ''): void {
    this.owner.resetLocally(this, code, words)
  }

  consumed(bytes: number): void {
    const taken = Math.min(bytes, this.unconsumed)
    if (taken <= 0) return
    this.unconsumed -= taken
    this.owner.returned(taken)
    if (!this.isReceiveOver) this.give(taken)
  }

  grant(bytes: number): void {
    if (this.isReset || this.isReceiveOver || bytes <= 0) return
    this.receiveWindow += bytes
    this.toCredit += bytes
    this.sendCreditNow()
  }

  /** Gives credit back in batches: with half of the window at the other side nobody waits. */
  private give(bytes: number): void {
    this.toCredit += bytes
    if (this.toCredit * 2 >= this.receiveWindow) this.sendCreditNow()
  }

  private sendCreditNow(): void {
    if (this.isCreditDue) return
    this.isCreditDue = true
    this.owner.urge(this)
  }

  /** The oldest chunk is used up. */
  shiftChunk(): void {
    this.offset = 0
    this.first += 1
    if (this.first < 32 && this.hasQueued) return
    this.chunks.splice(0, this.first)
    this.binary?.splice(0, this.first)
    this.first = 0
  }

  /** Forgets what waits to be sent. */
  dropQueue(): void {
    this.owner.queued(-this.queuedBytes)
    this.head = null
    this.chunks = []
    this.binary = this.binary && []
    this.first = this.offset = this.queuedBytes = 0
  }

  private push(bytes: Uint8Array): void {
    this.chunks.push(bytes)
    this.queuedBytes += bytes.length
    if (this.queuedBytes > QUEUE_MARKS.high) this.wasHigh = true
    this.owner.queued(bytes.length)
    this.owner.schedule(this)
  }

  private finish(ending: Ending, block: string): void {
    this.ending = ending
    this.endBlock = block
    this.owner.schedule(this)
  }
}

/** Streams in turn, linked through `next`: a stream stands in one line at a time. */
export class StreamLine {
  head: Stream | null = null
  private tail: Stream | null = null

  push(stream: Stream): void {
    stream.next = null
    if (this.tail) this.tail.next = stream
    else this.head = stream
    this.tail = stream
  }

  shift(): void {
    const first = this.head
    if (!first) return
    this.head = first.next
    if (!this.head) this.tail = null
    first.next = null
  }

  /** Puts the whole of another line behind this one. */
  append(other: StreamLine): void {
    if (!other.head) return
    if (this.tail) this.tail.next = other.head
    else this.head = other.head
    this.tail = other.tail
    other.clear()
  }

  clear(): void {
    this.head = this.tail = null
  }

  has(stream: Stream): boolean {
    for (let at = this.head; at; at = at.next) if (at === stream) return true
    return false
  }
}
