/** What tests of pages in frames share. */
import { createLogger } from '@wmoc/platform/log'
import { openStore } from '@wmoc/platform/open-store'
import { GATEWAY_CHANNEL } from '@wmoc/protocol/control-plane'
import type { GatewayNotice } from '@wmoc/protocol/control-plane'
import type { OpenOutput } from '#src/page/capability/endpoints.ts'
import type { Answer, Harness } from '#src/testing/harness.ts'
import type { KnownController, Person } from '#src/testing/control-plane-server.ts'
import type { RawDevice } from '#src/testing/raw-device.ts'

/** Headers of a browser that loads a page into the shell's frame. */
export const IN_FRAME = {
  'sec-fetch-mode': 'navigate',
  'sec-fetch-dest': 'iframe',
  'sec-fetch-site': 'same-origin',
  accept: 'text/html',
}

/** Headers of the shell's own requests. */
export const SHELL = {
  'content-type': 'application/json',
  origin: 'http://localhost:8080',
  'sec-fetch-site': 'same-origin',
}

export interface Served {
  readonly known: KnownController
  readonly id: string
  readonly person: Person
  readonly device: RawDevice
}

/** A controller with its device online, and somebody who may reach it. @param credentials Said by the device besides. */
export async function served(
  harness: Harness,
  role: 'owner' | 'viewer' = 'owner',
  credentials: Record<string, unknown> = { max_req_header: 2_048 },
): Promise<Served> {
  const known = harness.controlPlane.addController()
  const person = await harness.controlPlane.addPerson()
  const id = known.record.controllerId
  harness.controlPlane.grant(person, id, role)
  return { known, id, person, device: await harness.online(known, credentials) }
}

type Frame = Extract<OpenOutput, { kind: 'frame' }>

/** The page as the shell gets it for this person. */
export async function openFrame(harness: Harness, id: string, person: Person): Promise<Frame> {
  const answer = await harness.ask({
    path: `/c/${id}/_wmoc/page`,
    method: 'POST',
    headers: { ...SHELL, authorization: `Bearer ${person.accessToken}` },
    body: '{}',
  })
  if (answer.status !== 200) throw new Error(`${answer.status} ${answer.text}`)
  return JSON.parse(answer.text) as Frame
}

/** A guest's attempt to open the page. @param address Of the guest, for a harness with one trusted hop. */
export function openAsGuest(
  harness: Harness,
  id: string,
  link: string,
  address = '203.0.113.1',
): Promise<Answer> {
  return harness.ask({
    path: `/c/${id}/_wmoc/page`,
    method: 'POST',
    headers: { ...SHELL, 'x-forwarded-for': address },
    body: JSON.stringify({ link }),
  })
}

/** Renews or revokes, as the shell does for this person; null: for a guest. */
export function askFor(
  harness: Harness,
  what: 'renew' | 'revoke',
  { id, person, capability }: { id: string; person: Person | null; capability: string },
): Promise<Answer> {
  return harness.ask({
    path: `/c/${id}/_wmoc/page/${what}`,
    method: 'POST',
    headers: { ...SHELL, ...(person === null ? {} : { authorization: `Bearer ${person.accessToken}` }) },
    body: JSON.stringify({ capability }),
  })
}

/** As the API does it. */
export async function announceTo(harness: Pick<Harness, 'redis'>, notice: GatewayNotice): Promise<void> {
  const log = createLogger({ process: 'gateway', level: 'silent' })
  const store = openStore({ url: harness.redis.url, log, name: 'api' })
  await store.publish(GATEWAY_CHANNEL, JSON.stringify(notice))
  await store.close()
}
