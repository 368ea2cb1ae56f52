/**
 * Requests on one tunnel, whatever its dialect: a pure machine. It knows how many a device holds, who waits in the
 * bounded queue, and what takes too long; what a request looks like on the wire is its owner's matter.
 */
import { valuesIn } from './upstream.ts'
import type { DeviceHead, StreamFailure, StreamSink } from './upstream.ts'

export interface ExchangeRules {
  readonly maxInFlight: number
  readonly maxQueued: number
  readonly queueTimeoutMs: number
  readonly firstByteTimeoutMs: number
  /** Longest gap inside an answer. */
  readonly idleTimeoutMs: number
  /** The same for event streams and WebSockets, which may be silent for long; they have no total time. */
  readonly longIdleTimeoutMs: number
  readonly totalTimeoutMs: number
  /** A device that does not confirm a cancellation is taken to be busy for about this long. */
  readonly cancelGraceMs: number
}

/** One request. Owned by the machine; others read it. */
export interface Exchange {
  readonly sink: StreamSink
  readonly openedAt: number
  state: 'queued' | 'waiting' | 'streaming' | 'cancelled' | 'over'
  /** Since when the present state waits for something. */
  since: number
  /** An event stream or a WebSocket. */
  isLong: boolean
  /** Waits behind all that is not: a page is read before its pictures are seen. */
  readonly isLate: boolean
}

export interface ExchangePorts<E extends Exchange> {
  /** The device has room: send it. */
  start(exchange: E): void
  /** The device shall stop; `finish` follows when it has, or the grace is over. */
  abandon(exchange: E): void
  /** The grace is over without a word. */
  unanswered(exchange: E): void
  /** A user waits for one answer less. */
  settled(): void
}

/** All times are milliseconds of one monotonic clock. */
export class Exchanges<E extends Exchange> {
  readonly #rules: ExchangeRules
  readonly #ports: ExchangePorts<E>
  readonly #active = new Set<E>()
  readonly #queue: E[] = []

  constructor(rules: ExchangeRules, ports: ExchangePorts<E>) {
    this.#rules = rules
    this.#ports = ports
  }

  get hasRoom(): boolean {
    return this.#active.size < this.#rules.maxInFlight || this.#queue.length < this.#rules.maxQueued
  }

  /** False when the queue is full; nothing was kept. */
  open(exchange: E, now: number): boolean {
    if (!this.hasRoom) return false
    if (this.#queue.length === 0 && this.#active.size < this.#rules.maxInFlight) {
      this.#start(exchange, now)
      return true
    }
    const firstLate = exchange.isLate ? -1 : this.#queue.findIndex(({ isLate }) => isLate)
    if (firstLate < 0) this.#queue.push(exchange)
    else this.#queue.splice(firstLate, 0, exchange)
    this.#pump(now)
    return true
  }

  /** Something of the answer came: from here on gaps are counted. */
  heard(exchange: E, now: number): void {
    if (exchange.state === 'waiting') exchange.state = 'streaming'
    exchange.since = now
  }

  /** The device is done with it. `fail` is not called. */
  finish(exchange: E, now: number): void {
    exchange.state = 'over'
    if (this.#active.delete(exchange)) this.#pump(now)
    this.#ports.settled()
  }

  /** Ends it for the user. `isOver`: the device knows already. */
  fail(exchange: E, failure: StreamFailure, now: number, isOver: boolean): void {
    const isAwaited = exchange.state !== 'cancelled' && exchange.state !== 'over'
    if (isOver) this.finish(exchange, now)
    else this.cancel(exchange, now)
    if (isAwaited) exchange.sink.fail(failure)
  }

  /** The user has the whole answer; the slot is free once `finish` says so. */
  release(exchange: E, now: number): void {
    if (exchange.state === 'over') return
    exchange.state = 'cancelled'
    exchange.since = now
    this.#ports.settled()
  }

  /** Nobody waits for the answer any more; `fail` is not called. Its slot stays taken until the device has stopped. */
  cancel(exchange: E, now: number): void {
    if (exchange.state === 'cancelled' || exchange.state === 'over') return
    if (exchange.state === 'queued') {
      exchange.state = 'over'
      const at = this.#queue.indexOf(exchange)
      if (at >= 0) this.#queue.splice(at, 1)
    } else {
      exchange.state = 'cancelled'
      exchange.since = now
      this.#ports.abandon(exchange)
    }
    this.#ports.settled()
  }

  /** Ends what waited too long. To be called about every second while `size > 0`. */
  tick(now: number): void {
    const rules = this.#rules
    for (const exchange of this.#queue.filter(({ since }) => now - since > rules.queueTimeoutMs))
      this.fail(exchange, 'overloaded', now, false)
    for (const exchange of this.#active) {
      if (exchange.state === 'cancelled' && now - exchange.since > rules.cancelGraceMs) {
        this.#ports.unanswered(exchange)
        this.finish(exchange, now)
      } else if (this.#isLate(exchange, now)) this.fail(exchange, 'device_timeout', now, false)
    }
  }

  #isLate({ state, since, openedAt, isLong }: E, now: number): boolean {
    const rules = this.#rules
    if (state === 'waiting' && now - since > rules.firstByteTimeoutMs) return true
    if (state !== 'streaming') return false
    if (isLong) return now - since > rules.longIdleTimeoutMs
    return now - since > rules.idleTimeoutMs || now - openedAt > rules.totalTimeoutMs
  }

  /** The tunnel is gone: settles every request. */
  closeAll(failure: StreamFailure): void {
    const all = [...this.#active, ...this.#queue]
    this.#active.clear()
    this.#queue.length = 0
    for (const exchange of all) {
      const isAwaited = exchange.state !== 'cancelled'
      exchange.state = 'over'
      if (isAwaited) exchange.sink.fail(failure)
    }
  }

  get active(): Iterable<E> {
    return this.#active
  }
  get waiting(): Iterable<E> {
    return this.#queue
  }
  get inFlight(): number {
    return this.#active.size
  }
  get queued(): number {
    return this.#queue.length
  }
  get size(): number {
    return this.#active.size + this.#queue.length
  }

  /** Requests that a user still waits for; with `openedBefore` only those that were opened before that time. */
  pending(openedBefore = Infinity): number {
    let count = 0
    for (const { openedAt } of this.#queue) if (openedAt < openedBefore) count += 1
    for (const { state, openedAt } of this.#active)
      if (state !== 'cancelled' && openedAt < openedBefore) count += 1
    return count
  }

  /** What must always hold; empty when it does. */
  invariants(): string[] {
    const broken: string[] = []
    if (this.#active.size > this.#rules.maxInFlight) broken.push('more in flight than the device can hold')
    if (this.#queue.length > this.#rules.maxQueued) broken.push('queue over its bound')
    if (this.#queue.length > 0 && this.#active.size < this.#rules.maxInFlight)
      broken.push('waits although the device has room')
    for (const { state } of this.#active)
      if (state === 'queued' || state === 'over') broken.push(`${state} request in flight`)
    return broken
  }

  #pump(now: number): void {
    while (this.#queue.length > 0 && this.#active.size < this.#rules.maxInFlight)
      this.#start(this.#queue.shift()!, now)
  }

  #start(exchange: E, now: number): void {
    exchange.state = 'waiting'
    exchange.since = now
    this.#active.add(exchange)
    this.#ports.start(exchange)
  }
}

/** An answer that may be silent for long: an event stream. */
export function isEventStream(head: DeviceHead): boolean {
  const [type] = valuesIn(head, 'content-type')
  return typeof type === 'string' && /^\s*text\/event-stream\s*(?:;|$)/i.test(type)
}
