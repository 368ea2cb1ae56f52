import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { PAGE, PLACE } from '#src/page/rewrite/testing/pages.ts'
import { rewritePolicies } from './csp.ts'
import { PageAddresses } from './page-addresses.ts'

const context = {
  map: new PageAddresses(PLACE, PAGE.origin, '/').map,
  origin: PAGE.origin,
  shimPath: PAGE.shimPath,
  nonce: 'n',
}
const SHIM = 'https://portal.example/c/1~cap/_wmoc/shim.js'
const OWN = 'https://portal.example/c/1~cap/'

const VECTORS: readonly (readonly [about: string, given: string, expected: string])[] = [
  ['leaves what says nothing of scripts', "img-src 'self' data:", "img-src 'self' data:"],
  ['allows ours by a nonce', "script-src 'self'", "script-src 'self' 'nonce-n'"],
  [
    'allows ours by its address where a nonce would forbid the page’s own',
    "script-src 'self' 'unsafe-inline'",
    `script-src 'self' 'unsafe-inline' ${SHIM}`,
  ],
  [
    'allows ours by a nonce where inline scripts are forbidden by one already',
    "script-src 'unsafe-inline' 'strict-dynamic' 'nonce-a'",
    "script-src 'unsafe-inline' 'strict-dynamic' 'nonce-a' 'nonce-n'",
  ],
  [
    'opens scripts only, and nothing else that has no list of its own',
    "default-src 'self'",
    "default-src 'self'; script-src 'self' 'nonce-n'",
  ],
  [
    'prefers the list that decides',
    "script-src 'none'; script-src-elem 'self'",
    "script-src 'none'; script-src-elem 'self' 'nonce-n'",
  ],
  ['keeps pages without scripts without', "default-src 'none'; img-src *", "default-src 'none'; img-src *"],
  ['keeps pages without scripts without, said otherwise', 'script-src', 'script-src'],
  [
    'maps hosts of the device',
    'img-src http://192.168.1.5 esp.local cdn.example https:',
    `img-src ${OWN} ${OWN} cdn.example https:`,
  ],
  [
    'maps sockets and ports',
    "connect-src 'self' ws://esp.local:81 http://esp.local:*",
    "connect-src 'self' wss://portal.example/c/1~cap~81/ https://portal.example",
  ],
  ['maps where reports go', 'report-uri /csp', 'report-uri /c/1~cap/csp'],
  ['takes the first directive of a name', 'IMG-SRC a; img-src b;;', 'img-src a'],
  [
    'takes several policies',
    "img-src esp.local, script-src 'self'",
    `img-src ${OWN}, script-src 'self' 'nonce-n'`,
  ],
  [
    'leaves other directives',
    "sandbox allow-scripts; frame-ancestors 'self'; upgrade-insecure-requests",
    "sandbox allow-scripts; frame-ancestors 'self'; upgrade-insecure-requests",
  ],
]

suite('a device’s Content-Security-Policy', () => {
  for (const [about, given, expected] of VECTORS)
    test(about, () => assert.equal(rewritePolicies(given, context), expected))

  test('allows nothing more where nothing of ours is in the page', () =>
    assert.equal(rewritePolicies("script-src 'self'", { ...context, shimPath: '' }), "script-src 'self'"))
})
