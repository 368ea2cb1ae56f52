import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readClaims, type Claim } from './sim-claim.ts'

function read(events: readonly object[]): { first: Claim[]; later: Claim[] } {
  const first: Claim[] = []
  const later: Claim[] = []
  const take = readClaims(
    (claim) => first.push(claim),
    (claim) => later.push(claim),
  )
  take('no JSON')
  for (const event of events) take(JSON.stringify(event))
  return { first, later }
}
const shows = (code: string) => [
  { event: 'activation required', code },
  { event: 'scan the code or open', link: `http://x/activate#${code}` },
]
const claim = (code: string) => ({ code, link: `http://x/activate#${code}` })

test('a code that ran out is followed by the next, and by nothing once the controller is claimed', () => {
  const registered = { event: 'registered', controllerId: 'c' }
  assert.deepEqual(read([...shows('A'), ...shows('A'), ...shows('B'), registered, registered]), {
    first: [claim('A')],
    later: [claim('B'), null],
  })
})

test('a controller that is somebody’s already shows none, however often it comes back', () => {
  const registered = { event: 'registered', controllerId: 'c' }
  assert.deepEqual(read([registered, registered]), { first: [null], later: [] })
})
