/** From nobody to the owner of a controller, as a newcomer goes. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { openBrowser } from '@wmoc/testkit/chromium'
import { artefact } from '@wmoc/testkit/artefacts'
import { violations } from './support/accessibility.ts'
import { cameraFlags, writeQrVideo } from './support/camera.ts'
import { openPortal, type Portal, type Visit } from './support/portal.ts'

const PASSWORD = 'correct horse battery'
let portal: Portal

before(async () => {
  portal = await openPortal()
})
after(() => portal?.close())

/** A device that shows its code. */
async function waitingDevice(state: string): Promise<{ code: string; link: string; stop(): Promise<void> }> {
  const sim = portal.stack.startSim({ state, args: ['--model', 'WMOC Green 1'] })
  const { code } = await sim.waitFor('activation required')
  const { link } = await sim.waitFor('scan the code or open')
  return { code: String(code), link: String(link), stop: () => sim.stop() }
}

async function register(visit: Visit, email: string): Promise<void> {
  const { page } = visit
  await page.getByLabel('E-mail').fill(email)
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD)
  await page.getByRole('button', { name: 'Create the account' }).click()
}

suite('a newcomer', () => {
  test('registers, confirms the e-mail, and gets a new password by mail', async () => {
    const visit = await portal.visit()
    const { page } = visit
    await visit.go('/register')
    await register(visit, 'new@wmoc.example')
    await page.getByText('Add your first controller').waitFor()

    await visit.go('/dev/mail')
    await page.getByRole('link', { name: /verify-email/ }).click()
    await page.getByText('Your e-mail is confirmed').waitFor()
    await visit.go('/account')
    await page.getByText('Confirmed', { exact: true }).waitFor()

    await page.getByRole('button', { name: /new@wmoc.example/ }).click()
    await page.getByRole('menuitem', { name: 'Sign out' }).click()
    await page.getByRole('link', { name: 'Forgot it?' }).click()
    await page.getByLabel('E-mail').fill('new@wmoc.example')
    await page.getByRole('button', { name: 'Send the link' }).click()
    await page.getByText('Look into your mail').waitFor()
    await page.getByRole('link', { name: 'Open the mail outbox' }).click()
    await page
      .getByRole('link', { name: /reset-password/ })
      .first()
      .click()
    await page.getByLabel('New password', { exact: true }).fill('another good one')
    await page.getByRole('button', { name: 'Set the password' }).click()
    await page.getByRole('link', { name: 'To sign-in' }).click()
    await page.getByLabel('E-mail').fill('new@wmoc.example')
    await page.getByLabel('Password', { exact: true }).fill('another good one')
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByText('Add your first controller').waitFor()
    assert.deepEqual(visit.problems, [])
    await visit.close()
  })

  test('reads what is wrong beside the field, in his language', async () => {
    const visit = await portal.visit({ locale: 'ru' })
    const { page } = visit
    await visit.go('/register')
    await page.getByLabel('Почта').fill('not an address')
    await page.getByLabel('Пароль', { exact: true }).fill('short')
    await page.getByRole('button', { name: 'Создать учётную запись' }).click()
    await page.getByText('Введите адрес вида name@example.com.').waitFor()
    await page.getByText('Не меньше 10 символов.').waitFor()
    await page.locator('input[type=email][aria-invalid=true]:focus').waitFor()
    assert.deepEqual(visit.problems, [])
    await visit.close()
  })

  test('keeps the scanned code through sign-up and owns the device in the end', async () => {
    const device = await waitingDevice('sign-up')
    const visit = await portal.visit()
    const { page } = visit
    await page.goto(device.link)
    await page.getByText('Then we go on with the controller you scanned.').waitFor()
    assert.ok(!page.url().includes(device.code), page.url())
    await page.getByRole('link', { name: 'Create an account' }).click()
    await register(visit, 'scanner@wmoc.example')

    await page.getByText('Is this your controller?').waitFor()
    await page.getByText('WMOC Green 1').waitFor()
    await page.screenshot({ path: artefact('screens', 'claim-confirm.png'), fullPage: true })
    assert.deepEqual(await violations(page), [])
    await page.getByRole('button', { name: 'Yes, add it' }).click()
    await page.getByText('The controller is yours and online.').waitFor()
    await page.screenshot({ path: artefact('screens', 'claim-done.png'), fullPage: true })
    assert.deepEqual(await violations(page), [])
    await page.getByRole('link', { name: 'Open the controller' }).click()
    await page.getByRole('heading', { name: 'WMOC Green 1' }).waitFor()
    assert.deepEqual(visit.problems, [])
    await visit.close()
    await device.stop()
  })

  test('hears that a wrong code is wrong and can try again', async () => {
    const visit = await portal.visit()
    const { page } = visit
    await visit.signIn('typist@wmoc.example')
    await visit.go('/activate')
    await page.getByLabel('Code', { exact: true }).fill('aeiou')
    await page.getByRole('button', { name: 'Find' }).click()
    await page.getByText('The code has 8 letters, like BCDF-GHJK.').waitFor()
    await page.getByLabel('Code', { exact: true }).fill('bcdfghjk')
    await page.getByRole('button', { name: 'Find' }).click()
    await page.getByRole('alert').getByText('The code is wrong').waitFor()
    assert.equal(await page.getByLabel('Code', { exact: true }).inputValue(), 'BCDF-GHJK')
    // The one refused request is what the browser itself notes.
    assert.ok(
      visit.problems.every((line) => line.includes('status of 400')),
      visit.problems.join('\n'),
    )
    await visit.close()
  })

  test('takes a token to the device and sees it come', async () => {
    const visit = await portal.visit()
    const { page } = visit
    await visit.signIn('token@wmoc.example')
    await visit.go('/activate')
    await page.getByLabel('Name', { exact: false }).fill('Cellar')
    await page.getByRole('button', { name: 'Make a token' }).click()
    await page.getByRole('img', { name: 'QR code with the activation token' }).waitFor()
    await page.screenshot({ path: artefact('screens', 'token.png'), fullPage: true })
    assert.deepEqual(await violations(page), [])
    const token = await page.locator('dl code').nth(1).innerText()
    const sim = portal.stack.startSim({ state: 'by-token', token })
    await page.getByText('The controller is yours and online.').waitFor()
    assert.deepEqual(visit.problems, [])
    await visit.close()
    await sim.stop()
  })

  test('scans the code with the camera', async () => {
    const device = await waitingDevice('camera')
    const folder = mkdtempSync(join(tmpdir(), 'wmoc-camera-'))
    const video = join(folder, 'qr.y4m')
    writeQrVideo(video, device.link)
    const browser = await openBrowser({ flags: cameraFlags(video) })
    try {
      const visit = await browser.newContext({ baseURL: portal.stack.url, permissions: ['camera'] })
      const page = await visit.newPage()
      await page.goto(await portal.stack.signInLink('camera@wmoc.example'))
      await page.getByText('Add your first controller').waitFor()
      await page.goto('/activate')
      await page.getByRole('button', { name: 'Scan' }).click()
      await page.getByText('Is this your controller?').waitFor()
      await page.getByText('WMOC Green 1').waitFor()
      assert.deepEqual(visit.problems, [])
    } finally {
      await browser.close()
      await device.stop()
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
