/** An answer that is neither kept nor shared, but counted; and what its head tells of a change of the device. */
import type { ResponseHead } from '#src/core/response-head.ts'
import { AnswerLayer } from '#src/user/answer.ts'
import type { Answer } from '#src/user/answer.ts'
import type { DeviceWatcher } from '#src/user/proxy.ts'

export class PassingAnswer extends AnswerLayer implements DeviceWatcher {
  readonly #onBytes: (count: number, isDevices: boolean) => void
  readonly #onAnswer: (status: number) => void
  #isDevices = false

  /** @param onAnswer Called with the status of the device's answer, before the user gets it. */
  constructor(
    inner: Answer,
    onBytes: (count: number, isDevices: boolean) => void,
    onAnswer: (status: number) => void,
  ) {
    super(inner)
    this.#onBytes = onBytes
    this.#onAnswer = onAnswer
  }

  opening(): void {
    this.#isDevices = false
  }

  answered(head: ResponseHead): void {
    this.#isDevices = true
    this.#onAnswer(head.status)
  }

  override write(bytes: Uint8Array): boolean {
    this.#onBytes(bytes.length, this.#isDevices)
    return super.write(bytes)
  }

  override end(body?: Uint8Array | string, encoding?: BufferEncoding): unknown {
    if (body !== undefined)
      this.#onBytes(
        typeof body === 'string' ? Buffer.byteLength(body, encoding) : body.length,
        this.#isDevices,
      )
    return super.end(body, encoding)
  }
}
