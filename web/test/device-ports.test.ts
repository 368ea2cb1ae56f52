/** A page of another port of the device in the shell's frame: it stays there, whatever the person presses. */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { after, before, suite, test } from 'node:test'
import type { Frame } from 'playwright-core'
import type { SimulatedController } from '../../e2e/support/stack.ts'
import { openPortal, type Portal, type Visit } from './support/portal.ts'

const OWNER = 'owner@wmoc.example'

let portal: Portal
let visit: Visit
let sim: SimulatedController
let id: string
/** The device's first port, and one beside it. */
let servers: Server[]
let port: number

const listening = (server: Server) => (server.address() as AddressInfo).port

/** Every path is a page that says which port and path it is. */
function serve(name: string): Server {
  return createServer(({ url }, response) => {
    response.setHeader('content-type', 'text/html')
    response.end(`<title>${name}</title><p id="here">${name} ${url}</p><a href="/next">Next</a>`)
  }).listen(0, '127.0.0.1')
}

before(async () => {
  servers = [serve('main'), serve('other')]
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const [main, other] = servers.map(listening)
  port = other!
  portal = await openPortal({ gatewayEnv: { DEVICE_DOMAIN: '' } })
  const owner = await portal.stack.signIn(OWNER)
  const args = ['--upstream', `http://127.0.0.1:${main}`, '--allow-port', String(port)]
  ;({ id, sim } = await portal.stack.claimSim(owner, { state: 'boiler', name: 'Boiler room', args }))
  visit = await portal.visit()
  await visit.signIn(OWNER)
})
after(async () => {
  await visit?.close()
  await sim?.stop()
  await portal?.close()
  for (const server of servers ?? []) server.close().closeAllConnections()
})

suite('a page of another port of the device', () => {
  const base = () => `/c/${id}/_wmoc/port/${port}`
  const shows = (text: string) =>
    visit.page.frameLocator('iframe').locator('#here').getByText(text, { exact: true }).waitFor()
  /** The page in the frame, and its address in the portal. */
  const isAt = async (path: string, name = 'other', prefix = base()) => {
    await shows(`${name} ${path}`)
    await visit.page.waitForURL((url) => url.pathname === prefix + path)
  }
  const frame = async (): Promise<Frame> =>
    (await (await visit.page.waitForSelector('iframe')).contentFrame())!

  test('has an address that opens it, and that a reload keeps', async () => {
    await visit.go(`${base()}/set?a=1`)
    await shows('other /set?a=1')
    await visit.page.reload()
    await shows('other /set?a=1')
    assert.equal(visit.page.url(), `${portal.stack.url}${base()}/set?a=1`)
  })

  test('is followed there from the first port', async () => {
    await visit.go(`/c/${id}/start`)
    await isAt('/start', 'main', `/c/${id}`)
    await (
      await frame()
    ).evaluate(`location.href = document.querySelector('a').href.replace(/\\/next$/, '~${port}/on')`)
    await isAt('/on')
    await visit.page.reload()
    await isAt('/on')
  })

  test('stays through links, back, forward, its own reload and the shell’s', async () => {
    await visit.go(`${base()}/one`)
    await isAt('/one')
    await (await frame()).locator('a').click()
    await isAt('/next')
    await (await frame()).evaluate('history.back()')
    await isAt('/one')
    await visit.page.goForward()
    await isAt('/next')
    await (await frame()).evaluate('location.reload()')
    await isAt('/next')
    await visit.page.getByRole('button', { name: 'Load the page anew' }).click()
    await isAt('/next')
    await visit.page.reload()
    await isAt('/next')
  })

  test('is brought back to its port when it goes to an address of the portal', async () => {
    await visit.go(`${base()}/one`)
    await isAt('/one')
    await (await frame()).evaluate(`location.href = '/strayed'`)
    await isAt('/strayed')
  })
})
