/** What an answer is written to: the user's connection, or something between it and the device that changes, keeps or shares it. */
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'

/**
 * The part of Node's `ServerResponse` that answers are written by; that class is one. Heads are flat lists, name after
 * value, with `Content-Length` only where the length is sure; the rest of the framing is whoever's who writes the bytes.
 */
export interface Answer {
  readonly req: IncomingMessage
  readonly socket: Socket | null
  readonly headersSent: boolean
  readonly destroyed: boolean
  readonly statusCode: number
  /** Bytes taken and not yet passed on. */
  readonly writableLength: number
  writeHead(status: number, headers: string[]): unknown
  /** The head goes out before there is a body. */
  flushHeaders(): void
  /** False: taken, but the writer should wait for `drain`. */
  write(bytes: Uint8Array): boolean
  end(body?: Uint8Array | string, encoding?: BufferEncoding): unknown
  addTrailers(trailers: [string, string][]): void
  writeContinue(): void
  cork(): void
  uncork(): void
  /** Cut: what was written must not pass for whole. */
  destroy(): unknown
  /** `close`: written to its end, or the user left. */
  once(event: 'close', listener: () => void): unknown
  on(event: 'drain', listener: () => void): unknown
}

/** An answer that passes everything on to another one: for those that change some of it. */
export class AnswerLayer implements Answer {
  protected readonly inner: Answer

  constructor(inner: Answer) {
    this.inner = inner
  }

  get req(): IncomingMessage {
    return this.inner.req
  }

  get socket(): Socket | null {
    return this.inner.socket
  }

  get headersSent(): boolean {
    return this.inner.headersSent
  }

  get destroyed(): boolean {
    return this.inner.destroyed
  }

  get statusCode(): number {
    return this.inner.statusCode
  }

  get writableLength(): number {
    return this.inner.writableLength
  }

  writeHead(status: number, headers: string[]): unknown {
    return this.inner.writeHead(status, headers)
  }

  flushHeaders(): void {
    this.inner.flushHeaders()
  }

  write(bytes: Uint8Array): boolean {
    return this.inner.write(bytes)
  }

  end(body?: Uint8Array | string, encoding?: BufferEncoding): unknown {
    return this.inner.end(body, encoding)
  }

  addTrailers(trailers: [string, string][]): void {
    this.inner.addTrailers(trailers)
  }

  writeContinue(): void {
    this.inner.writeContinue()
  }

  cork(): void {
    this.inner.cork()
  }

  uncork(): void {
    this.inner.uncork()
  }

  destroy(): unknown {
    return this.inner.destroy()
  }

  once(event: 'close', listener: () => void): unknown {
    return this.inner.once(event, listener)
  }

  on(event: 'drain', listener: () => void): unknown {
    return this.inner.on(event, listener)
  }
}
