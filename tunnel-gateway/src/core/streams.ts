/**
 * Requests in flight on one v1 tunnel: a pure machine. Requests, device messages and time come in; messages to the
 * device go out through `send`, and what the user gets through the stream's sink. A device never holds more requests
 * than it said it can; the next ones wait in a bounded queue.
 */
import type { HttpResponse, HttpResponseChunk } from '@wmoc/protocol/messages'
import { decodeBody } from '@wmoc/protocol/v1-body'
import { serialise } from '@wmoc/protocol/v1-codec'

export type StreamFailure =
  | 'device_disconnected'
  | 'device_timeout'
  | 'bad_device_response'
  | 'overloaded'
  | 'slow_reader'
  | 'access_ended'

/** The user's side of a stream. Called in order: head, data …, then end or fail once. */
export interface StreamSink {
  /** False: the head breaks the header policy; the stream ends as `bad_device_response`. */
  head(response: HttpResponse, isLast: boolean): boolean
  data(bytes: Uint8Array): void
  end(): void
  fail(failure: StreamFailure): void
  /** Bytes handed over that the user's connection has not taken yet. */
  bufferedBytes(): number
}

export interface StreamRequest {
  /** 128 random bits: a device cannot guess another request's id. */
  readonly id: string
  /** The whole `http_request` message. */
  readonly message: string
}

export interface StreamRules {
  readonly maxInFlight: number
  readonly maxQueued: number
  readonly queueTimeoutMs: number
  readonly firstByteTimeoutMs: number
  readonly idleTimeoutMs: number
  readonly totalTimeoutMs: number
  /** A device that does not know `http_cancel` is still busy for about this long. */
  readonly cancelGraceMs: number
  /** Bytes of one message's body. */
  readonly maxBodyBytes: number
  /** A user who reads slower than the device sends: from here on the tunnel waits. */
  readonly pauseBytes: number
  readonly resumeBytes: number
  /** A stream that still grows beyond this, or holds the tunnel for `maxPauseMs`, is cut. */
  readonly maxBufferedBytes: number
  readonly maxPauseMs: number
}

export interface StreamPorts {
  send(message: string): void
  /** Reading from the device stops (true) or goes on (false). */
  pause(isPaused: boolean): void
  /** Something that an honest device does not send; `kind` is a metric label. */
  oddity(kind: 'unknown_id' | 'out_of_order' | 'bad_body'): void
}

interface Stream extends StreamRequest {
  readonly sink: StreamSink
  readonly openedAt: number
  state: 'queued' | 'waiting' | 'streaming' | 'cancelled'
  /** Since when the present state waits for something. */
  since: number
}

export type Streams = ReturnType<typeof createStreams>

/** A tunnel's streams; empty at first. All times are milliseconds of one monotonic clock. */
export function createStreams(rules: StreamRules, ports: StreamPorts) {
  const active = new Map<string, Stream>()
  const queue: Stream[] = []
  let pausedSince: number | null = null

  function start(stream: Stream, now: number): void {
    stream.state = 'waiting'
    stream.since = now
    active.set(stream.id, stream)
    ports.send(stream.message)
  }

  function pump(now: number): void {
    while (queue.length > 0 && active.size < rules.maxInFlight) start(queue.shift()!, now)
  }

  /** The device is told; its slot stays taken until it answers or the grace is over. */
  function abandon(stream: Stream, now: number): void {
    stream.state = 'cancelled'
    stream.since = now
    ports.send(serialise({ type: 'http_cancel', id: stream.id }))
  }

  function finish(stream: Stream, now: number): void {
    active.delete(stream.id)
    pump(now)
  }

  function failAndAbandon(stream: Stream, failure: StreamFailure, now: number, isOver: boolean): void {
    if (isOver) finish(stream, now)
    else abandon(stream, now)
    stream.sink.fail(failure)
  }

  function take(stream: Stream, message: HttpResponse | HttpResponseChunk, now: number): void {
    const isLast = message.more !== true
    const bytes = decodeBody(message)
    if (bytes === null || bytes.length > rules.maxBodyBytes) {
      ports.oddity('bad_body')
      failAndAbandon(stream, 'bad_device_response', now, isLast)
      return
    }
    if (message.type === 'http_response' && !stream.sink.head(message, isLast)) {
      failAndAbandon(stream, 'bad_device_response', now, isLast)
      return
    }
    stream.state = 'streaming'
    stream.since = now
    if (bytes.length > 0) stream.sink.data(bytes)
    if (isLast) {
      finish(stream, now)
      stream.sink.end()
      return
    }
    checkBuffer(stream, now)
  }

  function checkBuffer(stream: Stream, now: number): void {
    const buffered = stream.sink.bufferedBytes()
    if (buffered > rules.maxBufferedBytes) failAndAbandon(stream, 'slow_reader', now, false)
    else if (buffered > rules.pauseBytes && pausedSince === null) {
      pausedSince = now
      ports.pause(true)
    }
  }

  function resumeWhenDrained(): void {
    if (pausedSince === null) return
    for (const stream of active.values()) {
      if (stream.state === 'streaming' && stream.sink.bufferedBytes() > rules.resumeBytes) return
    }
    pausedSince = null
    ports.pause(false)
  }

  return {
    /** False when the queue is full; nothing was kept. */
    open(request: StreamRequest, sink: StreamSink, now: number): boolean {
      const stream: Stream = { ...request, sink, openedAt: now, state: 'queued', since: now }
      if (queue.length === 0 && active.size < rules.maxInFlight) start(stream, now)
      else if (queue.length < rules.maxQueued) queue.push(stream)
      else return false
      return true
    },

    /** A device's `http_response` or `http_response_chunk`. */
    receive(message: HttpResponse | HttpResponseChunk, now: number): void {
      const stream = active.get(message.id)
      if (stream === undefined) {
        ports.oddity('unknown_id')
        return
      }
      if (stream.state === 'cancelled') {
        if (message.more !== true) finish(stream, now)
        return
      }
      if (message.type === 'http_response' && stream.state === 'streaming') {
        // The first answer counts.
        ports.oddity('out_of_order')
        return
      }
      if (message.type === 'http_response_chunk' && stream.state === 'waiting') {
        ports.oddity('out_of_order')
        failAndAbandon(stream, 'bad_device_response', now, !message.more)
        return
      }
      take(stream, message, now)
      if (pausedSince !== null) resumeWhenDrained()
    },

    /** The user went away; `fail` is not called. */
    cancel(id: string, now: number): void {
      const queuedAt = queue.findIndex((stream) => stream.id === id)
      if (queuedAt >= 0) queue.splice(queuedAt, 1)
      const stream = active.get(id)
      if (stream !== undefined && stream.state !== 'cancelled') abandon(stream, now)
      resumeWhenDrained()
    },

    /** The user's connection took bytes. */
    drained: resumeWhenDrained,

    /** Ends what waited too long. To be called about every second while `size() > 0`. */
    tick(now: number): void {
      while (queue.length > 0 && now - queue[0]!.since > rules.queueTimeoutMs)
        queue.shift()!.sink.fail('overloaded')
      for (const stream of active.values()) {
        const waited = now - stream.since
        if (stream.state === 'cancelled') {
          if (waited > rules.cancelGraceMs) finish(stream, now)
        } else if (stream.state === 'waiting' && waited > rules.firstByteTimeoutMs) {
          failAndAbandon(stream, 'device_timeout', now, false)
        } else if (pausedSince === null && stream.state === 'streaming' && waited > rules.idleTimeoutMs) {
          failAndAbandon(stream, 'device_timeout', now, false)
        } else if (now - stream.openedAt > rules.totalTimeoutMs) {
          failAndAbandon(stream, 'device_timeout', now, false)
        }
      }
      resumeWhenDrained()
      if (pausedSince === null || now - pausedSince <= rules.maxPauseMs) return
      for (const stream of active.values()) {
        if (stream.state === 'streaming' && stream.sink.bufferedBytes() > rules.resumeBytes) {
          failAndAbandon(stream, 'slow_reader', now, false)
        }
      }
      resumeWhenDrained()
    },

    /** The tunnel is gone: settles every request. */
    closeAll(failure: StreamFailure): void {
      const all = [...active.values(), ...queue]
      active.clear()
      queue.length = 0
      pausedSince = null
      for (const stream of all) if (stream.state !== 'cancelled') stream.sink.fail(failure)
    },

    /** Requests that a user still waits for. */
    pending(): number {
      let count = queue.length
      for (const stream of active.values()) if (stream.state !== 'cancelled') count += 1
      return count
    },
    inFlight: () => active.size,
    queued: () => queue.length,
    isPaused: () => pausedSince !== null,

    /** What must always hold; empty when it does. */
    invariants(): string[] {
      const broken: string[] = []
      if (active.size > rules.maxInFlight) broken.push('more in flight than the device can hold')
      if (queue.length > rules.maxQueued) broken.push('queue over its bound')
      if (queue.length > 0 && active.size < rules.maxInFlight)
        broken.push('waits although the device has room')
      for (const stream of active.values())
        if (stream.state === 'queued') broken.push('queued stream in flight')
      return broken
    },
  }
}
