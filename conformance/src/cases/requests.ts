/** Methods, statuses and heads. */
import { expect, expectThat, type Case } from '#src/case.ts'
import { collect, header, headerValues, type Ask, type Transport } from '#src/transports/transport.ts'

export const page = (path: string) => `/conformance/${path}`

/** Asks and takes the whole body. */
export async function whole(transport: Transport, ask: Ask) {
  const reply = await transport.ask(ask)
  return { ...reply, bytes: await collect(reply.body) }
}

const SPEC = {
  methods: 'RFC 9110 section 9',
  status: 'RFC 9110 section 15',
  target: 'protocol: `path` is raw, never normalised',
  fields: 'RFC 9110 section 5',
} as const

function methodCase(method: string): Case<Transport> {
  return {
    id: `method-${method.toLowerCase()}`,
    title: `${method} arrives as ${method}`,
    spec: SPEC.methods,
    needs: ['page'],
    async run(transport) {
      const hasBody = method !== 'GET' && method !== 'DELETE' && method !== 'OPTIONS'
      const body = hasBody ? { body: Buffer.from(method), headers: ['content-type', 'text/plain'] } : {}
      const reply = await whole(transport, { method, path: page('echo'), ...body })
      expect('status', reply.status, 200)
      expect('method', header(reply, 'x-method'), method)
      expect('body', reply.bytes.toString(), hasBody ? method : '')
    },
  }
}

function statusCase(status: number): Case<Transport> {
  const isBodiless = status === 204 || status === 304
  return {
    id: `status-${status}`,
    title: `a status of ${status} comes back${isBodiless ? ', without a body' : ''}`,
    spec: isBodiless ? 'RFC 9110 sections 15.3.5, 15.4.5' : SPEC.status,
    needs: ['page'],
    async run(transport) {
      const reply = await whole(transport, { path: page(`status/${status}`) })
      expect('status', reply.status, status)
      expect('body', reply.bytes.toString(), isBodiless ? '' : String(status))
      if (status < 301 || status > 308 || isBodiless) return
      const location = header(reply, 'location') ?? ''
      expectThat(
        'location',
        location.endsWith(`/conformance/echo?moved=${status}`),
        'the page’s own',
        location,
      )
    },
  }
}

function targetCase(id: string, what: string, rest: string): Case<Transport> {
  return {
    id: `target-${id}`,
    title: `${what} in the path arrives as it was sent`,
    spec: SPEC.target,
    needs: ['page'],
    async run(transport) {
      const reply = await whole(transport, { path: page(`echo${rest}`) })
      expect('target', header(reply, 'x-target'), page(`echo${rest}`))
    },
  }
}

export const REQUEST_CASES: readonly Case<Transport>[] = [
  {
    id: 'any-answer',
    title: 'any page answers GET / with a final status',
    spec: SPEC.status,
    needs: [],
    async run(transport) {
      const { status } = await whole(transport, { path: '/' })
      expectThat('status', status >= 200 && status <= 599, '200 to 599', status)
    },
  },
  ...['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'].map(methodCase),
  {
    id: 'method-head',
    title: 'HEAD brings the head of GET and no body',
    spec: 'RFC 9110 section 9.3.2',
    needs: ['page'],
    async run(transport) {
      const reply = await whole(transport, { method: 'HEAD', path: page('bytes/1000') })
      expect('status', reply.status, 200)
      expect('etag', header(reply, 'etag'), '"p1000"')
      expect('body', reply.bytes.length, 0)
    },
  },
  ...[201, 204, 301, 302, 303, 304, 307, 308, 404, 409, 418, 500, 503].map(statusCase),
  targetCase('query', 'a query', '?a=1&a=2&b=%20%2F&c'),
  targetCase('encoded', 'percent-encoding', '/%7Euser/%2e%2E/x%2Fy'),
  targetCase('empty', 'empty and dotted segments', '//a/./b'),
  {
    id: 'field-request',
    title: 'fields of the request that a device can use arrive',
    spec: SPEC.fields,
    needs: ['page'],
    async run(transport) {
      const headers = ['accept', 'text/plain;q=0.5', 'content-type', 'application/x-own; charset="ü"']
      const reply = await whole(transport, {
        method: 'POST',
        path: page('headers'),
        headers,
        body: Buffer.from('x'),
      })
      const came = JSON.parse(reply.bytes.toString()) as Record<string, string>
      expect('accept', came['accept'], headers[1])
      expect('content-type', came['content-type'], headers[3])
    },
  },
  {
    id: 'field-repeated',
    title: 'a field that repeats in the answer stays two',
    spec: 'RFC 6265 section 3',
    needs: ['page', 'cookies'],
    async run(transport) {
      const reply = await whole(transport, { path: page('cookies') })
      const names = headerValues(reply, 'set-cookie').map((cookie) => cookie.slice(0, 3))
      expect('cookies', names, ['a=1', 'b=2'])
    },
  },
  ...[
    [40, 20],
    [1, 3_000],
  ].map(([count = 0, size = 0]): Case<Transport> => ({
    id: `fields-${count}`,
    title: `an answer with ${count} fields of ${size} letters keeps them all`,
    spec: 'protocol: maxResponseHeaders, maxResponseHeaderBytes',
    needs: ['page'],
    async run(transport) {
      const { headers } = await whole(transport, { path: page(`fields/${count}?size=${size}`) })
      const kept = headers.filter(
        (name, at) => name.startsWith('x-field-') && headers[at + 1] === 'v'.repeat(size),
      )
      expect('fields', kept.length, count)
    },
  })),
  {
    id: 'conditional',
    title: 'a conditional request is answered 304',
    spec: 'RFC 9110 section 13',
    needs: ['page'],
    async run(transport) {
      const headers = ['if-none-match', '"p100"']
      const { status, bytes } = await whole(transport, { path: page('bytes/100'), headers })
      expect('status and body', [status, bytes.length], [304, 0])
    },
  },
  {
    id: 'unknown-path',
    title: 'a path that nobody serves is 404, and the connection lives on',
    spec: SPEC.status,
    needs: ['page'],
    async run(transport) {
      expect('status', (await whole(transport, { path: page('nothing-here') })).status, 404)
      expect('status after it', (await whole(transport, { path: page('') })).status, 200)
    },
  },
]
