import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { css, inCharacters } from '#src/page/rewrite/testing/pages.ts'

const P = '/c/1~cap'

/** Without an expectation it passes as it is. */
const VECTORS: readonly (readonly [given: string, expected?: string])[] = [
  ['a{background:url(/x.png)}', `a{background:url(${P}/x.png)}`],
  ['a{background:url( "/x.png" )}', `a{background:url( "${P}/x.png" )}`],
  ["a{background:url('/x.png')}", `a{background:url('${P}/x.png')}`],
  ['a{background:URL(/x.png) no-repeat,url(y)}', `a{background:URL(${P}/x.png) no-repeat,url(y)}`],
  ['a{b:u\\72l(/x)}', `a{b:u\\72l(${P}/x)}`],
  ['a{b:\\75 \\52 l(/x)}', `a{b:\\75 \\52 l(${P}/x)}`],
  ['a{b:url(\\2f x\\2fy\\ z)}', `a{b:url(${P}/x/y\\ z)}`],
  ['a{b:url("\\/x\\"y")}', `a{b:url("${P}/x\\"y")}`],
  ['a{b:url(/x\\)y)} c{d:url(/z)}', `a{b:url(${P}/x\\)y)} c{d:url(${P}/z)}`],
  ['a{b:url(http://esp.local/x)}', `a{b:url(${P}/x)}`],
  ['a{b:url(//192.168.1.5:81/x)}', `a{b:url(${P}~81/x)}`],
  ['a{b:url(/c/1/x)}', `a{b:url(${P}/x)}`],
  ['a{b:url(https://cdn.example/x) url(data:image/png;base64,/x) url(#a) url()}'],
  ['a{b:url(../x)}', `a{b:url(${P}/x)}`],
  ['a{b:src("/x")}', `a{b:src("${P}/x")}`],
  ['@import "/x.css" layer(a);', `@import "${P}/x.css" layer(a);`],
  ["@import/* a */'/x.css'", `@import/* a */'${P}/x.css'`],
  ['@IMPORT url(/x.css);', `@IMPORT url(${P}/x.css);`],
  ['@import url("/x.css") screen;', `@import url("${P}/x.css") screen;`],
  [
    '@font-face{src:local("/a"),url(/f.woff2)format("/b")}',
    `@font-face{src:local("/a"),url(${P}/f.woff2)format("/b")}`,
  ],
  [
    'a{b:image-set("/x" 1x,url(/y) 2x, "/z" type("image/png") 3x);c:"/d"}',
    `a{b:image-set("${P}/x" 1x,url(${P}/y) 2x, "${P}/z" type("image/png") 3x);c:"/d"}`,
  ],
  [
    'a{b:-webkit-image-set(url("/y") 1x,"/x" 2x);c:"/d"}',
    `a{b:-webkit-image-set(url("${P}/y") 1x,"${P}/x" 2x);c:"/d"}`,
  ],
  ['/* url(/x) */ a{b:url(/y)}', `/* url(/x) */ a{b:url(${P}/y)}`],
  ['/** url(/x) **/a{b:url(/y)}', `/** url(/x) **/a{b:url(${P}/y)}`],
  ['a{b:"url(/x)";c:\'@import "/y"\'}'],
  ['a{b:"\\"url(/x)"}'],
  ['a{b:"broken\n c:url(/x)}', `a{b:"broken\n c:url(${P}/x)}`],
  ['a{b:"goes on \\\r\n url(/x)"}'],
  ['a{b:myurl(/x);c:10url(/x);d:#url(/x);e:@url(/x)}'],
  ['@namespace "/x";@charset "/x";@importer "/x";@import; a{b:"/x"}'],
  ['a{b:url(/x', `a{b:url(${P}/x`],
  ['a{b:url("/x', `a{b:url("${P}/x`],
  ['a{b:url(/caf\u00e9\u00a0)}', `a{b:url(${P}/caf\u00e9\u00a0)}`],
  ['a/b{c:d/e}'],
]

suite('a style sheet', () => {
  test('has its addresses mapped, and nothing else', () => {
    for (const [given, expected = given] of VECTORS) {
      assert.equal(css(given), expected, given)
      assert.equal(css(given, inCharacters), expected, `${given} in characters`)
    }
  })

  test('may hold addresses of any length', () => {
    const long = 'x'.repeat(100_000)
    const cut = (size: number) => (text: string) => text.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? []
    for (const size of [7, 2_047, 2_048, 2_049, 300_000])
      assert.equal(
        css(`a{b:url(/${long})} c{d:url("/${long}")} e{f:url(data:${long})}`, cut(size)),
        `a{b:url(${P}/${long})} c{d:url("${P}/${long}")} e{f:url(data:${long})}`,
      )
  })

  test('climbs no higher than the device’s root', () => {
    assert.equal(
      css('a{b:url(../x)} c{d:url(../../x)}', undefined, '/css/a.css'),
      `a{b:url(../x)} c{d:url(${P}/x)}`,
    )
  })
})
