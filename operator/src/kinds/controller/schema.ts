/** What a Controller may say: the source of its resource definition and of the operator's own check of it. */
import { z } from 'zod'
import { defineCrd } from '#src/crds/definition.ts'
import {
  cel,
  conditions,
  dateTime,
  describe,
  immutable,
  listSet,
  observedGeneration,
} from '#src/crds/fields.ts'
import type { Condition } from '#src/runtime/conditions.ts'
import { resource } from '#src/runtime/objects.ts'

const email = z
  .string()
  .max(254)
  .regex(/^[^@\s]{1,64}@[^@\s]{1,189}$/, 'must be an e-mail address')

const mac = cel(
  immutable(
    z
      .string()
      .max(17)
      .regex(/^([0-9A-F]{2}:){5}[0-9A-F]{2}$/, 'must be a MAC in capitals, like 24:6F:28:AA:BB:CC'),
    'mac',
    'delete this object and create another for another device',
  ),
  "!(self in ['00:00:00:00:00:00', 'FF:FF:FF:FF:FF:FF'])",
  'mac must be the address of one device',
  (value) => value !== '00:00:00:00:00:00' && value !== 'FF:FF:FF:FF:FF:FF',
)

/** In the portal a tag is `key:value`, 40 characters at most. */
const tags = cel(
  z
    .record(
      z.string(),
      z
        .string()
        .max(38)
        .regex(/^[a-z0-9._-]*$/),
    )
    .meta({ maxProperties: 20 }),
  "self.all(key, key.matches('^[a-z0-9][a-z0-9._-]*$') && size(key) + size(self[key]) < 40)",
  'a tag is at most 39 lower-case letters, digits, dots, dashes and underscores, key and value together',
  (value) =>
    Object.keys(value).length <= 20 &&
    Object.entries(value).every(
      ([key, text]) => /^[a-z0-9][a-z0-9._-]*$/.test(key) && key.length + text.length < 40,
    ),
)

const fields = z.object({
  mac: describe(mac, 'The device with this MAC becomes the controller.'),
  owner: describe(
    immutable(
      email,
      'owner',
      'a controller can’t change its workspace; delete this object and create another',
    ),
    'E-mail of the account in whose own workspace the controller is.',
  ),
  displayName: describe(z.string().min(1).max(80).optional(), 'Its name; absent: the portal’s.'),
  tags: describe(tags.optional(), 'Tags in the portal, as key:value, beside those that people add there.'),
  access: describe(
    z.enum(['Private', 'Shared']).default('Private'),
    'Shared: the people of sharedWith may look at it, too, and change nothing.',
  ),
  sharedWith: describe(listSet(email, 50).optional(), 'E-mails of accounts.'),
  suspended: describe(z.boolean().default(false), 'Kept out, without losing its secret.'),
  deletionPolicy: describe(
    z.enum(['Retain', 'Delete']).default('Retain'),
    'What becomes of a registered controller when this object is deleted.',
  ),
  activationSecretName: describe(
    z
      .string()
      .max(253)
      .regex(/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/)
      .optional(),
    'Secret that holds token, activateUrl, tunnelUrl and qr.svg until the device has registered.',
  ),
})

const hasPeople = (value: { sharedWith?: string[] | undefined }) => (value.sharedWith?.length ?? 0) > 0

export const ControllerSpec = cel(
  cel(
    fields,
    "self.access == 'Shared' || !has(self.sharedWith) || size(self.sharedWith) == 0",
    'sharedWith needs access: Shared',
    (value) => value.access === 'Shared' || !hasPeople(value),
  ),
  "self.access != 'Shared' || (has(self.sharedWith) && size(self.sharedWith) > 0)",
  'access: Shared needs somebody in sharedWith',
  (value) => value.access !== 'Shared' || hasPeople(value),
)
export type ControllerSpec = z.output<typeof ControllerSpec>

const ControllerStatus = z.object({
  observedGeneration: observedGeneration(),
  controllerId: z.string().max(36).optional(),
  state: describe(
    z.enum(['Pending', 'Online', 'Offline', 'Suspended']).optional(),
    'Above 1,000 objects only Pending and Suspended are told.',
  ),
  url: describe(z.string().max(2_048).optional(), 'Its own web page.'),
  firmwareVersion: z.string().max(50).optional(),
  shard: z.string().max(253).optional(),
  lastSeenTime: dateTime().optional(),
  conditions: conditions().optional(),
})
export type ControllerStatus = Omit<z.output<typeof ControllerStatus>, 'conditions'> & {
  readonly conditions?: readonly Condition[]
}

export interface DeclaredController {
  readonly spec: ControllerSpec
  readonly status?: ControllerStatus
}

export const Controllers = resource<DeclaredController>('wmoc.online/v1alpha1', 'Controller', 'controllers')

const CONDITION = (type: string, field: string) => `.status.conditions[?(@.type=="${type}")].${field}`

export const crd = defineCrd({
  group: 'wmoc.online',
  version: 'v1alpha1',
  kind: 'Controller',
  plural: 'controllers',
  singular: 'controller',
  shortNames: ['wctl'],
  categories: ['wmoc'],
  description: 'A controller that is enrolled from here; what it is, the platform’s database knows.',
  spec: ControllerSpec,
  status: ControllerStatus,
  columns: [
    { name: 'MAC', type: 'string', jsonPath: '.spec.mac' },
    { name: 'Owner', type: 'string', jsonPath: '.spec.owner' },
    { name: 'State', type: 'string', jsonPath: '.status.state' },
    { name: 'Firmware', type: 'string', jsonPath: '.status.firmwareVersion' },
    { name: 'Ready', type: 'string', jsonPath: CONDITION('Ready', 'status') },
    { name: 'Reason', type: 'string', jsonPath: CONDITION('Ready', 'reason'), priority: 1 },
    { name: 'Shard', type: 'string', jsonPath: '.status.shard', priority: 1 },
    { name: 'Last Seen', type: 'date', jsonPath: '.status.lastSeenTime' },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
  ],
})
