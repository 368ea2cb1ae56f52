/** HTTP with every header as the test says, which `fetch` does not allow: Host, Cookie, Sec-Fetch-*. */
import { request } from 'node:http'
import type { IncomingHttpHeaders } from 'node:http'

export interface Ask {
  readonly path: string
  readonly method?: string
  /** Default: the portal's. */
  readonly host?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

/** An answer that has no end is a failure as well: a stream where none was expected. */
const TIMEOUT_MS = 60_000

/** One request to the public port on a connection of its own; redirects are not followed. */
export function ask(port: number, { path, method = 'GET', host, headers, body }: Ask): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = request({
      host: '127.0.0.1',
      port,
      path,
      method,
      agent: false,
      signal: AbortSignal.timeout(TIMEOUT_MS),
      headers: { host: host ?? `localhost:${port}`, ...headers },
    })
    call.once('error', reject)
    call.once('response', (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => (text += chunk))
      response.once('error', reject)
      response.once('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
      )
    })
    call.end(body)
  })
}

/** What a browser adds when a person opens an address. */
export const NAVIGATE = {
  accept: 'text/html',
  'sec-fetch-mode': 'navigate',
  'sec-fetch-dest': 'document',
  'sec-fetch-site': 'none',
} as const

/** What it adds when a script of the same origin fetches something. */
export const FETCH = {
  'sec-fetch-mode': 'cors',
  'sec-fetch-dest': 'empty',
  'sec-fetch-site': 'same-origin',
} as const
