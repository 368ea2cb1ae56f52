/** What tests of pages in frames share. */
import type { OpenOutput } from '#src/page/capability/endpoints.ts'
import type { Harness } from '#src/testing/harness.ts'
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
