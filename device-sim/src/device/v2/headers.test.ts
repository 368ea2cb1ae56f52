import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { blockOf, listOf } from './headers.ts'

suite('headers of dialect v2', () => {
  test('come back from a block as they were, those of one name together', () => {
    const name = fc.constantFrom('accept', 'cookie', 'x-a', 'constructor', 'tostring')
    fc.assert(
      fc.property(fc.array(fc.tuple(name, fc.string())), (fields) => {
        const values = (list: readonly string[], wanted: string) =>
          list.filter((_, at) => at % 2 === 1 && list[at - 1] === wanted)
        const list = fields.flat()
        const again = listOf(blockOf(list))
        assert.equal(again.length, list.length)
        for (const [one] of fields) assert.deepEqual(values(again, one), values(list, one))
      }),
    )
  })

  test('T8: leave the prototype alone', () => {
    const block = blockOf(['__proto__', 'a', '__proto__', 'b', 'x', '1'])
    assert.deepEqual(Object.entries(block), [['x', '1']])
    assert.equal(Object.getPrototypeOf(block), Object.prototype)
  })
})
