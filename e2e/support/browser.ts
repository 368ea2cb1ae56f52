/** The portal and device pages in a real browser. */
import type { WatchedContext } from '@wmoc/testkit/chromium'
import type { Frame, Page } from 'playwright-core'
import { eventually } from './stack.ts'
import type { TestStack } from './stack.ts'

/** No domain for origins of devices: an installation with one host name. */
export const ONE_HOST = { DEVICE_DOMAIN: '' }

/** Waits until the portal shows that somebody is signed in. */
export const overviewShown = (portal: Page): Promise<void> =>
  portal.getByRole('heading', { name: /Overview|Hello/ }).waitFor()

/** A tab with the portal, signed in by a one-time link. */
export async function openSignedIn(
  platform: TestStack,
  watched: WatchedContext,
  email: string,
): Promise<Page> {
  const portal = await watched.newPage()
  await portal.goto(await platform.signInLink(email))
  await overviewShown(portal)
  return portal
}

/** The frame of the shell that has a device's page in it, loaded. */
export async function deviceFrame(shell: Page): Promise<Frame> {
  const frame = await eventually(
    // Asked anew each time: the shell may put another frame in the place of the first.
    async () =>
      shell
        .mainFrame()
        .childFrames()
        .find((one) => /\/c\/[0-9a-f-]{36}~/.test(one.url())),
    'a device’s page in the frame',
  )
  await frame.waitForLoadState()
  return frame
}
