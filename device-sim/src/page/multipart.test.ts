import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { parseMultipart } from './multipart.ts'

async function encode(form: FormData): Promise<{ contentType: string; body: Buffer }> {
  const request = new Request('http://device/', { method: 'POST', body: form })
  return {
    contentType: request.headers.get('content-type') ?? '',
    body: Buffer.from(await request.arrayBuffer()),
  }
}

suite('multipart/form-data', () => {
  test('gives back every field and file as they were put in', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array(), async (bytes) => {
        const form = new FormData()
        form.append('note', 'line one\r\nline two')
        form.append('file', new Blob([bytes], { type: 'image/png' }), 'a photo.png')
        const { contentType, body } = await encode(form)
        assert.deepEqual(parseMultipart(contentType, body), [
          {
            name: 'note',
            filename: null,
            contentType: 'application/octet-stream',
            bytes: Buffer.from('line one\r\nline two'),
          },
          { name: 'file', filename: 'a photo.png', contentType: 'image/png', bytes: Buffer.from(bytes) },
        ])
      }),
      { numRuns: 50 },
    )
  })

  test('is refused when it is something else or cut off', async () => {
    const form = new FormData()
    form.append('file', new Blob(['hello']), 'a.txt')
    const { contentType, body } = await encode(form)
    assert.equal(parseMultipart('text/plain', body), null)
    assert.equal(parseMultipart('multipart/form-data', body), null)
    assert.equal(parseMultipart('multipart/form-data; boundary=other', body), null)
    for (let length = 0; length < body.length - 4; length += 1) {
      assert.equal(parseMultipart(contentType, body.subarray(0, length)), null)
    }
  })
})
