import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { createDice } from './faults.ts'
import { busiestSecond } from './killed.ts'
import { kindOf } from './kinds.ts'
import { withSection } from './page.ts'

suite('what a soak counts and writes', () => {
  test('the same seed throws the same dice, another one others', () => {
    const throws = (seed: number) => {
      const dice = createDice(seed)
      return Array.from({ length: 50 }, () => dice.between(1, 1_000))
    }
    assert.deepEqual(throws(7), throws(7))
    assert.notDeepEqual(throws(7), throws(8))
    const dice = createDice(1)
    const seen = new Set(Array.from({ length: 300 }, () => dice.pick(['a', 'b', 'c'])))
    assert.deepEqual([...seen].toSorted(), ['a', 'b', 'c'])
  })

  test('the busiest second is found wherever it begins', () => {
    assert.equal(busiestSecond([]), 0)
    assert.equal(busiestSecond([0, 999, 1_000]), 2)
    assert.equal(busiestSecond([5_000, 0, 900, 950, 1_850, 1_899]), 4)
  })

  test('a mixed fleet has every kind of device alike', () => {
    const kinds = Array.from({ length: 8 }, (_, index) => kindOf(index))
    assert.equal(new Set(kinds).size, 4)
    assert.deepEqual(kinds.slice(0, 4), kinds.slice(4))
  })

  test('a section replaces the earlier one and leaves the others', () => {
    const first = withSection(withSection('', 'chaos', '## old chaos'), 'rolling', '## rolling')
    const second = withSection(first, 'chaos', '## new chaos')
    assert.match(second, /^# Resilience\n/)
    assert.ok(second.indexOf('## rolling') < second.indexOf('## new chaos'))
    assert.doesNotMatch(second, /old chaos/)
    assert.equal(withSection(second, 'chaos', '## new chaos'), second)
  })
})
