/** Whatever pieces a text comes in, and whatever bytes. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { bytes, css, html, PAGE } from '#src/page/rewrite/testing/pages.ts'
import { createHtmlRewriter, MAX_HELD } from './html.ts'

const MARKUP = fc.constantFrom(
  ...'<a href="/x"|<style>|</style>|<script>|</script>|<script type=importmap>|{"imports":{"a":"/x"}}|url(/x)|url("/|")|@import|<!--|-->|<svg>|</svg>|<title>|</title>|<base href=/x/>|<meta charset=shift_jis>|<meta http-equiv=refresh content="0;/x">'.split(
    '|',
  ),
  ...'<|>|/|"|\'|=| |\n|(|)|\\|*|&quot;|&#x2f;|\x95|é|srcset="/a 1x,/b|style=a:url(/x)|srcdoc="<p>|<![CDATA[|]]>|<?x|x|</a|integrity=x|rel=stylesheet'.split(
    '|',
  ),
)
const STYLE = fc.constantFrom(
  ...'url(|url("|/x|)|"|\'|@import|image-set(|/*|*/|\\|\\2f |;|{|}| |\n|\r\n|a|\x95|src(|http://esp.local|..'.split(
    '|',
  ),
)
const SIZES = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 8 })

function pieces(sizes: readonly number[]): (text: string) => string[] {
  return (text) => {
    const out: string[] = []
    for (let at = 0, turn = 0; at < text.length; turn += 1) {
      const size = sizes[turn % sizes.length]!
      out.push(text.slice(at, at + size))
      at += size
    }
    return out
  }
}

const RUNS = { numRuns: 1_500 }

suite('pieces', () => {
  test('of a page make the same whole, however they are cut', () => {
    fc.assert(
      fc.property(fc.array(MARKUP, { maxLength: 30 }), SIZES, fc.boolean(), (parts, sizes, isDocument) => {
        const text = parts.join('')
        assert.equal(html(text, { isDocument }, pieces(sizes)), html(text, { isDocument }))
      }),
      RUNS,
    )
  })

  test('of a style sheet make the same whole, however they are cut', () => {
    fc.assert(
      fc.property(fc.array(STYLE, { maxLength: 30 }), SIZES, (parts, sizes) => {
        const text = parts.join('')
        assert.equal(css(text, pieces(sizes)), css(text))
      }),
      RUNS,
    )
  })

  test('without an address of the device pass byte for byte', () => {
    const harmless = fc
      .string({ unit: 'binary-ascii', maxLength: 300 })
      .map((text) => text.replaceAll(/[/\\&.]|ping|_/g, '-'))
    fc.assert(
      fc.property(harmless, SIZES, (text, sizes) => {
        assert.equal(html(text, {}, pieces(sizes)), text)
        assert.equal(css(text, pieces(sizes)), text)
      }),
      RUNS,
    )
  })

  test('T9: random bytes never throw, and random text in a document loses nothing', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 400 }),
        fc.constantFrom('', 'utf-16', 'gbk', 'big5', 'iso-2022-jp'),
        (given, charset) => {
          for (const kind of ['html', 'css', 'xhtml'] as const) {
            const whole = bytes(given, { charset, kind })
            assert.deepEqual(bytes(given, { charset, kind }, 3), whole)
          }
        },
      ),
      { numRuns: 400 },
    )
  })

  test('are not held for longer than the limit, whatever is in them', () => {
    const openings = [
      '<a href="',
      "<a href='/",
      '<a ',
      '<a href=',
      '<',
      '<a',
      '</',
      '<!--',
      '<!',
      '<?',
      '<script>',
      '<script type=importmap>',
      '<style>',
      '<style>a{b:url(',
      '<style>"',
      '<title>',
      '<svg><title>',
      '<![CDATA[',
      '<iframe srcdoc="',
    ]
    for (const opening of openings)
      for (const filling of ['x', '<', '"', '/', ' ', "'", '&', '\\', '=']) {
        let given = opening.length
        let taken = 0
        const rewriter = createHtmlRewriter(
          { page: PAGE, isDocument: false },
          (text) => (taken += text.length),
        )
        rewriter.write(opening)
        for (let turn = 0; turn < 60; turn += 1) {
          rewriter.write(filling.repeat(4_096))
          given += 4_096
          assert.ok(given - taken <= 2 * MAX_HELD + 4_096, `${opening}${filling}: ${given - taken}`)
        }
        rewriter.end()
        assert.ok(taken >= given, `${opening}${filling} lost ${given - taken}`)
      }
  })
})
