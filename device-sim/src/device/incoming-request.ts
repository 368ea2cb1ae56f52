/** A request as a handler sees it. Its AbortSignal is made when somebody asks for it: most answers are too quick to. */
import type { HeaderBlock } from '@wmoc/protocol/messages'
import type { DeviceRequest } from './handler.ts'
import type { RequestBody } from './request-body.ts'

export class IncomingRequest implements DeviceRequest {
  readonly method: string
  readonly path: string
  readonly headers: HeaderBlock
  readonly body: RequestBody
  readonly isLive: boolean
  #isAborted = false
  #controller: AbortController | null = null

  constructor(fields: Omit<DeviceRequest, 'signal'>) {
    this.method = fields.method
    this.path = fields.path
    this.headers = fields.headers
    this.body = fields.body
    this.isLive = fields.isLive
  }

  get isAborted(): boolean {
    return this.#isAborted
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.#isAborted) this.#controller.abort()
    return this.#controller.signal
  }

  /** The user went away, or the tunnel. */
  abort(): void {
    if (this.#isAborted) return
    this.#isAborted = true
    this.body.fail(new Error('the user went away'))
    this.#controller?.abort()
  }
}
