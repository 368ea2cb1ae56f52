import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { devicePath, frameAddress, parseFrameMessage, portOf, shownAddress } from './frame-message.ts'

const BASE = '/c/01900000-0000-7000-8000-000000000000'
const message = (path: unknown, title: unknown = 'T') => parseFrameMessage({ wmoc: 'page', path, title })

suite('what a page in the frame says', () => {
  test('is a path and a title', () => {
    assert.deepEqual(message('/settings?a=1#b', 'Relay'), {
      kind: 'page',
      path: '/settings?a=1#b',
      title: 'Relay',
    })
    assert.equal(message('/', '')?.title, '')
    assert.deepEqual(parseFrameMessage({ wmoc: 'strayed', path: '/setup' }), {
      kind: 'strayed',
      path: '/setup',
      title: '',
    })
  })

  test('O12: is nothing where the shape is another one', () => {
    for (const data of [
      null,
      'page',
      [],
      { wmoc: 'page' },
      { wmoc: 'other', path: '/', title: '' },
      { wmoc: 'page', path: 1, title: '' },
      { wmoc: 'page', path: '/', title: { toString: () => 'x' } },
    ])
      assert.equal(parseFrameMessage(data), null)
    for (const path of ['', 'a', '\\evil', '/a b', '/a\nb', '/\\evil', '/é', `/${'a'.repeat(1_000)}`])
      assert.equal(message(path), null, path)
  })

  test('has a title of one short visible line', () => {
    assert.equal(message('/', ' a\n\u202Eb\u0000 \u200Bc ')?.title, 'a b c')
    assert.equal(message('/', 'x'.repeat(5_000))?.title.length, 80)
  })

  test('O1: shows no address but one below the device’s own', () => {
    for (const path of [
      '/../../account',
      '/%2e%2e/%2e%2e/account',
      '/a/../../other',
      '/..',
      '//../../../x',
      '/.%2E/x',
    ])
      assert.equal(shownAddress(BASE, path), null, path)
    for (const path of ['/', '//evil.example/', '/a/../b', '/x?next=../../y', '/#/../../z'])
      assert.equal(shownAddress(BASE, path), `${BASE}${path}`)
  })
})

test('another port of the device has its own place in the frame, and one below the device’s in the portal', () => {
  const address = (path: string) => frameAddress(`${BASE}~cap`, path)
  assert.equal(address('/a?b#c'), `${BASE}~cap/a?b#c`)
  assert.equal(address('/_wmoc/port/81/a?b#c'), `${BASE}~cap~81/a?b#c`)
  assert.equal(address('/_wmoc/port/81/../../../x'), null)
  assert.equal(address('/_wmoc/port/081/x'), `${BASE}~cap/_wmoc/port/081/x`)
  assert.equal(shownAddress(BASE, '/_wmoc/port/81/a'), `${BASE}/_wmoc/port/81/a`)
  assert.deepEqual(['/_wmoc/port/81/a', '/_wmoc/port/81', '/a'].map(portOf), ['/_wmoc/port/81', '', ''])
})

test('the device is asked for what follows its address', () => {
  assert.equal(devicePath(BASE, BASE), '/')
  assert.equal(devicePath(BASE, `${BASE}?a=1`), '/?a=1')
  assert.equal(devicePath(BASE, `${BASE}/a%2Fb?c#d`), '/a%2Fb?c#d')
})
