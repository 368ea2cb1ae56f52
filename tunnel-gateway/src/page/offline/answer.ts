/** An answer that is copied on its way if it may be, and that stops where the device is away. */
import type { DeviceWatcher, ProxyRequest } from '#src/user/proxy.ts'
import type { ResponseHead } from '#src/core/response-head.ts'
import type { Answer } from '#src/user/answer.ts'
import { isAway, isOwnPage } from '../layers.ts'
import { TakeableAnswer } from '../takeable-answer.ts'
import { isWorthKeeping, MAX_COPY_BYTES } from './core/frozen-page.ts'

export interface Passing {
  readonly type: string
  readonly encoding: string
  /** As the device sent them. */
  readonly body: Buffer
  /** The device knew whose request it was: by a cookie, a password, or what the person's browser sent. */
  readonly isPersonal: boolean
}

export interface OfflineEvents {
  readonly mayKeep: boolean
  readonly isNavigation: boolean
  readonly isPersonal: boolean
  /** A whole answer that may be kept has gone by. */
  kept(passing: Passing): void
  /** Nobody has answered yet. Called after the head was written. */
  away(): void
}

export class OfflineAnswer extends TakeableAnswer implements DeviceWatcher {
  readonly #events: OfflineEvents
  #isSigned = false
  #said: string | null = null
  #type = ''
  #encoding = ''
  #pieces: Buffer[] | null = null
  #size = 0

  constructor(inner: Answer, events: OfflineEvents) {
    super(inner)
    this.#events = events
  }

  opening(proxied: ProxyRequest): void {
    this.#isSigned = proxied.deviceAuthorization !== null
  }

  answered(head: ResponseHead): void {
    this.#said = head.cacheControl
  }

  override writeHead(status: number, headers: string[]): unknown {
    if (isAway(headers)) return this.take(503, () => this.#events.away())
    if (status === 200 && this.#events.mayKeep && !isOwnPage(headers)) this.#begin(headers)
    return super.writeHead(status, headers)
  }

  #begin(headers: readonly string[]): void {
    let cacheControl = ''
    for (let at = 0; at < headers.length; at += 2) {
      const name = headers[at]!.toLowerCase()
      const value = headers[at + 1]!
      if (name === 'content-type') this.#type = value
      if (name === 'content-encoding') this.#encoding = value.trim().toLowerCase()
      if (name === 'cache-control') cacheControl = value
    }
    // What the device said; of an answer that came from what is kept already, what the browser is told.
    const isSecret = /\bno-store\b/i.test(this.#said ?? cacheControl)
    if (!isSecret && isWorthKeeping(this.#type, this.#events.isNavigation)) this.#pieces = []
  }

  #copy(bytes: Uint8Array): void {
    if (this.#pieces === null) return
    this.#size += bytes.length
    if (this.#size > MAX_COPY_BYTES) this.#pieces = null
    // Not as it is: a buffer of the socket may be used again.
    else this.#pieces.push(Buffer.from(bytes))
  }

  override write(bytes: Uint8Array): boolean {
    if (!this.isTaken) this.#copy(bytes)
    return super.write(bytes)
  }

  override end(body?: Uint8Array | string, encoding?: BufferEncoding): unknown {
    if (this.isTaken) return this
    if (typeof body === 'string') this.#copy(Buffer.from(body, encoding))
    else if (body !== undefined) this.#copy(body)
    const pieces = this.#pieces
    this.#pieces = null
    if (pieces !== null && this.#size > 0)
      this.#events.kept({
        type: this.#type,
        encoding: this.#encoding,
        body: Buffer.concat(pieces),
        isPersonal: this.#events.isPersonal || this.#isSigned || this.#said === null,
      })
    return super.end(body, encoding)
  }

  override destroy(): unknown {
    this.#pieces = null
    return super.destroy()
  }
}
