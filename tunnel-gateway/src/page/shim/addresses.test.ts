import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { devicePath, mapAddress, pageBase, portPrefix } from './addresses.ts'
import type { PagePlace } from './addresses.ts'

const FRAME: PagePlace = {
  prefix: '/c/1~cap',
  publicPrefix: '/c/1',
  port: null,
  ports: [81, 8080],
  hosts: ['192.168.1.5', 'esp.local', '[fe80::1]', 'box.lan:8090'],
  pageHost: 'portal.example:8443',
}
const OWN: PagePlace = { ...FRAME, prefix: '', publicPrefix: '', pageHost: 'label.devices.example' }

type Vector = readonly [address: string, mapped: string | null]

const IN_FRAME: readonly Vector[] = [
  ['/', '/c/1~cap/'],
  ['/app.js?v=1#x', '/c/1~cap/app.js?v=1#x'],
  [' \n/app.js ', '/c/1~cap/app.js'],
  ['\\app.js', '/c/1~cap/app.js'],
  // Relative, of another scheme, or somebody else's.
  ['app.js', null],
  ['./app.js', null],
  ['../app.js', null],
  ['?a=1', null],
  ['#top', null],
  ['', null],
  ['javascript:alert(1)', null],
  ['data:text/plain,/x', null],
  ['blob:null/1', null],
  ['mailto:a@esp.local', null],
  ['https://cdn.example/x.js', null],
  ['//cdn.example/x.js', null],
  ['http://192.168.1.6/x', null],
  ['http://notesp.local/x', null],
  // Mapped already.
  ['/c/1~cap', null],
  ['/c/1~cap/', null],
  ['/c/1~cap?x', null],
  ['/c/1~cap~81/x', null],
  ['https://portal.example:8443/c/1~cap/x', null],
  // What only looks so.
  ['/c/10/x', '/c/1~cap/c/10/x'],
  // What X-Forwarded-Prefix makes a device write.
  ['/c/1', '/c/1~cap/'],
  ['/c/1?x', '/c/1~cap/?x'],
  ['/c/1/x', '/c/1~cap/x'],
  ['https://portal.example:8443/c/1/x', '/c/1~cap/x'],
  // Its own names.
  ['http://192.168.1.5', '/c/1~cap/'],
  ['http://192.168.1.5?q', '/c/1~cap/?q'],
  ['HTTP://ESP.local/X', '/c/1~cap/X'],
  ['https://esp.local.:443/x', '/c/1~cap/x'],
  ['//esp.local/x', '/c/1~cap/x'],
  ['\\\\esp.local\\x', '/c/1~cap/x'],
  ['http://admin:secret@192.168.1.5/x', '/c/1~cap/x'],
  ['http://192.168.1.5@evil.example/x', null],
  ['http://[fe80::1]/x', '/c/1~cap/x'],
  ['http://box.lan:8090/x', '/c/1~cap/x'],
  // Its ports.
  ['ws://192.168.1.5:81', '/c/1~cap~81/'],
  ['ws://192.168.1.5:81/ws?a', '/c/1~cap~81/ws?a'],
  ['http://[fe80::1]:8080/x', '/c/1~cap~8080/x'],
  ['http://esp.local:9/x', '/c/1~cap~9/x'],
  ['http://box.lan/x', '/c/1~cap/x'],
  // What scripts make of `location`.
  ['https://portal.example:8443/x', '/c/1~cap/x'],
  ['wss://portal.example:8443/ws', '/c/1~cap/ws'],
  ['wss://portal.example:8443/c/1~cap/ws', '/c/1~cap/ws'],
  ['ws://portal.example:81/', '/c/1~cap~81/'],
  ['//portal.example/x', '/c/1~cap/x'],
]

const ON_OWN_ORIGIN: readonly Vector[] = [
  ['/x', null],
  ['x', null],
  ['https://label.devices.example/x', null],
  ['wss://label.devices.example/ws', '/ws'],
  ['http://192.168.1.5/x', '/x'],
  ['ws://label.devices.example:81/', '/_wmoc/port/81/'],
  ['http://esp.local:8080/x', '/_wmoc/port/8080/x'],
  ['/_wmoc/port/81/x', null],
]

describe('addresses of a page', () => {
  for (const [address, mapped] of IN_FRAME)
    test(`maps ${JSON.stringify(address)} in a frame to ${mapped}`, () =>
      assert.equal(mapAddress(address, FRAME), mapped))

  for (const [address, mapped] of ON_OWN_ORIGIN)
    test(`maps ${JSON.stringify(address)} on an origin of its own to ${mapped}`, () =>
      assert.equal(mapAddress(address, OWN), mapped))

  test('keeps a page of another port on that port', () => {
    const frame = { ...FRAME, port: 8080 }
    assert.equal(pageBase(frame), '/c/1~cap~8080')
    assert.equal(mapAddress('/x', frame), '/c/1~cap~8080/x')
    assert.equal(mapAddress('https://portal.example:8443/x', frame), '/c/1~cap~8080/x')
    assert.equal(mapAddress('http://esp.local/x', frame), '/c/1~cap/x')
    const own = { ...OWN, port: 8080 }
    assert.equal(mapAddress('/x', own), '/_wmoc/port/8080/x')
    assert.equal(mapAddress('http://esp.local/x', own), '/x')
    assert.equal(mapAddress('http://esp.local:81/x', own), '/_wmoc/port/81/x')
  })

  test('takes any port for the only one of a device that announced none', () => {
    assert.equal(mapAddress('http://esp.local:8080/x', { ...FRAME, ports: [] }), '/c/1~cap/x')
  })

  test('changes nothing that it has mapped before', () => {
    for (const place of [FRAME, OWN, { ...FRAME, port: 81 }])
      for (const [address] of [...IN_FRAME, ...ON_OWN_ORIGIN]) {
        const mapped = mapAddress(address, place)
        if (mapped !== null) assert.equal(mapAddress(mapped, place) ?? mapped, mapped, address)
      }
  })

  test('tells the path that the device knows', () => {
    assert.equal(devicePath('/c/1~cap/a?b', FRAME), '/a?b')
    assert.equal(devicePath('/c/1~cap~81/a', { ...FRAME, port: 81 }), '/a')
    assert.equal(devicePath('/a', OWN), '/a')
    assert.equal(devicePath('/elsewhere', FRAME), '/elsewhere')
    assert.equal(portPrefix(OWN, 81), '/_wmoc/port/81')
  })
})
