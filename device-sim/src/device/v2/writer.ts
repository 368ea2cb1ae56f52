/** Makes the writers of a stream wait when more is queued than should be. */
import { QUEUE_MARKS, type MuxStream } from '@wmoc/protocol/v2/mux'
import type { Room } from '../handler.ts'

export class Writer {
  readonly #stream: MuxStream
  #waiting: PromiseWithResolvers<void> | null = null

  constructor(stream: MuxStream) {
    this.#stream = stream
  }

  /** Asked after each write. */
  get room(): Room {
    if (this.#stream.queuedBytes <= QUEUE_MARKS.high || this.#stream.isOver) return undefined
    this.#waiting ??= Promise.withResolvers()
    return this.#waiting.promise
  }

  /** There is room again, or nobody needs it any more. */
  release(): void {
    this.#waiting?.resolve()
    this.#waiting = null
  }
}
