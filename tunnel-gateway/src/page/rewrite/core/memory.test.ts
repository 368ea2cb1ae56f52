/** Pages of any size, in memory of one size. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { PAGE } from '#src/page/rewrite/testing/pages.ts'
import { createBodyRewriter } from './body.ts'
import type { BodyKind } from './body.ts'

const MIB = 1_048_576
const PIECE_BYTES = 65_536

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

function used(): number {
  // The second waits for what the first has left to be swept.
  collect()
  collect()
  const { heapUsed, external, arrayBuffers } = process.memoryUsage()
  return heapUsed + external + arrayBuffers
}

const row = `<tr><td>${'measured '.repeat(100)}</td><td><a href="/x?a=1&amp;b=2"><img src="/i.png"></a></td></tr>\n`

const PAGES: readonly (readonly [
  about: string,
  kind: BodyKind,
  start: string,
  filling: string,
  mebibytes: number,
])[] = [
  ['a table', 'html', '<!doctype html><table>', row, 100],
  ['one text', 'html', '<p>', 'text ', 16],
  ['one text without a space', 'html', '<p>', 'text', 16],
  ['one attribute', 'html', '<a href="/', 'x', 16],
  ['one tag', 'html', '<a ', 'b=c ', 16],
  ['one script', 'html', '<script>', 'a<b;"</"', 16],
  ['one style', 'html', '<style>', 'a{b:url(/x)}<', 8],
  ['one comment', 'html', '<!--', '- -', 16],
  ['one import map', 'html', '<script type=importmap>', '{"a":', 16],
  ['a style sheet', 'css', '', '.a{background:url("/x.png")}\n', 8],
  ['one address', 'css', 'a{b:url(/', 'x', 16],
]

suite('a page of any size', () => {
  for (const [about, kind, start, filling, mebibytes] of PAGES)
    test(`T11: is never held: ${about}`, () => {
      const rewriter = createBodyRewriter({ kind, charset: 'utf-8', page: PAGE, isDocument: true })
      rewriter.write(Buffer.from(start))
      const piece = Buffer.from(filling.repeat(Math.ceil(PIECE_BYTES / filling.length)))
      const before = used()
      let given = 0
      let taken = 0
      let most = 0
      for (let turn = 1; given < mebibytes * MIB; turn += 1) {
        taken += rewriter.write(piece).length
        given += piece.length
        if (turn % 80 === 0) most = Math.max(most, used() - before)
      }
      taken += rewriter.end().length
      assert.ok(taken >= given, `${given} bytes in, ${taken} out`)
      assert.ok(most < 4 * MIB, `${(most / MIB).toFixed(1)} MiB more than before`)
    })
})
