import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { readResponse } from './http-response.ts'

const SIZED = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'
const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n'

suite('the response reader of the load generator', () => {
  for (const [name, text] of [
    ['sized', SIZED],
    ['chunked', CHUNKED],
  ] as const) {
    test(`takes a ${name} response only when it is whole, and leaves what follows`, () => {
      const bytes = Buffer.from(text)
      for (let end = 0; end < bytes.length; end++) assert.equal(readResponse(bytes.subarray(0, end)), null)
      const read = readResponse(Buffer.concat([bytes, Buffer.from('HTTP/1.1 500')]))
      assert.deepEqual(read, { status: 200, bodyBytes: 5, length: bytes.length })
    })
  }

  test('refuses what it cannot measure', () => {
    assert.throws(() => readResponse(Buffer.from('SSH-2.0-x\r\n\r\n')), /not an HTTP response/)
    assert.throws(() => readResponse(Buffer.from('HTTP/1.1 200 OK\r\n\r\n')), /without a length/)
  })
})
