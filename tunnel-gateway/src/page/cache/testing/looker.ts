/** People who look at a device's page on its own origin, in tests: as their browsers would ask. */
import type { Answer, Ask, Harness } from '#src/testing/harness.ts'
import type { KnownController, Person } from '#src/testing/control-plane-server.ts'
import type { ControllerRecord } from '@wmoc/protocol/control-plane'

export interface Looker {
  readonly person: Person
  /** Of the page’s origin. */
  readonly cookie: string
  /** A part of the page, as the browser loads it; `script`: as a script of the page asks for it. */
  load(path: string, given?: Partial<Ask>): Promise<Answer>
  script(path: string, given?: Partial<Ask>): Promise<Answer>
}

const NAVIGATE = {
  'sec-fetch-mode': 'navigate',
  'sec-fetch-dest': 'document',
  'sec-fetch-site': 'none',
  accept: 'text/html',
}

/** A controller, as its owner set it up. */
export function addController(harness: Harness, changes: Partial<ControllerRecord> = {}): KnownController {
  return harness.controlPlane.addController(changes)
}

/** Somebody with access who opened the page. */
export async function look(harness: Harness, { record }: KnownController, as?: Person): Promise<Looker> {
  const person = as ?? (await harness.controlPlane.addPerson())
  harness.controlPlane.grant(person, record.controllerId)
  const left = await harness.ask({
    path: `/c/${record.controllerId}/`,
    headers: { ...NAVIGATE, cookie: `__Host-wmoc_refresh=${person.refreshToken}` },
  })
  const url = new URL(left.headers.location!)
  const entered = await harness.ask({ host: url.host, path: url.pathname + url.search, headers: NAVIGATE })
  const page = entered.headers['set-cookie']![0]!.split(';')[0]!
  const of =
    (destination: string) =>
    (path: string, given: Partial<Ask> = {}) => {
      const { cookie, ...headers } = given.headers ?? {}
      return harness.ask({
        host: url.host,
        ...given,
        path,
        headers: {
          'sec-fetch-site': 'same-origin',
          'sec-fetch-mode': 'cors',
          'sec-fetch-dest': destination,
          cookie: cookie === undefined ? page : `${page}; ${String(cookie)}`,
          ...headers,
        },
      })
    }
  return { person, cookie: page, load: of('script'), script: of('empty') }
}

/** How often the device was asked for a path. */
export function askedFor(received: readonly string[], path: string): number {
  return received.filter((text) => {
    const message = JSON.parse(text) as { type: string; path?: string }
    return message.type === 'http_request' && message.path === path
  }).length
}
