/** An answer that can be taken off its way: the rest of it goes nowhere, and the user still waits. */
import { AnswerLayer } from '#src/user/answer.ts'

export abstract class TakeableAnswer extends AnswerLayer {
  /** Of what was taken; null: everything goes on. */
  #status: number | null = null

  protected get isTaken(): boolean {
    return this.#status !== null
  }

  /** In the place of writing its head. `then` is called once whoever writes is done with that. */
  protected take(status: number, then: () => void): this {
    this.#status = status
    process.nextTick(then)
    return this
  }

  override get headersSent(): boolean {
    return this.isTaken || super.headersSent
  }

  override get statusCode(): number {
    return this.#status ?? super.statusCode
  }

  override get writableLength(): number {
    return this.isTaken ? 0 : super.writableLength
  }

  override flushHeaders(): void {
    if (!this.isTaken) super.flushHeaders()
  }

  override write(bytes: Uint8Array): boolean {
    return this.isTaken || super.write(bytes)
  }

  override end(body?: Uint8Array | string, encoding?: BufferEncoding): unknown {
    return this.isTaken ? this : super.end(body, encoding)
  }

  override addTrailers(trailers: [string, string][]): void {
    if (!this.isTaken) super.addTrailers(trailers)
  }

  override cork(): void {
    if (!this.isTaken) super.cork()
  }

  override uncork(): void {
    if (!this.isTaken) super.uncork()
  }

  override destroy(): unknown {
    return this.isTaken ? this : super.destroy()
  }
}
