/** Asks by JSON messages: the kit stands where the gateway stands (dialect v1). */
import type { HeaderBlock, HttpResponse, HttpResponseChunk, ServerMessage } from '@wmoc/protocol/messages'
import { Incoming, Slots } from './incoming.ts'
import { Broken, type Ask, type Reply, type Transport } from './transport.ts'

interface Waiting {
  readonly replied: PromiseWithResolvers<Reply>
  readonly incoming: Incoming
}

export interface V1Transport extends Transport {
  /** An answer, or a piece of one, that the device sent. */
  answered(message: HttpResponse | HttpResponseChunk): void
  /** The device is gone. */
  lost(): void
}

export function v1Transport(
  send: (message: ServerMessage) => void,
  { maxStreams, maxRequestBody }: { maxStreams: number; maxRequestBody: number },
): V1Transport {
  const slots = new Slots(maxStreams)
  const waiting = new Map<string, Waiting>()
  let lastId = 0

  async function ask({ method = 'GET', path, headers = [], body, signal }: Ask): Promise<Reply> {
    await slots.take()
    if (signal?.aborted) {
      slots.give()
      throw new Broken('left')
    }
    const id = `r${(lastId += 1)}`
    const entry: Waiting = {
      replied: Promise.withResolvers<Reply>(),
      incoming: new Incoming(() => undefined),
    }
    waiting.set(id, entry)
    const length = body === undefined ? [] : ['content-length', String(body.length)]
    send({
      type: 'http_request',
      id,
      method,
      path,
      headers: blockOf([...headers, ...length]),
      body: Buffer.from(body ?? '').toString('base64'),
      bodyEncoding: 'base64',
    })
    signal?.addEventListener('abort', () => {
      if (!waiting.has(id)) return
      send({ type: 'http_cancel', id })
      entry.replied.reject(new Broken('left'))
      entry.incoming.fail(new Broken('left'))
    })
    return entry.replied.promise
  }

  function finish(id: string, error: Error | null): void {
    const entry = waiting.get(id)
    if (!entry) return
    waiting.delete(id)
    slots.give()
    if (error) {
      entry.replied.reject(error)
      entry.incoming.fail(error)
    } else entry.incoming.end(null)
  }

  return {
    name: 'v1 device',
    can: new Set(['v1']),
    maxRequestBody,
    ask,
    socket: () => Promise.resolve({ refused: 501 }),
    answered(message) {
      const entry = waiting.get(message.id)
      if (!entry) return
      const { incoming } = entry
      if (message.type === 'http_response')
        entry.replied.resolve({
          status: Number(message.status),
          headers: listOf(message.headers),
          body: incoming,
          trailers: () => null,
        })
      if (message.body) incoming.push(Buffer.from(message.body, message.bodyEncoding ?? 'utf8'))
      if (message.type === 'http_response_chunk' && message.error !== undefined)
        finish(message.id, new Broken(`the device says ${message.error}`))
      else if (message.more !== true) finish(message.id, null)
    },
    lost() {
      for (const id of waiting.keys()) finish(id, new Broken('the connection was lost'))
    },
  }
}

function blockOf(list: readonly string[]): HeaderBlock {
  const block: HeaderBlock = {}
  for (let at = 0; at + 1 < list.length; at += 2) {
    const [name = '', value = ''] = list.slice(at, at + 2)
    const earlier = block[name]
    block[name] = earlier === undefined ? value : [earlier, value].flat()
  }
  return block
}

function listOf(headers: unknown): string[] {
  if (typeof headers !== 'object' || headers === null) return []
  return Object.entries(headers).flatMap(([name, value]: [string, unknown]) =>
    (Array.isArray(value) ? value : [value]).flatMap((one) => [name.toLowerCase(), String(one)]),
  )
}
