/** The body of a request: pushed by the tunnel, taken by a handler, never more in memory than the window given. */
import type { HeaderBlock } from '@wmoc/protocol/messages'

type Part = { bytes: Buffer } | { isLast: true } | { failure: Error }

/** Read once: piece by piece (`for await`), or whole (`collect`). */
export class RequestBody implements AsyncIterable<Buffer> {
  /** Bytes, where that is known from the beginning. */
  readonly length: number | null
  /** What came after the last piece, once that was read (dialect v2). */
  trailers: HeaderBlock | null = null
  readonly #consumed: (bytes: number) => void
  #parts: Part[] = []
  #wake: (() => void) | null = null
  #isDiscarded = false
  /** Of the piece that the reader works on. */
  #heldBytes = 0

  /** `consumed` hears how many bytes were taken, so that the sender may send as many again. */
  constructor(consumed: (bytes: number) => void, length: number | null = null) {
    this.#consumed = consumed
    this.length = length
  }

  /** The body of every request without one. */
  static readonly empty = new RequestBody(() => undefined, 0)

  /** Nothing comes. */
  get isEmpty(): boolean {
    return this.length === 0
  }

  /** A body that is all here. */
  static of(bytes: Buffer): RequestBody {
    if (bytes.length === 0) return RequestBody.empty
    const body = new RequestBody(() => undefined, bytes.length)
    body.push(bytes)
    body.finish()
    return body
  }

  push(bytes: Buffer): void {
    if (this.#isDiscarded) this.#consumed(bytes.length)
    else this.#add({ bytes })
  }

  /** Nobody reads on: what is here and what still comes counts as taken. */
  discard(): void {
    if (this.isEmpty || this.#isDiscarded) return
    this.#isDiscarded = true
    this.#release()
    for (const part of this.#parts) if ('bytes' in part) this.#consumed(part.bytes.length)
    this.#parts = []
    this.#add({ failure: new Error('the request was answered') })
  }

  finish(trailers: HeaderBlock | null = null): void {
    if (!this.isEmpty) this.trailers = trailers
    this.#add({ isLast: true })
  }

  /** The rest will never come: whoever reads gets the error after the pieces that came. */
  fail(failure: Error): void {
    this.#add({ failure })
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, void> {
    while (!this.isEmpty) {
      const part = this.#parts.shift()
      if (!part) {
        await this.#arrival()
      } else if ('bytes' in part) {
        this.#heldBytes = part.bytes.length
        yield part.bytes
        this.#release()
      } else if ('failure' in part) {
        throw part.failure
      } else return
    }
  }

  /** All of it; rejects when there are more than `maxBytes`, or when the rest never comes. */
  async collect(maxBytes = Number.POSITIVE_INFINITY): Promise<Buffer> {
    if (this.isEmpty) return EMPTY
    const pieces: Buffer[] = []
    let length = 0
    for await (const piece of this) {
      length += piece.length
      if (length > maxBytes) throw new BodyTooLargeError(`more than ${maxBytes} bytes`)
      pieces.push(piece)
    }
    return pieces.length === 1 && pieces[0] ? pieces[0] : Buffer.concat(pieces, length)
  }

  /** Once the reader comes back for more, what it worked on is no longer held. */
  #release(): void {
    if (this.#heldBytes > 0) this.#consumed(this.#heldBytes)
    this.#heldBytes = 0
  }

  #add(part: Part): void {
    if (this.isEmpty) return
    this.#parts.push(part)
    this.#wake?.()
  }

  #arrival(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = null
        resolve()
      }
    })
  }
}

export class BodyTooLargeError extends Error {}

const EMPTY = Buffer.alloc(0)
