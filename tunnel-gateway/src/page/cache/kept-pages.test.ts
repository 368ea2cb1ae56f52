import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { createKeptPages } from './kept-pages.ts'
import type { KeptAnswer, Place } from './kept-pages.ts'

function answerOf(bytes: number, lang = 'en', epoch = 1): KeptAnswer {
  return {
    storedAt: 0,
    ageMs: 0,
    freshMs: 1_000,
    staleWhileAskingMs: 0,
    staleIfErrorMs: 0,
    isImmutable: false,
    epoch,
    status: 200,
    headers: [],
    body: Buffer.alloc(bytes),
    cacheControl: '',
    isForAll: false,
    vary: [{ name: 'accept-language', value: lang }],
    etag: null,
    lastModified: null,
    firmwareVersion: null,
  }
}

const placeOf = (controllerId: string, address: string, holder = 'u'): Place => ({
  controllerId,
  holder,
  address,
})

suite('kept pages', () => {
  test('keeps to its bounds in all, of one controller and of one address, whatever comes', () => {
    const step = fc.record({
      controller: fc.constantFrom('a', 'b', 'c'),
      address: fc.constantFrom('/1', '/2', '/3', '/4'),
      lang: fc.constantFrom('en', 'ru', 'de', 'fr', 'it', 'es'),
      bytes: fc.nat(6_000),
      what: fc.constantFrom('put', 'put', 'put', 'use', 'forget', 'forgetAddress', 'forgetBefore'),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const kept = createKeptPages({ bytes: 12_000, bytesPerController: 6_000 })
        for (const [epoch, { controller, address, lang, bytes, what }] of steps.entries()) {
          const place = placeOf(controller, address)
          const [present] = kept.find(place)
          if (what === 'put') kept.put(place, answerOf(bytes, lang, epoch))
          else if (what === 'forget') kept.forgetHolder('u', null)
          else if (what === 'forgetAddress') kept.forgetAddress(controller, address)
          else if (what === 'forgetBefore') kept.forgetBefore(controller, epoch)
          else if (present !== undefined) kept.use(place, present)
          assert.deepEqual(kept.invariants(), [])
          assert.ok(kept.find(place).length <= 4)
        }
        kept.forgetHolder(null, null)
        assert.deepEqual([kept.bytes, kept.size], [0, 0])
      }),
    )
  })

  test('what was used last stays longest', () => {
    const kept = createKeptPages({ bytes: 10_000, bytesPerController: 10_000 })
    for (const address of ['/1', '/2', '/3']) kept.put(placeOf('a', address), answerOf(2_500))
    kept.use(placeOf('a', '/1'), kept.find(placeOf('a', '/1'))[0]!)
    kept.put(placeOf('a', '/4'), answerOf(2_500))
    assert.deepEqual(
      ['/1', '/2', '/3', '/4'].map((address) => kept.find(placeOf('a', address)).length),
      [1, 0, 1, 1],
    )
  })

  test('the same variant is replaced, and an answer that is too large drops nothing', () => {
    const kept = createKeptPages({ bytes: 10_000, bytesPerController: 5_000 })
    const place = placeOf('a', '/1')
    kept.put(place, answerOf(100))
    kept.put(place, answerOf(200))
    kept.put(place, answerOf(9_000, 'ru'))
    assert.deepEqual(
      kept.find(place).map(({ body }) => body.length),
      [200],
    )
  })
})
