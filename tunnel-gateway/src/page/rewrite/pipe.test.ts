import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, request as httpRequest } from 'node:http'
import type { ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { brotliCompressSync, constants } from 'node:zlib'
import { until } from '@wmoc/testkit/until'
import { createByteBudget } from '#src/core/byte-budget.ts'
import { createPipe } from './pipe.ts'

const MIB = 2 ** 20

test('T9: what decoders hold for slow readers is bounded for all of them together, and given back', async (t) => {
  const responses: ServerResponse[] = []
  const server = createServer((_request, response) => void responses.push(response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo
  const windows = createByteBudget(6 * MIB)
  const packed = brotliCompressSync(randomBytes(2 * MIB).toString('hex'), {
    params: { [constants.BROTLI_PARAM_QUALITY]: 2 },
  })
  const failures: string[] = []
  const open = (answer: ServerResponse) => {
    const pipe = createPipe({
      coding: 'br',
      keepsCoding: false,
      rewriter: { write: (bytes) => bytes, end: () => Buffer.alloc(0) },
      // It takes all, so that the decoder gives out all that it has.
      answer: Object.assign(answer, { write: () => true }),
      windows,
      onDrain: () => undefined,
      onFailure: (reason) => failures.push(reason),
    })
    pipe.write(packed)
    return pipe
  }
  const clients = [1, 2].map(() => httpRequest({ host: '127.0.0.1', port }).on('error', () => undefined))
  for (const client of clients) client.end()
  await until(() => responses.length === 2)
  const first = open(responses[0]!)
  await until(() => windows.used === 4 * MIB)
  open(responses[1]!)
  await until(() => failures.length === 1)
  assert.deepEqual(failures, ['memory'])
  assert.equal(windows.used, 4 * MIB)
  first.end()
  await until(() => windows.used === 0)
  for (const client of clients) client.destroy()
})
