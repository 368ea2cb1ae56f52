/** br or gzip towards the browser, for what a device sends as it is: it has neither the time nor the memory for it. */
import { constants, createBrotliCompress, createGzip } from 'node:zlib'
import type { BrotliCompress, Gzip } from 'node:zlib'
import { isOwnPage } from '#src/page/layers.ts'
import type { PageLayer } from '#src/page/layers.ts'
import { AnswerLayer } from '#src/user/answer.ts'
import type { Answer } from '#src/user/answer.ts'
import { headersOf } from '#src/user/outgoing.ts'
import {
  codingFor,
  compressedHeaders,
  isCompressible,
  markTag,
  unmarkTags,
  withVary,
} from './core/compressible.ts'
import type { Coding } from './core/compressible.ts'
import { headerOf } from './core/directives.ts'

/** A page that comes slowly is shown as it comes: so long a piece waits for more to be compressed with. */
const FLUSH_MS = 25
const FLUSH_KIND = { br: constants.BROTLI_OPERATION_FLUSH, gzip: constants.Z_SYNC_FLUSH } as const
const BROTLI = {
  params: { [constants.BROTLI_PARAM_QUALITY]: 4, [constants.BROTLI_PARAM_LGWIN]: 18 },
}

export class CompressedAnswer extends AnswerLayer {
  readonly #coding: Coding
  /** The browser asked whether our compressed answer is still good. */
  readonly #isMarked: boolean
  #stream: BrotliCompress | Gzip | null = null
  #flushing: NodeJS.Timeout | null = null
  readonly #drained: (() => void)[] = []

  constructor(inner: Answer, coding: Coding, isMarked: boolean) {
    super(inner)
    this.#coding = coding
    this.#isMarked = isMarked
  }

  override writeHead(status: number, headers: string[]): unknown {
    if (isOwnPage(headers) || !isCompressible(status, headers)) {
      // Of an answer that would be compressed, the browser knows the marked tag only.
      const isOurs = status === 304 && this.#isMarked
      return super.writeHead(status, isOurs ? markTag(withVary(headers)) : headers)
    }
    const result = super.writeHead(status, compressedHeaders(headers, this.#coding))
    // Of a HEAD only the head is the same as it would be.
    if (this.inner.req.method !== 'HEAD') this.#stream = this.#open()
    return result
  }

  #open(): BrotliCompress | Gzip {
    const stream =
      this.#coding === 'br' ? createBrotliCompress(BROTLI) : createGzip({ level: 6, memLevel: 7 })
    stream.on('data', (bytes: Buffer) => {
      if (!this.inner.write(bytes)) stream.pause()
    })
    const drained = () => this.#drained.forEach((listener) => listener())
    this.inner.on('drain', () => {
      stream.resume()
      drained()
    })
    stream.on('drain', drained)
    stream.on('end', () => this.inner.end())
    stream.on('error', () => this.inner.destroy())
    this.inner.once('close', () => {
      this.#stopFlushing()
      stream.destroy()
    })
    return stream
  }

  override get writableLength(): number {
    const stream = this.#stream
    return this.inner.writableLength + (stream === null ? 0 : stream.writableLength + stream.readableLength)
  }

  override write(bytes: Uint8Array): boolean {
    const stream = this.#stream
    if (stream === null) return super.write(bytes)
    this.#flushing ??= setTimeout(() => {
      this.#flushing = null
      if (!stream.writableEnded && !stream.destroyed) stream.flush(FLUSH_KIND[this.#coding])
    }, FLUSH_MS)
    return stream.write(bytes)
  }

  override end(body?: Uint8Array | string, encoding?: BufferEncoding): unknown {
    if (this.#stream === null) return super.end(body, encoding)
    this.#stopFlushing()
    if (typeof body === 'string') return this.#stream.end(body, encoding ?? 'utf8')
    return body === undefined ? this.#stream.end() : this.#stream.end(body)
  }

  override on(event: 'drain', listener: () => void): unknown {
    this.#drained.push(listener)
    return this.#stream === null ? super.on(event, listener) : this
  }

  override addTrailers(trailers: [string, string][]): void {
    // They would have to be there before the last compressed byte; a checksum of other bytes is worth nothing anyway.
    if (this.#stream === null) super.addTrailers(trailers)
  }

  #stopFlushing(): void {
    if (this.#flushing !== null) clearTimeout(this.#flushing)
    this.#flushing = null
  }
}

/** The outermost layer: what it gets is what the browser would get. */
export function createCompressLayer(): PageLayer {
  return {
    handle(proxied, next) {
      const { headers, isMarked } = unmarkTags(headersOf(proxied))
      const requestHeaders = isMarked ? { requestHeaders: headers } : {}
      const coding = codingFor(headerOf(headers, 'accept-encoding') ?? '')
      // HTTP/1.0 knows no chunks: without a length a cut answer would pass for whole.
      if (coding === null || proxied.request.httpVersion === '1.0')
        return next({ ...proxied, ...requestHeaders })
      const response = new CompressedAnswer(proxied.response, coding, isMarked)
      return next({ ...proxied, ...requestHeaders, response })
    },
  }
}
