import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clientAddress, limitKeyOfAddress } from './client-address.ts'

test('believes as many hops as there are proxies of ours and nothing left of them', () => {
  const cases: [string, string | string[] | undefined, number, string][] = [
    ['10.0.0.1', '203.0.113.9', 0, '10.0.0.1'],
    ['10.0.0.1', '203.0.113.9', 1, '203.0.113.9'],
    ['10.0.0.1', '6.6.6.6, 203.0.113.9', 1, '203.0.113.9'],
    ['10.0.0.1', ['6.6.6.6', '203.0.113.9'], 1, '203.0.113.9'],
    ['10.0.0.1', '6.6.6.6, 203.0.113.9, 10.0.0.7', 2, '203.0.113.9'],
    ['10.0.0.1', '203.0.113.9', 2, '10.0.0.1'],
    ['10.0.0.1', 'not an address', 1, '10.0.0.1'],
    ['10.0.0.1', 'dead:beef', 1, '10.0.0.1'],
    ['10.0.0.1', '2001:DB8::1', 1, '2001:db8::1'],
    ['10.0.0.1', '', 1, '10.0.0.1'],
    ['10.0.0.1', undefined, 1, '10.0.0.1'],
    ['::ffff:192.0.2.1', undefined, 0, '192.0.2.1'],
    ['::1', undefined, 0, '127.0.0.1'],
    ['fe80::1%eth0', undefined, 0, 'fe80::1'],
  ]
  for (const [peer, header, hops, expected] of cases)
    assert.equal(clientAddress(peer, header, hops), expected)
})

test('counts a whole /64 of IPv6 as one customer', () => {
  assert.equal(limitKeyOfAddress('192.0.2.1'), '192.0.2.1')
  assert.equal(limitKeyOfAddress('::ffff:192.0.2.1'), '192.0.2.1')
  const key = limitKeyOfAddress('2001:db8:1:2::1')
  assert.equal(key, limitKeyOfAddress('2001:0db8:0001:0002:ffff:ffff:ffff:ffff'))
  assert.notEqual(key, limitKeyOfAddress('2001:db8:1:3::1'))
  assert.equal(limitKeyOfAddress('::1'), '127.0.0.1')
})
