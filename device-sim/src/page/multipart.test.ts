import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { createMultipartReader, type PartHead } from './multipart.ts'

async function encode(form: FormData): Promise<{ contentType: string; body: Buffer }> {
  const request = new Request('http://device/', { method: 'POST', body: form })
  return {
    contentType: request.headers.get('content-type') ?? '',
    body: Buffer.from(await request.arrayBuffer()),
  }
}

/** The parts, of a body that comes in pieces of that size; null when it is refused or not whole. */
function partsOf(
  contentType: string,
  body: Buffer,
  size = body.length,
): (PartHead & { bytes: Buffer })[] | null {
  const reader = createMultipartReader(contentType)
  if (!reader) return null
  const parts: (PartHead & { bytes: Buffer })[] = []
  for (let at = 0; at < body.length; at += size) {
    const events = reader.push(body.subarray(at, at + size))
    if (!events) return null
    for (const event of events) {
      const last = parts.at(-1)
      if (event.type === 'part') {
        const { name, filename, contentType: type } = event
        parts.push({ name, filename, contentType: type, bytes: Buffer.alloc(0) })
      } else if (last) last.bytes = Buffer.concat([last.bytes, event.bytes])
    }
  }
  return reader.isComplete ? parts : null
}

suite('multipart/form-data', () => {
  test('gives back every field and file as they were put in, however they are cut', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array(), fc.integer({ min: 1, max: 400 }), async (bytes, size) => {
        const form = new FormData()
        form.append('note', 'line one\r\nline two')
        form.append('file', new Blob([bytes], { type: 'image/png' }), 'a photo.png')
        const { contentType, body } = await encode(form)
        assert.deepEqual(partsOf(contentType, body, size), [
          {
            name: 'note',
            filename: null,
            contentType: 'application/octet-stream',
            bytes: Buffer.from('line one\r\nline two'),
          },
          { name: 'file', filename: 'a photo.png', contentType: 'image/png', bytes: Buffer.from(bytes) },
        ])
      }),
      { numRuns: 100 },
    )
  })

  test('keeps no more than a piece and a delimiter', async () => {
    const form = new FormData()
    form.append('file', new Blob([Buffer.alloc(1_000_000, '\r\n-')]), 'a.txt')
    const { contentType, body } = await encode(form)
    const reader = createMultipartReader(contentType)
    let held = 0
    let most = 0
    for (let at = 0; at < body.length; at += 1_000) {
      held += Math.min(1_000, body.length - at)
      for (const event of reader?.push(body.subarray(at, at + 1_000)) ?? [])
        if (event.type === 'data') held -= event.bytes.length
      most = Math.max(most, held)
    }
    assert.ok(most < 2_500, String(most))
  })

  test('refuses a head without end', async () => {
    const reader = createMultipartReader('multipart/form-data; boundary=x')
    const push = () => reader?.push(Buffer.from(`--x\r\n${'a'.repeat(10_000)}`))
    assert.equal(push(), null)
  })

  test('is refused when it is something else or cut off', async () => {
    const form = new FormData()
    form.append('file', new Blob(['hello']), 'a.txt')
    const { contentType, body } = await encode(form)
    assert.equal(partsOf('text/plain', body), null)
    assert.equal(partsOf('multipart/form-data', body), null)
    assert.equal(partsOf('multipart/form-data; boundary=other', body), null)
    for (let length = 0; length < body.length - 4; length += 1) {
      assert.equal(partsOf(contentType, body.subarray(0, length)), null)
    }
  })
})
