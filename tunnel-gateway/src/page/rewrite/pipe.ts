/**
 * A compressed body through the rewriter: decoded, changed, encoded again. Nothing is taken faster than the person reads, and
 * nothing grows beyond what an honest page may hold.
 */
import type { ByteBudget } from '#src/core/byte-budget.ts'
import type { Answer } from '#src/user/answer.ts'
import { createDecoder, createEncoder, flush, WINDOW_BYTES } from './codings.ts'
import type { Decoder, Encoder } from './codings.ts'
import type { BodyRewriter } from './core/body.ts'
import type { Coding } from './core/head.ts'

export interface PipeOptions {
  readonly coding: Exclude<Coding, 'identity'>
  /** False: the browser can't read it, and gets the body as it is. */
  readonly keepsCoding: boolean
  readonly rewriter: BodyRewriter
  readonly answer: Answer
  /** Of the windows of all decoders. */
  readonly windows: ByteBudget
  /** The pipe takes more after `write` answered false. */
  onDrain(): void
  /** The body is none of its coding, a bomb, or more than there is memory for; what was sent is no whole. */
  onFailure(reason: PipeFailure): void
}

export type PipeFailure = 'coding' | 'bomb' | 'memory'

export interface Pipe {
  /** False: the bytes are kept, but the writer should wait. */
  write(bytes: Uint8Array): boolean
  end(): void
  /** The person's connection takes more. */
  resume(): void
  destroy(): void
  bufferedBytes(): number
}

/** Text of pages is seldom made a twentieth of; what is small may be anything. */
const MAX_RATIO = 200
const MAX_RATIO_FROM_BYTES = 1_048_576
const MAX_DECODED_BYTES = 268_435_456
/** Of silence, after which the person gets what there is. */
const FLUSH_AFTER_MS = 25

export function createPipe(options: PipeOptions): Pipe {
  const { coding, rewriter, answer, windows } = options
  const encoder: Encoder | null = options.keepsCoding ? createEncoder(coding) : null
  let decoder: Decoder | null = null
  let decoded = 0
  /** Of `windows`. */
  let held = 0
  let isOver = false
  let flushTimer: NodeJS.Timeout | undefined

  function fail(reason: PipeFailure): void {
    if (isOver) return
    destroy()
    options.onFailure(reason)
  }

  /** False: there is no room for what the decoder holds by now. */
  function hold(): boolean {
    const more = Math.min(decoded, WINDOW_BYTES[coding]) - held
    if (more <= 0) return true
    if (!windows.take(more)) return false
    held += more
    return true
  }

  function letGo(): void {
    isOver = true
    windows.give(held)
    held = 0
  }

  function destroy(): void {
    letGo()
    clearTimeout(flushTimer)
    decoder?.destroy()
    encoder?.destroy()
  }

  function begin(firstByte: number): Decoder {
    const created = createDecoder(coding, firstByte)
    created.on('data', (bytes: Buffer) => {
      decoded += bytes.length
      const isBomb =
        decoded > MAX_DECODED_BYTES ||
        (decoded > MAX_RATIO_FROM_BYTES && decoded > created.bytesWritten * MAX_RATIO)
      if (isBomb) fail('bomb')
      else if (!isOver && !hold()) fail('memory')
      else pass(rewriter.write(bytes))
    })
    created.on('end', () => {
      pass(rewriter.end())
      clearTimeout(flushTimer)
      if (isOver) return
      if (encoder !== null) encoder.end()
      else finish()
    })
    created.on('drain', () => options.onDrain())
    created.on('error', () => fail('coding'))
    return created
  }

  function pass(bytes: Uint8Array): void {
    if (isOver || bytes.length === 0) return
    if (encoder === null) return toPerson(bytes)
    if (!encoder.write(bytes)) decoder!.pause()
    flushTimer ??= setTimeout(() => flush(encoder, coding), FLUSH_AFTER_MS)
    flushTimer.refresh()
  }

  function toPerson(bytes: Uint8Array): void {
    if (!isOver && !answer.write(bytes)) (encoder ?? decoder!).pause()
  }

  function finish(): void {
    if (isOver) return
    letGo()
    answer.end()
  }

  encoder?.on('data', toPerson)
  encoder?.on('drain', () => decoder?.resume())
  encoder?.on('end', finish)
  encoder?.on('error', () => fail('coding'))

  return {
    write(bytes) {
      if (isOver || bytes.length === 0) return true
      decoder ??= begin(bytes[0]!)
      return decoder.write(bytes)
    },
    end() {
      if (isOver) return
      // An empty body is a whole one in no coding, but devices send it.
      if (decoder === null) return finish()
      decoder.end()
    },
    resume: () => (encoder ?? decoder)?.resume(),
    destroy,
    bufferedBytes: () => waitingIn(decoder) + waitingIn(encoder),
  }
}

function waitingIn(stream: Decoder | Encoder | null): number {
  return stream === null ? 0 : stream.writableLength + stream.readableLength
}
