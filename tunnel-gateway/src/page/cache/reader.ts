/** One person who waits for an answer that others may wait for too. */
import type { LiveEntry } from '#src/user/live.ts'
import type { Principal } from '#src/user/principal.ts'
import { sendFailure } from '#src/user/problem.ts'
import type { ProxyRequest } from '#src/user/proxy.ts'
import { headersOf } from '#src/user/outgoing.ts'
import { ageNow } from './core/freshness.ts'
import { select } from './core/conditions.ts'
import { withoutHeaders } from './core/directives.ts'
import type { KeptAnswer } from './kept-pages.ts'

/** What a 304 says anew (RFC 9110 section 15.4.5), besides the policy's own headers. */
const OF_A_BODY: ReadonlySet<string> = new Set(['content-type', 'content-encoding', 'content-language'])

export class Reader implements LiveEntry {
  readonly proxied: ProxyRequest
  readonly principal: Principal
  readonly controllerId: string
  readonly needs = 'GET'
  /** The head is out. */
  isBegun = false
  #isRevoked = false
  readonly #onBytes: (count: number) => void

  /** @param onBytes Bytes of body that go to the person. */
  constructor(proxied: ProxyRequest, onBytes: (count: number) => void) {
    this.proxied = proxied
    this.principal = proxied.principal
    this.controllerId = proxied.record.controllerId
    this.#onBytes = onBytes
  }

  /** Nothing more is said to it. */
  get isGone(): boolean {
    return this.#isRevoked || this.proxied.response.destroyed
  }

  begin(status: number, headers: readonly string[]): void {
    this.isBegun = true
    if (this.#isRevoked) return
    this.proxied.response.writeHead(status, [...headers, ...this.proxied.extraHeaders])
  }

  write(bytes: Uint8Array): boolean {
    if (this.#isRevoked) return true
    this.#onBytes(bytes.length)
    return this.proxied.response.write(bytes)
  }

  end(body?: Uint8Array | string, encoding?: BufferEncoding): void {
    if (this.#isRevoked) return
    if (body !== undefined)
      this.#onBytes(typeof body === 'string' ? Buffer.byteLength(body, encoding) : body.length)
    this.proxied.response.end(body, encoding)
  }

  /** The whole answer, a part of it, or that nothing changed. `how` is told in `Server-Timing`. */
  serve(answer: KeptAnswer, how: 'hit' | 'stale' | 'revalidated', now: number): void {
    const { request } = this.proxied
    const selected = select(request.method!, headersOf(this.proxied), {
      ...answer,
      length: answer.body.length,
    })
    const age = String(Math.floor(ageNow(answer, now) / 1_000))
    const headers = [...answer.headers, 'Age', age, 'Server-Timing', `wmoc-cache;desc=${how}`]
    const length = answer.body.length
    switch (selected.kind) {
      case 'not_modified':
        this.begin(304, withoutHeaders(headers, OF_A_BODY))
        return this.end()
      case 'unsatisfiable':
        this.begin(416, [...headers, 'Content-Range', `bytes */${length}`, 'Content-Length', '0'])
        return this.end()
      case 'part': {
        const { start, end } = selected
        const range = ['Content-Range', `bytes ${start}-${end}/${length}`]
        this.begin(206, [...headers, ...range, 'Content-Length', String(end - start + 1)])
        return this.end(answer.body.subarray(start, end + 1))
      }
      case 'whole':
        this.begin(answer.status, [...headers, 'Content-Length', String(length)])
        return request.method === 'HEAD' ? this.end() : this.end(answer.body)
    }
  }

  /** Its permission is gone; the answer that says so may have to wait for earlier ones of the connection. */
  revoke(): void {
    this.#isRevoked = true
    sendFailure(this.proxied.response, 'access_ended', false)
  }

  leave(): void {
    // What is shared has an end of its own.
  }
}
