/** Order, liveness, cancellation, turns: what streams promise beyond their octets. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, expectThat, Mismatch, within, type Case } from '#src/case.ts'
import { expectPattern } from '#src/pattern.ts'
import { Broken, collect, header, type Transport } from '#src/transports/transport.ts'
import { page, whole } from './requests.ts'

const LIVE = 'protocol: pieces go on as they come'
const PATIENCE_MS = 20_000

/** The first pieces, until there are `enough` octets. */
async function some(body: AsyncIterable<Uint8Array>, enough: number): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  let length = 0
  for await (const piece of body) {
    pieces.push(piece)
    length += piece.length
    if (length >= enough) break
  }
  return Buffer.concat(pieces)
}

/** Waits until the page has seen the user of `key` leave. */
async function seenLeaving(transport: Transport, key: string): Promise<void> {
  const end = Date.now() + PATIENCE_MS
  while (Date.now() < end) {
    const { bytes } = await whole(transport, { path: page(`aborted?of=${key}`) })
    if ((JSON.parse(bytes.toString()) as { aborted: boolean }).aborted) return
    await sleep(50)
  }
  throw new Mismatch('the device', 'stops when the user leaves', 'went on')
}

async function left(transport: Transport, path: string): Promise<void> {
  const key = `k${Math.random().toString(36).slice(2)}`
  const leaving = new AbortController()
  const asked = transport.ask({
    path: page(`${path}${path.includes('?') ? '&' : '?'}key=${key}`),
    signal: leaving.signal,
  })
  const reply = await within('the head', PATIENCE_MS, asked)
  await within('the first octets', PATIENCE_MS, some(reply.body, 1))
  leaving.abort()
  await seenLeaving(transport, key)
}

async function broken(what: string, transfer: Promise<unknown>): Promise<void> {
  try {
    await within(what, PATIENCE_MS, transfer)
  } catch (error) {
    if (error instanceof Broken) return
    throw error
  }
  throw new Mismatch(what, 'a broken transfer', 'one that ended as if whole')
}

export const STREAM_CASES: readonly Case<Transport>[] = [
  {
    id: 'pieces-live',
    title: 'the first piece comes before the last is made',
    spec: LIVE,
    needs: ['page', 'stream'],
    async run(transport) {
      const reply = await transport.ask({ path: page('chunks/100000?size=100&every=20') })
      expectPattern(
        'first piece',
        (await within('a piece', PATIENCE_MS, some(reply.body, 100))).subarray(0, 100),
        100,
      )
    },
  },
  {
    id: 'pieces-order',
    title: 'a thousand small pieces come in order',
    spec: LIVE,
    needs: ['page'],
    async run(transport) {
      expectPattern('body', (await whole(transport, { path: page('chunks/1000?size=37') })).bytes, 37_000)
    },
  },
  {
    id: 'sse',
    title: 'server-sent events come one by one and keep their type',
    spec: 'HTML: server-sent events; protocol: unbuffered',
    needs: ['page', 'stream'],
    async run(transport) {
      const reply = await transport.ask({
        path: page('events/0?every=20'),
        headers: ['accept', 'text/event-stream'],
      })
      expectThat(
        'content-type',
        header(reply, 'content-type')?.startsWith('text/event-stream') === true,
        'text/event-stream',
        header(reply, 'content-type'),
      )
      const text = (await within('three events', PATIENCE_MS, some(reply.body, 42))).toString()
      expectThat('events', text.startsWith('id: 0\ndata: 0\n\nid: 1\ndata: 1\n\n'), '0, 1 …', text)
    },
  },
  {
    id: 'sse-end',
    title: 'an event stream that ends, ends',
    spec: LIVE,
    needs: ['page'],
    async run(transport) {
      const { bytes } = await whole(transport, { path: page('events/3?every=10') })
      expect('events', bytes.toString(), 'id: 0\ndata: 0\n\nid: 1\ndata: 1\n\nid: 2\ndata: 2\n\n')
    },
  },
  {
    id: 'cancel-body',
    title: 'a download stops at the device when the user leaves',
    spec: 'protocol: RST, http_cancel',
    needs: ['page', 'stream'],
    run: (transport) => left(transport, 'chunks/100000?size=1000&every=5'),
  },
  {
    id: 'cancel-events',
    title: 'an event stream stops at the device when the user leaves',
    spec: 'protocol: RST, http_cancel',
    needs: ['page', 'stream'],
    run: (transport) => left(transport, 'events/0?every=10'),
  },
  {
    id: 'cancel-many',
    title: 'places of users who left are free again',
    spec: 'protocol: a stream is over when both ends said so',
    needs: ['page', 'stream'],
    async run(transport) {
      for (let at = 0; at < 20; at += 1) await left(transport, 'events/0?every=10')
      expect('status', (await whole(transport, { path: page('') })).status, 200)
    },
  },
  {
    id: 'cut',
    title: 'an answer that breaks off is broken for the user too, never shorter',
    spec: 'protocol: an interrupted transfer is an error at the other end',
    needs: ['page'],
    run: (transport) =>
      broken(
        'the body',
        transport.ask({ path: page('cut/100000') }).then((reply) => collect(reply.body)),
      ),
  },
  {
    id: 'parallel',
    title: 'sixty requests at once each get their own answer',
    spec: 'protocol: max_streams; the rest waits',
    needs: ['page'],
    async run(transport) {
      const sizes = Array.from({ length: 60 }, (_, at) => at * 97)
      const replies = await Promise.all(
        sizes.map((size) => whole(transport, { path: page(`bytes/${size}`) })),
      )
      for (const [at, { bytes }] of replies.entries()) expectPattern(`body ${at}`, bytes, sizes[at]!)
    },
  },
  {
    id: 'fair',
    title: 'a small answer does not wait for a huge one',
    spec: 'protocol: fair between streams',
    needs: ['page', 'stream'],
    async run(transport) {
      const huge = await transport.ask({ path: page('bytes/6000000') })
      const reading = collect(huge.body)
      let isDone = false
      void reading.then(() => (isDone = true))
      await whole(transport, { path: page('bytes/10') })
      expect('the huge one is still coming', isDone, false)
      expectPattern('the huge one', await reading, 6_000_000)
    },
  },
  {
    id: 'slow-reader',
    title: 'a reader that stops holds up nobody else and loses nothing',
    spec: 'protocol: credit',
    needs: ['page', 'backpressure'],
    async run(transport) {
      const slow = await transport.ask({ path: page('bytes/4000000') })
      await sleep(300)
      for (let at = 0; at < 5; at += 1)
        expectPattern('beside it', (await whole(transport, { path: page('bytes/100') })).bytes, 100)
      expectPattern('the slow one', await collect(slow.body), 4_000_000)
    },
  },
  {
    id: 'slow-device',
    title: 'a slow answer holds up no other',
    spec: 'protocol: streams are independent',
    needs: ['page', 'stream'],
    async run(transport) {
      const slow = whole(transport, { path: page('slow?ms=1500') })
      let isDone = false
      void slow.then(() => (isDone = true))
      await whole(transport, { path: page('') })
      expect('the slow one is still out', isDone, false)
      expect('the slow one', (await slow).bytes.toString(), 'slow')
    },
  },
  {
    id: 'trailers-answer',
    title: 'trailers of the answer come after its body',
    spec: 'protocol: END; RFC 9110 section 6.5',
    needs: ['page', 'trailers'],
    async run(transport) {
      const reply = await whole(transport, { path: page('trailers'), headers: ['te', 'trailers'] })
      expect('trailers', reply.trailers(), ['x-checksum', 'c0ffee'])
    },
  },
  {
    id: 'trailers-request',
    title: 'trailers of the request arrive after its body',
    spec: 'protocol: END; RFC 9110 section 6.5',
    needs: ['page', 'trailers'],
    async run(transport) {
      const reply = await whole(transport, {
        method: 'POST',
        path: page('trailers'),
        body: Buffer.from('abc'),
        trailers: ['x-sum', '6'],
      })
      expect('what arrived', JSON.parse(reply.bytes.toString()), { bytes: 3, trailers: { 'x-sum': '6' } })
    },
  },
  {
    id: 'early-answer',
    title: 'an answer before the body has come ends the exchange',
    spec: 'RFC 9110 section 9.3.3, RFC 9112 section 9.3',
    needs: ['page', 'stream'],
    async run(transport) {
      const reply = await within(
        'the answer',
        PATIENCE_MS,
        transport.ask({ method: 'POST', path: page('early'), body: Buffer.alloc(30_000) }),
      )
      expect('status', reply.status, 403)
      await collect(reply.body)
      expect('status after it', (await whole(transport, { path: page('') })).status, 200)
    },
  },
]
