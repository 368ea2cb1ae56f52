/**
 * A connection between two shards that have proved themselves: frames of dialect v2 back to back on TCP. Requests go
 * from the side that dialled to the side that accepted, as streams; so do the calls of `calls.ts`.
 */
import type { Socket } from 'node:net'
import type { Logger } from '@wmoc/platform/log'
import { createMux } from '@wmoc/protocol/v2/create-mux'
import { createFrameReader } from '@wmoc/protocol/v2/frame-codec'
import { FRAME, RESET, V2_LIMITS } from '@wmoc/protocol/v2/frames'
import type { FrameType } from '@wmoc/protocol/v2/frames'
import type { MuxOptions, MuxStream, RequestHead, StreamHandler } from '@wmoc/protocol/v2/mux'
import { createCalls } from './calls.ts'
import type { AnswerCall, Whereabouts } from './calls.ts'

/** Streams of one link at a time, as far as their numbers go with room for ids that wait for their reset. */
const MAX_STREAMS = 32_768
const MAX_CHUNK = 32_768
/** Credit of one stream: of answers from the start, of request bodies once the owner's tunnel took the request. */
export const STREAM_WINDOW = 262_144
/** Streams are bounded each by itself, so that none waits for another. */
const CONNECTION_WINDOW = V2_LIMITS.maxCredit
/** Frames that wait in the socket, beyond which no more are made. */
const MAX_BUFFERED_BYTES = 262_144
const PULL_BYTES = 65_536
const TICK_MS = 2_500
const PING_AFTER_MS = 4_000
/** Without an answer to a ping: nothing new is sent until one is heard. */
const SILENT_AFTER_MS = 6_000
export const DEAD_AFTER_MS = 10_000
const NOTHING = new Uint8Array(0)
const EMPTY_JSON = Buffer.from('{}')

export interface FlushListener {
  /** Frames have left since. True: it need not hear of it again. */
  flushed(): boolean
}

export interface LinkOptions {
  readonly socket: Socket
  /** The instance at the other end. */
  readonly peer: string
  readonly role: 'opener' | 'acceptor'
  readonly log: Logger
  /** Acceptor: takes a stream. */
  accept?(
    link: PeerLink,
    request: RequestHead,
    stream: MuxStream,
    kind: 'request' | 'websocket',
    isLast: boolean,
  ): StreamHandler
  /** Acceptor: answers a call. */
  readonly answer?: AnswerCall
  /** The connection is gone; all its streams have failed. Called once. */
  down(link: PeerLink): void
}

export interface PeerLink {
  readonly peer: string
  /** New streams may be opened: the other shard answers and is not about to go. */
  readonly isUsable: boolean
  /** Streams at present. */
  readonly size: number
  /** Bytes of bodies that wait here for credit or for the socket. */
  readonly heldBytes: number
  /** Null: the link can't take another one now. */
  open(
    head: RequestHead,
    kind: 'request' | 'websocket',
    isLast: boolean,
    handler: StreamHandler,
  ): MuxStream | null
  /** Where the other shard has this controller's tunnel; undefined: no answer came in time. */
  locate(controllerId: string): Promise<Whereabouts | undefined>
  /** Tells the other shard that its tunnel of this controller is of the past. */
  superseded(controllerId: string, epoch: number): void
  /** Calls `listener.flushed` whenever frames have left. */
  awaitFlush(listener: FlushListener): void
  /** Acceptor: asks the other side to open nothing more and to close once its streams are over. */
  goAway(): void
  /** Closes once nothing is open. */
  retire(): void
  close(): void
  invariants(): string[]
}

/** Takes over a socket on which the handshake is done. */
export function createLink(options: LinkOptions): PeerLink {
  const { socket, role, peer, log } = options
  let isScheduled = false
  let isDown = false
  /** No new streams: the other side, or this one, is about to go. */
  let isLeaving = false
  /** A call went unanswered, and nothing came since. */
  let isSilent = false
  let heardAt = performance.now()
  let tickedAt = heardAt
  let waiting: FlushListener[] = []

  const mux = createMux({
    role,
    maxStreams: MAX_STREAMS,
    maxChunk: MAX_CHUNK,
    ...windows(role),
    isResumable: false,
    wake: schedule,
    ...(options.accept === undefined ? {} : { accept: (...given) => options.accept!(link, ...given) }),
    control,
  } satisfies MuxOptions)
  const calls = createCalls((type, payload) => mux.control(type, payload), options.answer)
  const reader = createFrameReader()

  function schedule(): void {
    if (isScheduled || isDown) return
    isScheduled = true
    // What one turn of the event loop brought together leaves together.
    setImmediate(flush)
  }

  function flush(): void {
    isScheduled = false
    if (isDown || socket.writableNeedDrain) return
    const first = mux.pull(PULL_BYTES)
    if (first !== null) writeAll(first)
    tellWaiting()
    closeIfDone()
  }

  function writeAll(first: Uint8Array): void {
    let next = mux.pull(PULL_BYTES)
    if (next === null) return void socket.write(first)
    socket.cork()
    socket.write(first)
    for (; next !== null; next = mux.pull(PULL_BYTES)) {
      socket.write(next)
      if (socket.writableLength > MAX_BUFFERED_BYTES) break
    }
    socket.uncork()
  }

  function tellWaiting(): void {
    if (waiting.length === 0) return
    const told = waiting
    waiting = []
    for (const listener of told) if (!listener.flushed()) waiting.push(listener)
  }

  function control(type: FrameType, payload: Uint8Array): void {
    if (type === FRAME.cmd || type === FRAME.cmdResult) {
      if (!calls.receive(type, payload)) fail('call')
    } else if (type === FRAME.goaway && role === 'opener') {
      isLeaving = true
      closeIfDone()
    } else fail('frame')
  }

  function receive(frames: Uint8Array): boolean {
    const fault = mux.receive(frames)
    if (fault !== null) fail(fault.reason)
    return !isDown
  }

  function fail(reason: string): void {
    log.error('cluster', 'a link between shards broke its protocol', { peer, reason })
    close()
  }

  function closeIfDone(): void {
    if (isLeaving && role === 'opener' && mux.size === 0) socket.end()
  }

  function tick(): void {
    const now = performance.now()
    // After a pause of this process what was sent to it meanwhile has not been read yet.
    if (now - tickedAt > 2 * TICK_MS) heardAt = now
    tickedAt = now
    closeIfDone()
    if (now - heardAt > DEAD_AFTER_MS) {
      log.warn('cluster', 'a link between shards is dead', { peer })
      close()
    } else if (now - heardAt > PING_AFTER_MS) {
      isSilent ||= now - heardAt > SILENT_AFTER_MS
      mux.control(FRAME.ping, NOTHING)
    }
  }

  function close(): void {
    if (isDown) return
    isDown = true
    clearInterval(timer)
    socket.destroy()
    calls.close()
    // Whoever serves hears that nobody waits; whoever asked, that no answer will come.
    mux.closeAll(role === 'opener' ? RESET.disconnected : RESET.cancelled)
    waiting = []
    options.down(link)
  }

  const link: PeerLink = {
    peer,
    get isUsable() {
      return !isDown && !isLeaving && !isSilent
    },
    get size() {
      return mux.size
    },
    get heldBytes() {
      return mux.heldBytes + socket.writableLength
    },
    open: (head, kind, isLast, handler) =>
      isDown || isLeaving ? null : mux.open(head, kind, isLast, handler),
    async locate(controllerId) {
      if (isDown || isLeaving) return undefined
      const found = await calls.locate(controllerId)
      if (found === undefined) isSilent = true
      return found
    },
    superseded(controllerId, epoch) {
      if (!isDown) calls.superseded(controllerId, epoch)
    },
    awaitFlush(listener) {
      waiting.push(listener)
    },
    goAway: () => mux.control(FRAME.goaway, EMPTY_JSON),
    retire() {
      isLeaving = true
      closeIfDone()
    },
    close,
    invariants: () => mux.invariants(),
  }
  const timer = setInterval(tick, TICK_MS)
  timer.unref()
  socket.setNoDelay(true)
  socket.on('data', (chunk: Buffer) => {
    heardAt = performance.now()
    isSilent = false
    try {
      reader.push(chunk, receive)
    } catch (error) {
      // A mistake of ours in the handling of one link must not end the process.
      log.error('cluster', 'handling a link between shards failed', { peer, error })
      close()
    }
  })
  socket.on('drain', flush)
  socket.on('error', (error) => log.debug('cluster', 'a link between shards failed', { peer, error }))
  socket.on('close', close)
  socket.resume()
  if (socket.destroyed) process.nextTick(close)
  return link
}

/** Request bodies wait for the owner's word; answers may come at once. */
function windows(role: 'opener' | 'acceptor'): Pick<MuxOptions, 'sendWindow' | 'receiveWindow'> {
  const bodies = { stream: 0, connection: CONNECTION_WINDOW }
  const answers = { stream: STREAM_WINDOW, connection: CONNECTION_WINDOW }
  return role === 'opener'
    ? { sendWindow: bodies, receiveWindow: answers }
    : { sendWindow: answers, receiveWindow: bodies }
}
