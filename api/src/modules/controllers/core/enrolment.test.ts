import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { planEnrolment } from './enrolment.ts'
import type { Declared } from './enrolment.ts'

const tag = fc.constantFrom('site:a', 'site:b', 'floor:1', 'hot', 'new')
const tags = fc.uniqueArray(tag, { maxLength: 5 })
const name = fc.constantFrom('Boiler', 'Pump', 'Gate')
const declaration = fc.record({ name: fc.option(name), tags })
const row = fc.record({ name, tags })

const write = (
  current: { name: string; tags: readonly string[] },
  plan: ReturnType<typeof planEnrolment>,
) => ({
  name: plan.name ?? current.name,
  tags: plan.tags ?? current.tags,
})

suite('a declared controller', () => {
  test('is as it was declared after the first time, without drift', () => {
    fc.assert(
      fc.property(declaration, row, (declared, current) => {
        const plan = planEnrolment(declared, null, current)
        const after = write(current, plan)
        assert.deepEqual(plan.drift, [])
        if (declared.name !== null) assert.equal(after.name, declared.name)
        for (const each of [...declared.tags, ...current.tags]) assert.ok(after.tags.includes(each))
      }),
    )
  })

  test('needs nothing more when the same is declared again', () => {
    fc.assert(
      fc.property(declaration, row, (declared, current) => {
        const after = write(current, planEnrolment(declared, null, current))
        assert.deepEqual(planEnrolment(declared, declared, after), { drift: [] })
      }),
    )
  })

  test('keeps what people changed in the portal and tells it', () => {
    fc.assert(
      fc.property(declaration, row, (declared, changed) => {
        const plan = planEnrolment(declared, declared, changed)
        assert.deepEqual([plan.name, plan.tags], [undefined, undefined])
        const isRenamed = declared.name !== null && declared.name !== changed.name
        const isUntagged = declared.tags.some((each) => !changed.tags.includes(each))
        assert.deepEqual(
          plan.drift.map(({ field }) => field),
          [...(isRenamed ? ['displayName'] : []), ...(isUntagged ? ['tags'] : [])],
        )
      }),
    )
  })

  test('loses the tags that are declared no more, and only those', () => {
    fc.assert(
      fc.property(declaration, declaration, row, (before: Declared, now: Declared, current) => {
        const had = write(current, planEnrolment(before, null, current))
        const has = write(had, planEnrolment(now, before, had))
        for (const each of now.tags) assert.ok(has.tags.includes(each))
        for (const each of before.tags) if (!now.tags.includes(each)) assert.ok(!has.tags.includes(each))
        for (const each of current.tags) if (!before.tags.includes(each)) assert.ok(has.tags.includes(each))
      }),
    )
  })
})
