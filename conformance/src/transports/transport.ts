/** The one interface through which a case asks a device, whatever lies between. */
import type { HeaderList } from '@wmoc/protocol/v2/mux'
import type { Feature } from '#src/case.ts'

export interface Ask {
  readonly method?: string
  readonly path: string
  /** Name, value, name, value …; a name may repeat. */
  readonly headers?: HeaderList
  readonly body?: Uint8Array
  readonly trailers?: HeaderList
  /** The user goes away. */
  readonly signal?: AbortSignal
}

export interface Reply {
  readonly status: number
  /** Names in lower case. */
  readonly headers: HeaderList
  /** In pieces as they come, no faster than they are taken; throws `Broken` when the transfer was cut. */
  readonly body: AsyncIterable<Uint8Array>
  /** Known when the body has ended. */
  trailers(): HeaderList | null
}

/** A transfer that broke, or a request that was never answered. */
export class Broken extends Error {}

export interface UserSocket {
  readonly protocol: string
  send(bytes: Uint8Array, isBinary: boolean): void
  close(code: number, reason: string): void
  /** The next message; null when it was closed instead. */
  next(): Promise<{ bytes: Buffer; isBinary: boolean } | null>
  readonly closed: Promise<{ code: number; reason: string }>
}

export interface Transport {
  /** For people: `v2 device`, `gateway, own origin` … */
  readonly name: string
  readonly can: ReadonlySet<Feature>
  /** Longest request body that the device takes. */
  readonly maxRequestBody: number
  ask(ask: Ask): Promise<Reply>
  /** Null: refused; the status says how. */
  socket(path: string, protocols?: readonly string[]): Promise<UserSocket | { readonly refused: number }>
}

/** All of a body. */
export async function collect(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  for await (const piece of body) pieces.push(piece)
  return Buffer.concat(pieces)
}

/** First value of a header; null: absent. */
export function header(reply: Reply, name: string): string | null {
  return headerValues(reply, name)[0] ?? null
}

export function headerValues({ headers }: Reply, name: string): string[] {
  return headers.filter((_, at) => at % 2 === 1 && headers[at - 1] === name)
}
