/** Bodies of all sizes, octet for octet; ranges; repeats. */
import { createHash } from 'node:crypto'
import { expect, type Case, type Feature } from '#src/case.ts'
import { expectPattern, pattern } from '#src/pattern.ts'
import { header, type Transport } from '#src/transports/transport.ts'
import { page, whole } from './requests.ts'

const EXACT = 'protocol: every octet once, in order'

function downloadCase(length: number, needs: readonly Feature[] = ['page']): Case<Transport> {
  return {
    id: `download-${length}`,
    title: `a body of ${length} octets comes whole`,
    spec: EXACT,
    needs,
    async run(transport) {
      const reply = await whole(transport, { path: page(`bytes/${length}`) })
      expect('status', reply.status, 200)
      expectPattern('body', reply.bytes, length)
    },
  }
}

function uploadCase(length: number, needs: readonly Feature[] = ['page']): Case<Transport> {
  return {
    id: `upload-${length}`,
    title: `a body of ${length} octets arrives whole`,
    spec: EXACT,
    needs,
    async run(transport) {
      const body = pattern(length)
      const reply = await whole(transport, { method: 'POST', path: page('digest'), body })
      expect('status', reply.status, 200)
      const sha256 = createHash('sha256').update(body).digest('hex')
      expect('what arrived', JSON.parse(reply.bytes.toString()), { bytes: length, sha256 })
    },
  }
}

function rangeCase(id: string, range: string, from: number, length: number): Case<Transport> {
  return {
    id: `range-${id}`,
    title: `the range ${range} brings just these octets`,
    spec: 'RFC 9110 section 14',
    needs: ['page'],
    async run(transport) {
      const reply = await whole(transport, { path: page('bytes/5000'), headers: ['range', range] })
      expect('status', reply.status, 206)
      expect('content-range', header(reply, 'content-range'), `bytes ${from}-${from + length - 1}/5000`)
      expectPattern('body', reply.bytes, length, from)
    },
  }
}

export const BODY_CASES: readonly Case<Transport>[] = [
  ...[0, 1, 1_023, 1_024, 1_025, 65_535, 65_536, 1_000_000].map((length) => downloadCase(length)),
  downloadCase(5_000_000, ['page', 'stream']),
  ...[0, 1, 1_024, 4_097, 8_192].map((length) => uploadCase(length)),
  ...[65_536, 1_000_000, 3_000_000].map((length) => uploadCase(length, ['page', 'stream'])),
  {
    id: 'all-octets',
    title: 'all 256 octets survive both ways',
    spec: EXACT,
    needs: ['page'],
    async run(transport) {
      const body = Buffer.from(Array.from({ length: 512 }, (_, at) => at & 0xff))
      const reply = await whole(transport, { method: 'PUT', path: page('echo'), body })
      expect('body', reply.bytes.toString('hex'), body.toString('hex'))
    },
  },
  rangeCase('first', 'bytes=0-0', 0, 1),
  rangeCase('middle', 'bytes=1000-1999', 1_000, 1_000),
  rangeCase('open', 'bytes=4990-', 4_990, 10),
  rangeCase('suffix', 'bytes=-7', 4_993, 7),
  {
    id: 'range-beyond',
    title: 'a range beyond the end is 416',
    spec: 'RFC 9110 section 15.5.17',
    needs: ['page'],
    async run(transport) {
      const reply = await whole(transport, { path: page('bytes/5000'), headers: ['range', 'bytes=9000-'] })
      expect('status', reply.status, 416)
    },
  },
  {
    id: 'repeats',
    title: 'a hundred requests one after the other are answered alike',
    spec: EXACT,
    needs: ['page'],
    async run(transport) {
      for (let at = 0; at < 100; at += 1) {
        const reply = await whole(transport, { path: page(`bytes/${at}`) })
        expectPattern(`body ${at}`, reply.bytes, at)
      }
    },
  },
]
