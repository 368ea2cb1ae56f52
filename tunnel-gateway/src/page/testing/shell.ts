/** The portal's shell reduced to what a device's page meets of it: the sandboxed frame. */
import type { Frame, Page } from 'playwright-core'
import { FRAME_SANDBOX } from '#src/user/frame-answer.ts'

/** Opens the shell in `tab` at the portal's address of tests, with the page at `src` in its frame; answers the frame. */
export async function showInShell(tab: Page, id: string, src: string): Promise<Frame> {
  await tab.route('**/open/**', (route) =>
    route.fulfill({
      contentType: 'text/html',
      body: `<iframe sandbox="${FRAME_SANDBOX}" src="${src}" style="width:100%;height:600px"></iframe>`,
    }),
  )
  await tab.goto(`http://localhost:8080/open/${id}/`)
  const element = await tab.waitForSelector('iframe', { timeout: 60_000 })
  return (await element.contentFrame())!
}
