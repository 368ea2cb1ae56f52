/** An answer whose body is rewritten on its way to the person. */
import type { ByteBudget } from '#src/core/byte-budget.ts'
import { AnswerLayer } from '#src/user/answer.ts'
import type { Answer } from '#src/user/answer.ts'
import type { BodyRewriter } from './core/body.ts'
import type { Coding } from './core/head.ts'
import { createPipe } from './pipe.ts'
import type { Pipe, PipeFailure } from './pipe.ts'

export interface AnswerPlan {
  readonly headers: string[]
  /** Null: the body passes as it is. */
  readonly body: {
    readonly rewriter: BodyRewriter
    readonly coding: Coding
    readonly keepsCoding: boolean
  } | null
}

export type PlanAnswer = (status: number, headers: string[]) => AnswerPlan

export class RewriteAnswer extends AnswerLayer {
  readonly #plan: PlanAnswer
  readonly #windows: ByteBudget
  readonly #onFailure: (reason: PipeFailure) => void
  readonly #drained: (() => void)[] = []
  #rewriter: BodyRewriter | null = null
  #pipe: Pipe | null = null

  /** @param windows Of the decoders of all answers. */
  constructor(
    inner: Answer,
    plan: PlanAnswer,
    windows: ByteBudget,
    onFailure: (reason: PipeFailure) => void,
  ) {
    super(inner)
    this.#plan = plan
    this.#windows = windows
    this.#onFailure = onFailure
  }

  override get writableLength(): number {
    return super.writableLength + (this.#pipe?.bufferedBytes() ?? 0)
  }

  override writeHead(status: number, headers: string[]): unknown {
    const plan = this.#plan(status, headers)
    const { body } = plan
    if (body !== null && body.coding === 'identity') this.#rewriter = body.rewriter
    else if (body !== null)
      this.#pipe = this.#openPipe({ ...body, coding: body.coding as Exclude<Coding, 'identity'> })
    return super.writeHead(status, plan.headers)
  }

  override write(bytes: Uint8Array): boolean {
    if (this.#pipe !== null) return this.#pipe.write(bytes)
    if (this.#rewriter === null) return super.write(bytes)
    const changed = this.#rewriter.write(bytes)
    return changed.length === 0 || super.write(changed)
  }

  override end(body?: Uint8Array | string, encoding?: BufferEncoding): unknown {
    if (this.#pipe === null && this.#rewriter === null) return super.end(body, encoding)
    const bytes = typeof body === 'string' ? Buffer.from(body, encoding) : body
    if (this.#pipe !== null) {
      if (bytes !== undefined) this.#pipe.write(bytes)
      return this.#pipe.end()
    }
    const changed = bytes === undefined ? [] : [this.#rewriter!.write(bytes)]
    return super.end(Buffer.concat([...changed, this.#rewriter!.end()]))
  }

  /** They tell of the body as the device sent it, which is not the one that was sent on. */
  override addTrailers(trailers: [string, string][]): void {
    if (this.#pipe === null && this.#rewriter === null) super.addTrailers(trailers)
  }

  override on(event: 'drain', listener: () => void): unknown {
    if (this.#drained.length === 0) super.on(event, () => this.#innerDrained())
    this.#drained.push(listener)
    return this
  }

  override destroy(): unknown {
    this.#pipe?.destroy()
    return super.destroy()
  }

  #openPipe(body: Pick<Parameters<typeof createPipe>[0], 'coding' | 'keepsCoding' | 'rewriter'>): Pipe {
    const pipe = createPipe({
      ...body,
      answer: this.inner,
      windows: this.#windows,
      onDrain: () => this.#tellDrained(),
      onFailure: (reason) => this.#cut(reason),
    })
    this.inner.on('drain', () => pipe.resume())
    this.inner.once('close', () => pipe.destroy())
    return pipe
  }

  #innerDrained(): void {
    if (this.#pipe === null) this.#tellDrained()
  }

  #tellDrained(): void {
    for (const listener of this.#drained) listener()
  }

  /** HTTP/1.0 knows no chunks: there only a reset shows that something is missing. */
  #cut(reason: PipeFailure): void {
    if (this.req.httpVersion === '1.0') this.socket?.resetAndDestroy()
    else super.destroy()
    this.#onFailure(reason)
  }
}
