/** A controller as somebody sees it with whom it is shared: what they may not do is not offered. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { SimulatedController } from '../../e2e/support/stack.ts'
import { openPortal, type Portal, type Visit } from './support/portal.ts'

let portal: Portal
let visit: Visit
let sim: SimulatedController
let id: string

before(async () => {
  portal = await openPortal()
  const owner = await portal.stack.signIn('owner@wmoc.example')
  ;({ id, sim } = await portal.stack.claimSim(owner, { state: 'lamp', name: 'Lamp' }))
  await portal.stack.signIn('friend@wmoc.example')
  await owner.api.sharing.share({ params: { id }, body: { email: 'friend@wmoc.example' } })
  visit = await portal.visit()
  await visit.signIn('friend@wmoc.example')
})
after(async () => {
  await visit?.close()
  await sim?.stop()
  await portal?.close()
})

test('counts among what the person sees', async () => {
  const { page } = visit
  await visit.go('/controllers')
  await page.getByText('One controller', { exact: true }).waitFor()
  await page.getByRole('link', { name: 'Lamp', exact: true }).click()
  await page.getByRole('heading', { level: 1, name: 'Lamp' }).waitFor()
})

test('offers neither settings nor commands', async () => {
  const { page } = visit
  await visit.go(`/controllers/${id}/commands`)
  await page.getByText('What its owner sends shows here with the result.').waitFor()
  assert.equal(await page.locator('main form').count(), 0)
  assert.equal(await page.getByRole('link', { name: 'Settings', exact: true }).count(), 0)
  await visit.go(`/controllers/${id}/settings`)
  await page.getByText('This controller is shared with you').waitFor()
  assert.equal(await page.locator('main form').count(), 0)
})
