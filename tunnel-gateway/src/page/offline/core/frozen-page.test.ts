import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { choose, isWorthKeeping, withStamp } from './frozen-page.ts'
import type { Copy } from './frozen-page.ts'

suite('copies of pages', () => {
  test('are of pages that were opened and of what shows them, never of scripts and data', () => {
    const kept = (type: string, isNavigation: boolean) => isWorthKeeping(type, isNavigation)
    assert.deepEqual(
      ['text/html', 'Text/HTML; charset=windows-1251', 'application/xhtml+xml'].map((type) =>
        kept(type, true),
      ),
      [true, true, true],
    )
    assert.deepEqual(
      ['text/css', 'image/svg+xml', 'image/png', 'font/woff2', 'application/font-woff'].map((type) =>
        kept(type, false),
      ),
      [true, true, true, true, true],
    )
    for (const type of [
      'text/javascript',
      'application/json',
      'text/plain',
      'video/mp4',
      'text/event-stream',
      'multipart/x-mixed-replace; boundary=x',
      '',
    ])
      assert.equal(kept(type, false) || kept(type, true), false, type)
    assert.equal(kept('text/html', false), false)
    assert.equal(kept('text/html; charset=utf-16le', true), false)
  })

  test('never take more than their room, and pages go before parts, and lasting parts before passing ones', () => {
    const copy = fc.record({
      key: fc.oneof(fc.constantFrom('frame  /a', 'frame  /b?t=1'), fc.string()),
      type: fc.constant('image/png'),
      at: fc.nat(),
      isDocument: fc.boolean(),
      size: fc.integer({ min: 1, max: 50 }),
    })
    fc.assert(
      fc.property(fc.array(copy, { maxLength: 120 }), fc.integer({ min: 0, max: 2_000 }), (copies, room) => {
        const chosen = choose(copies, room)
        assert.ok(chosen.reduce((sum, { size }) => sum + size, 0) <= room)
        assert.ok(chosen.length <= 64 && chosen.filter(({ isDocument }) => isDocument).length <= 16)
        assert.ok(chosen.every((one) => copies.includes(one)))
      }),
    )
    const of = (key: string, at: number, isDocument = false): Copy => ({
      key,
      type: '',
      at,
      isDocument,
      size: 10,
    })
    const order = choose([of('/snap?1', 9), of('/a.css', 1), of('/old', 2, true), of('/new', 3, true)], 30)
    assert.deepEqual(
      order.map(({ key }) => key),
      ['/new', '/old', '/a.css'],
    )
  })

  test('are stamped before the end of the body, byte for byte the same otherwise', () => {
    const stamp = '<p>По состоянию</p>'
    const escaped = '&#1055;&#1086;'
    const page = Buffer.from('<html><body>\xcf\xf0\xe8\xe2\xe5\xf2</BODY></html>', 'latin1')
    const text = Buffer.from(withStamp(page, stamp)).toString('latin1')
    assert.ok(text.startsWith('<html><body>\xcf\xf0\xe8\xe2\xe5\xf2<p>' + escaped))
    assert.ok(text.endsWith('</p></BODY></html>'))
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const stamped = Buffer.from(withStamp(bytes, '<i>x</i>')).toString('latin1')
        assert.equal(stamped.replace('<i>x</i>', ''), Buffer.from(bytes).toString('latin1'))
      }),
    )
  })
})
