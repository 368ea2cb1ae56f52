/**
 * One request to the device and all who wait for its answer. It is what the device's answer is written to: pieces go to
 * whoever waits as they come, and are held as long as the answer may be kept, or somebody may still join. Who asked first
 * may leave; the rest stay.
 */
import type { IncomingMessage } from 'node:http'
import type { ByteBudget } from '#src/core/byte-budget.ts'
import type { ResponseHead } from '#src/core/response-head.ts'
import type { Upstream } from '#src/core/upstream.ts'
import type { Answer } from '#src/user/answer.ts'
import { holderOf } from '#src/user/principal.ts'
import type { DeviceWatcher, ProxyRequest } from '#src/user/proxy.ts'
import { isOwnPage } from '#src/page/layers.ts'
import { headerOf, withoutHeaders } from './core/directives.ts'
import type { Reader } from './reader.ts'

/** What the flight's owner decides when the head is there. */
export type Landing =
  /** The owner serves everybody by itself; what the device sends is not passed on. */
  | { readonly kind: 'replaced' }
  | {
      readonly kind: 'passed'
      readonly headers: readonly string[]
      /** Whether it is worth holding for later. */
      readonly isKept: boolean
      /** Of those who joined: everybody, those of the first one's own, or nobody. The others ask by themselves. */
      readonly shared: 'all' | 'own' | 'none'
    }

export interface FlightPorts {
  readonly limitBytes: number
  /** Bytes held for all flights together. */
  readonly budget: ByteBudget
  land(flight: Flight, status: number, headers: readonly string[]): Landing
  /** The whole body came and is to be kept. */
  keep(flight: Flight, headers: readonly string[], body: Buffer): void
  /** Asks the device again, for this one alone. */
  alone(reader: Reader): void
  bytesFromDevice(count: number): void
  left(reader: Reader): void
  over(flight: Flight): void
}

const MAX_READERS = 256
/** For a body of unknown length: so long those who joined wait for its end. */
const PATIENCE_MS = 10_000
const FRAMING: ReadonlySet<string> = new Set(['content-length', 'server-timing'])

type State = 'waiting' | 'held' | 'streamed' | 'over'

export class Flight implements Answer, DeviceWatcher {
  readonly req: IncomingMessage
  readonly socket = null
  headersSent = false
  destroyed = false
  statusCode = 0
  /** The device's head; null where the answer is one of ours. */
  head: ResponseHead | null = null
  epoch = 0
  /** The request that the device got had credentials, the user's or such as were put in. */
  isAuthorised = false
  /** Nobody joins any more: what the device says may be older than what they must see. */
  isSealed = false
  readonly #ports: FlightPorts
  readonly #leader: Reader
  /** Nobody waits, and it goes on all the same. */
  readonly #isBackground: boolean
  readonly #readers = new Set<Reader>()
  readonly #closeListeners: (() => void)[] = []
  #state: State = 'waiting'
  #headers: readonly string[] = []
  #pieces: Uint8Array[] = []
  #size = 0
  #taken = 0
  #length: number | null = null
  #isKept = false
  #shared: 'all' | 'own' | 'none' = 'all'
  #patience: NodeJS.Timeout | null = null

  constructor(ports: FlightPorts, leader: Reader, isBackground: boolean) {
    this.#ports = ports
    this.#leader = leader
    this.#isBackground = isBackground
    this.req = leader.proxied.request
    if (!isBackground) this.#add(leader)
  }

  get #isOver(): boolean {
    return this.#state === 'over'
  }

  get readers(): Iterable<Reader> {
    return this.#readers
  }

  /** False: it has to ask by itself. */
  join(reader: Reader): boolean {
    const isOpen = this.#state === 'waiting' || this.#state === 'held'
    if (!isOpen || this.isSealed || this.#readers.size >= MAX_READERS || !this.#isSharedWith(reader))
      return false
    this.#add(reader)
    if (this.#state === 'held' && this.#length !== null) this.#catchUp(reader)
    return true
  }

  #add(reader: Reader): void {
    this.#readers.add(reader)
    reader.proxied.response.once('close', () => this.#gone(reader))
  }

  #gone(reader: Reader): void {
    if (!this.#readers.delete(reader)) return
    this.#ports.left(reader)
    if (this.#readers.size === 0 && !this.#isBackground && this.#state !== 'over') this.#finish()
  }

  #isSharedWith({ principal }: Reader): boolean {
    if (this.#shared === 'all') return true
    return this.#shared === 'own' && holderOf(principal) === holderOf(this.#leader.principal)
  }

  // What the proxy says.

  opening(proxied: ProxyRequest, upstream: Upstream): void {
    this.epoch = upstream.epoch
    this.isAuthorised =
      proxied.deviceAuthorization !== null || proxied.request.headers.authorization !== undefined
  }

  answered(head: ResponseHead): void {
    this.head = head
  }

  writeHead(status: number, headers: string[]): void {
    this.headersSent = true
    this.statusCode = status
    // The head that was judged may be one that a layer further down did not pass on.
    if (this.head?.status !== status || isOwnPage(headers)) this.head = null
    const landing = this.#ports.land(this, status, headers)
    if (this.#isOver) return
    if (landing.kind === 'replaced') return this.#finish()
    this.#headers = landing.headers
    this.#isKept = landing.isKept
    this.#shared = landing.shared
    this.#length = lengthOf(headers)
    this.#state = 'held'
    this.#release((reader) => reader !== this.#leader && !this.#isSharedWith(reader))
    if (this.#isOver) return
    const isTooLong = (this.#length ?? 0) > this.#ports.limitBytes
    if (this.#shared === 'none' || isTooLong || !this.#hold(this.#length ?? 0)) return this.#stream()
    if (this.#length === null) {
      if (this.#readers.has(this.#leader)) this.#begin(this.#leader)
      this.#patience = setTimeout(() => this.#release((reader) => !reader.isBegun), PATIENCE_MS)
      this.#patience.unref()
    } else for (const reader of this.#readers) this.#begin(reader)
  }

  write(bytes: Uint8Array): boolean {
    this.#ports.bytesFromDevice(bytes.length)
    return this.#take(bytes)
  }

  end(body?: Uint8Array | string, encoding?: BufferEncoding): void {
    if (body !== undefined) {
      const bytes = typeof body === 'string' ? Buffer.from(body, encoding) : body
      if (this.head !== null) this.#ports.bytesFromDevice(bytes.length)
      this.#take(bytes)
    }
    if (this.#state === 'held') this.#endHeld()
    else if (this.#state === 'streamed') for (const reader of this.#readers) reader.end()
    this.#finish()
  }

  /** Nothing of it may pass for whole. Those who got nothing yet ask by themselves. */
  destroy(): void {
    this.destroyed = true
    this.#release((reader) => !reader.isBegun && reader !== this.#leader)
    for (const reader of this.#readers) reader.proxied.response.destroy()
    this.#finish()
  }

  flushHeaders(): void {
    for (const reader of this.#readers) if (reader.isBegun) reader.proxied.response.flushHeaders()
  }

  addTrailers(trailers: [string, string][]): void {
    if (this.#leader.isBegun && !this.#leader.isGone) this.#leader.proxied.response.addTrailers(trailers)
  }

  writeContinue(): void {
    // No request that is shared has a body.
  }

  cork(): void {
    if (this.#state === 'streamed') this.#leader.proxied.response.cork()
  }

  uncork(): void {
    if (this.#state === 'streamed') this.#leader.proxied.response.uncork()
  }

  once(_event: 'close', listener: () => void): void {
    this.#closeListeners.push(listener)
  }

  /** Only a streamed answer has to be waited for: what is held is bounded. */
  on(event: 'drain', listener: () => void): void {
    this.#leader.proxied.response.on(event, listener)
  }

  get writableLength(): number {
    return this.#state === 'streamed' ? this.#leader.proxied.response.writableLength : 0
  }

  // What becomes of it.

  #take(bytes: Uint8Array): boolean {
    if (this.#state === 'held') {
      this.#size += bytes.length
      if (this.#size > this.#ports.limitBytes || !this.#hold(this.#size)) this.#stream()
      else {
        this.#pieces.push(bytes)
        for (const reader of this.#readers) if (reader.isBegun) reader.write(bytes)
        return true
      }
    }
    if (this.#state !== 'streamed') return true
    let isTaken = true
    for (const reader of this.#readers) isTaken = reader.write(bytes) && isTaken
    return isTaken
  }

  /** Room for so many bytes in all. */
  #hold(bytes: number): boolean {
    const more = bytes - this.#taken
    if (more <= 0) return true
    if (!this.#ports.budget.take(more)) return false
    this.#taken += more
    return true
  }

  /** Too long to be held, or nobody's but the first one's: from here on it is as if there were no flight. */
  #stream(): void {
    this.#isKept = false
    this.#state = 'streamed'
    this.#letGo()
    this.#release((reader) => !reader.isBegun && reader !== this.#leader)
    for (const reader of this.#readers) if (!reader.isBegun) reader.begin(this.statusCode, this.#headers)
  }

  #begin(reader: Reader): void {
    reader.begin(this.statusCode, this.#headers)
  }

  #catchUp(reader: Reader): void {
    this.#begin(reader)
    for (const piece of this.#pieces) reader.write(piece)
  }

  #endHeld(): void {
    const body = Buffer.concat(this.#pieces, this.#size)
    for (const reader of this.#readers) {
      if (reader.isBegun) reader.end()
      else {
        const headers = withoutHeaders(this.#headers, FRAMING)
        reader.begin(this.statusCode, [...headers, 'Content-Length', String(this.#size)])
        reader.end(body)
      }
    }
    if (this.#isKept) this.#ports.keep(this, this.#headers, body)
  }

  #release(test: (reader: Reader) => boolean): void {
    for (const reader of this.#readers) {
      if (!test(reader)) continue
      this.#readers.delete(reader)
      this.#ports.left(reader)
      if (!reader.isGone) this.#ports.alone(reader)
    }
    if (this.#readers.size === 0 && !this.#isBackground) this.#finish()
  }

  #letGo(): void {
    this.#ports.budget.give(this.#taken)
    this.#taken = 0
    this.#pieces = []
    if (this.#patience !== null) clearTimeout(this.#patience)
  }

  #finish(): void {
    if (this.#state === 'over') return
    this.#state = 'over'
    this.destroyed = true
    this.#letGo()
    for (const reader of this.#readers) this.#ports.left(reader)
    this.#readers.clear()
    this.#ports.over(this)
    for (const listener of this.#closeListeners) listener()
  }
}

function lengthOf(headers: readonly string[]): number | null {
  const value = headerOf(headers, 'content-length')
  return value === null ? null : Number(value)
}
