/** What a person does on the page of each fixture device, and what they see then. */
import assert from 'node:assert/strict'
import { untilTrue } from '@wmoc/testkit/chromium'
import type { Frame, Page } from 'playwright-core'
import type { CorpusName } from '@wmoc/device-sim/corpus/index'

/** Where the page is shown: the tab itself, or the frame of the portal's shell. */
export type View = Page | Frame

const firmware = (bytes: number) => ({
  name: 'firmware.bin',
  mimeType: 'application/octet-stream',
  buffer: Buffer.alloc(bytes, 7),
})

/** Waits until an element says this. */
async function says(view: View, selector: string, words: string | RegExp): Promise<void> {
  await view.locator(selector).filter({ hasText: words }).waitFor()
}

/** Until an expression of the page has this value. */
async function becomes(view: View, expression: string, value: string): Promise<void> {
  await untilTrue(view, `String(${expression}) === ${JSON.stringify(value)}`)
}

export interface Journey {
  readonly path: string
  walk(view: View): Promise<void>
}

export const JOURNEYS: Readonly<Record<CorpusName, Journey>> = {
  tasmota: {
    path: '/',
    async walk(view) {
      await says(view, '#state', 'OFF')
      await view.getByRole('button', { name: 'Toggle' }).click()
      await says(view, '#state', 'ON')
      await view.getByRole('button', { name: 'Configuration' }).click()
      await view.getByRole('button', { name: 'Configure Module' }).click()
      await view.locator('select').selectOption('2')
      await view.getByRole('button', { name: 'Save' }).click()
      await says(view, '#saved', 'Module two saved')
      await view.getByRole('button', { name: 'Main Menu' }).click()
      await view.getByRole('button', { name: 'Console' }).click()
      await view.locator('#c1').fill('Status 0')
      await view.getByRole('button', { name: 'Send' }).click()
      await untilTrue(view, `document.getElementById('t1').value.includes('CMD: Status 0')`)
      await view.evaluate('history.back()')
      await view.getByRole('button', { name: 'Firmware Upgrade' }).click()
      await view.locator('input[type=file]').setInputFiles(firmware(300_000))
      await view.getByRole('button', { name: 'Start upgrade' }).click()
      await says(view, '#result', 'Upload Successful: 300000')
    },
  },
  wled: {
    path: '/',
    async walk(view) {
      await says(view, '#power', 'on')
      await says(view, '#conn', 'live')
      await view.locator('#buttonPower').click()
      await says(view, '#power', 'off')
      await view.locator('#sliderBri').fill('200')
      await says(view, '#bri', '200')
      await becomes(
        view,
        `[...document.querySelectorAll('#fxlist img')].map((image) => image.naturalWidth)`,
        '16,16',
      )
      await says(view, '#ver', '0.15')
      await untilTrue(view, `getComputedStyle(document.body).backgroundImage.endsWith('/bg.svg")')`)
      await view.getByRole('button', { name: 'Peek' }).click()
      await view.frameLocator('#liveview').locator('#canv').filter({ hasText: 'leds' }).waitFor()
      await view.getByRole('button', { name: 'Config' }).click()
      await view.locator('input[name=DS]').fill('Kitchen')
      await view.getByRole('button', { name: 'Save' }).click()
      await says(view, '#saved', 'UI settings saved.')
      await view.locator('input[name=DS][value=Kitchen]').waitFor()
      await view.getByRole('button', { name: 'Back' }).click()
      await says(view, '#power', 'off')
    },
  },
  esphome: {
    path: '/',
    async walk(view) {
      await says(view, 'h1', 'livingroom')
      await says(view, '[data-id=sensor-temp] .state', '21.5')
      await says(view, '[data-id=switch-relay] .state', 'OFF')
      await view.getByRole('button', { name: 'Toggle' }).click()
      await says(view, '[data-id=switch-relay] .state', 'ON')
      await says(view, 'pre', `'Relay' ON`)
      await becomes(
        view,
        `getComputedStyle(document.querySelector('esp-app').shadowRoot.querySelector('[data-id=switch-relay] .state')).color`,
        'rgb(0, 128, 0)',
      )
    },
  },
  esp3d: {
    path: '/',
    async walk(view) {
      await says(view, '#fw', 'FW version:2.1.1')
      await says(view, '#terminal', 'Connected arduino')
      await says(view, '#terminal', 'CURRENT_ID:0')
      await view.locator('#custom_cmd_txt').fill('M105')
      await view.getByRole('button', { name: 'Send' }).click()
      await says(view, '#terminal', 'ok T:21.3')
      await view.locator('#files').setInputFiles({ ...firmware(5_000), name: 'part.gcode' })
      await view.getByRole('button', { name: 'Upload' }).click()
      await says(view, '#list', 'part.gcode 5000')
    },
  },
  espui: {
    path: '/',
    async walk(view) {
      await says(view, '#conStatus', 'connected')
      await says(view, '#l1', 'off')
      await view.locator('#sw2').check()
      await says(view, '#l1', 'on')
      await becomes(view, 'getComputedStyle(document.body).marginTop', '7px')
      await untilTrue(
        view,
        `getComputedStyle(document.querySelector('.card')).outline.includes('rgb(1, 2, 3)')`,
      )
      await becomes(view, `document.querySelector('.card img').naturalWidth`, '9')
    },
  },
  'elegant-ota': {
    path: '/',
    async walk(view) {
      await view.getByRole('link', { name: 'Update' }).click()
      await view.locator('#file').setInputFiles(firmware(200_000))
      await says(view, '#state', 'Update Successful: 200000 bytes')
    },
  },
  everything: {
    path: '/',
    async walk(view) {
      await view.locator('body[data-done=yes]').waitFor({ timeout: 180_000 })
      const rows = await view.locator('#results tr').allInnerTexts()
      const failed = rows.filter((row) => !/\sok$/.test(row))
      assert.deepEqual(failed, [])
    },
  },
}
