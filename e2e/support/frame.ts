/** Device pages where an installation has one host name: in a frame of the portal's shell. */
import type { Frame, Page } from 'playwright-core'

/** No domain for origins of devices. */
export const ONE_HOST = { DEVICE_DOMAIN: '' }

/** The frame of the shell, once a device's page is in it. */
export async function deviceFrame(shell: Page): Promise<Frame> {
  const element = await shell.waitForSelector('iframe[sandbox]')
  const frame = await element.contentFrame()
  if (frame === null) throw new Error('the shell has no frame')
  await frame.waitForURL((url) => /^\/c\/[0-9a-f-]{36}~/.test(url.pathname))
  await frame.waitForLoadState()
  return frame
}
