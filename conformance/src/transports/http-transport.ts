/** Asks a gateway over HTTP, as a person or a script does. */
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http'
import { WebSocket } from 'ws'
import type { Feature } from '#src/case.ts'
import { MessageQueue } from './mux-transport.ts'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  Broken,
  collect,
  header,
  type Ask,
  type Reply,
  type Transport,
  type UserSocket,
} from './transport.ts'

export interface HttpTransportOptions {
  readonly name: string
  readonly host: string
  readonly port: number
  /** Before each path. */
  readonly prefix: string
  /** With each request: who asks, and of which host. */
  readonly headers: Readonly<Record<string, string>>
  readonly can: readonly Feature[]
  readonly maxRequestBody: number
}

export function httpTransport(options: HttpTransportOptions): Transport & { stop(): void } {
  const { name, host, port, prefix, can, maxRequestBody } = options
  const agent = new Agent({ keepAlive: true, maxSockets: 64 })

  /** Waits as long as the gateway says when it was asked too often. */
  async function ask(given: Ask): Promise<Reply> {
    for (;;) {
      const reply = await askOnce(given)
      const afterSec = Number(header(reply, 'retry-after'))
      if (reply.status !== 429 || !(afterSec > 0 && afterSec <= 120)) return reply
      await collect(reply.body)
      await sleep(afterSec * 1_000)
    }
  }

  function askOnce({ method = 'GET', path, headers = [], body, trailers, signal }: Ask): Promise<Reply> {
    const { promise, resolve, reject } = Promise.withResolvers<Reply>()
    const own = Object.entries({ host: `${host}:${port}`, ...options.headers }).flat()
    const length = body && !trailers ? ['content-length', String(body.length)] : []
    const chunked = trailers ? ['transfer-encoding', 'chunked', 'trailer', trailers[0]!] : []
    const all = [...own, ...headers, ...length, ...chunked]
    const request = httpRequest({ agent, host, port, method, path: prefix + path, headers: all, signal })
    request.on('response', (response) => resolve(replyOf(response)))
    request.on('error', (error) => reject(new Broken(error.message)))
    if (trailers) {
      request.write(body ?? '')
      request.addTrailers(pairs(trailers))
      request.end()
    } else request.end(body)
    return promise
  }

  function socket(
    path: string,
    protocols: readonly string[] = [],
  ): Promise<UserSocket | { refused: number }> {
    const { promise, resolve, reject } = Promise.withResolvers<UserSocket | { refused: number }>()
    const { host: hostHeader, ...rest } = options.headers
    const url = `ws://${host}:${port}${prefix}${path}`
    const client = new WebSocket(url, [...protocols], {
      perMessageDeflate: false,
      headers: { ...rest, ...(hostHeader ? { host: hostHeader, origin: `http://${hostHeader}` } : {}) },
    })
    const messages = new MessageQueue()
    const closed = new Promise<{ code: number; reason: string }>((tell) => {
      client.on('close', (code, reason) => {
        messages.end()
        tell({ code, reason: reason.toString() })
      })
    })
    client.on('message', (bytes: Buffer, isBinary) => messages.push({ bytes, isBinary }))
    client.on('unexpected-response', (request, response) => {
      resolve({ refused: response.statusCode ?? 0 })
      request.destroy()
    })
    client.on('error', (error) => reject(new Broken(error.message)))
    client.on('open', () =>
      resolve({
        protocol: client.protocol,
        send: (bytes, isBinary) => client.send(bytes, { binary: isBinary }),
        close: (code, reason) => client.close(code, reason),
        next: () => messages.next(),
        closed,
      }),
    )
    return promise
  }

  return { name, can: new Set(can), maxRequestBody, ask, socket, stop: () => agent.destroy() }
}

function replyOf(response: IncomingMessage): Reply {
  const headers = response.rawHeaders.map((text, at) => (at % 2 === 0 ? text.toLowerCase() : text))
  async function* body(): AsyncGenerator<Uint8Array> {
    try {
      for await (const piece of response as AsyncIterable<Buffer>) yield piece
    } catch (error) {
      throw new Broken(error instanceof Error ? error.message : 'cut')
    }
    if (!response.complete) throw new Broken('cut')
  }
  return {
    status: response.statusCode ?? 0,
    headers,
    body: body(),
    trailers: () =>
      response.rawTrailers.length > 0
        ? response.rawTrailers.map((text, at) => (at % 2 === 0 ? text.toLowerCase() : text))
        : null,
  }
}

function pairs(list: readonly string[]): [string, string][] {
  return list.flatMap((name, at) => (at % 2 === 0 ? [[name, list[at + 1] ?? ''] as [string, string]] : []))
}
