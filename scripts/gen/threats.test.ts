import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fillThreats, testsByThreat } from './threats.ts'

// Put together here, so that this file's own text holds no title.
const title = (text: string) => `${['te', 'st'].join('')}('${text}', () => {})`
const file = (path: string, ...titles: string[]) => ({ path, text: titles.map(title).join('\n') })

test('finds the cases that titles begin with', () => {
  const found = testsByThreat([
    file('b.ts', 'P1: refuses', 'T6, T7: closes', 'no case'),
    file('a.ts', 'P1: again'),
  ])
  assert.deepEqual(
    [...found.entries()],
    [
      ['P1', ['b.ts', 'a.ts']],
      ['T6', ['b.ts']],
      ['T7', ['b.ts']],
    ],
  )
})

test('writes the tests into the last column and leaves what comes later', () => {
  const document = '| P1 | a \\| b | C | later |\n| P2 | c | H | later: cluster |\ntext'
  assert.equal(
    fillThreats(document, [file('b.ts', 'P1: x'), file('a.ts', 'P1: y')]),
    '| P1 | a \\| b | C | `a.ts`, `b.ts` |\n| P2 | c | H | later: cluster |\ntext',
  )
})

test('refuses a row that lost its test, and a title that names no row', () => {
  assert.throws(() => fillThreats('| P1 | a | C | `gone.ts` |', []), /P1 has no test/)
  assert.throws(() => fillThreats('| P1 | a | C | later |', [file('a.ts', 'P99: x')]), /P99/)
})
