/** Bytes that come by callback, read by `for await`; whoever sends hears what was taken. */
import type { HeaderList } from '@wmoc/protocol/v2/mux'

export class Incoming implements AsyncIterable<Uint8Array> {
  trailers: HeaderList | null = null
  private readonly pieces: Uint8Array[] = []
  private readonly taken: (bytes: number) => void
  private state: 'open' | 'ended' | Error = 'open'
  private wake: (() => void) | null = null

  constructor(taken: (bytes: number) => void) {
    this.taken = taken
  }

  push(bytes: Uint8Array): void {
    this.pieces.push(bytes)
    this.wake?.()
  }

  end(trailers: HeaderList | null): void {
    this.trailers = trailers
    if (this.state === 'open') this.state = 'ended'
    this.wake?.()
  }

  fail(error: Error): void {
    if (this.state === 'open') this.state = error
    this.wake?.()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      const piece = this.pieces.shift()
      if (piece) {
        this.taken(piece.length)
        yield piece
      } else if (this.state === 'ended') return
      else if (this.state !== 'open') throw this.state
      else
        await new Promise<void>((resolve) => {
          this.wake = resolve
        })
    }
  }
}

/** At most `limit` at a time; the rest waits in order, as a gateway does for `max_streams`. */
export class Slots {
  private free: number
  private readonly waiting: (() => void)[] = []

  constructor(limit: number) {
    this.free = limit
  }

  async take(): Promise<void> {
    if (this.free > 0) {
      this.free -= 1
      return
    }
    await new Promise<void>((resolve) => {
      this.waiting.push(resolve)
    })
  }

  give(): void {
    const next = this.waiting.shift()
    if (next) next()
    else this.free += 1
  }
}
