import { PAGE_CACHE_MODES, ROLES } from '@wmoc/protocol/control-plane'
import { z } from 'zod'
import { contract, route } from '../../kernel/contract.ts'
import { Id, page, pageQuery, Timestamp } from '../../kernel/schemas.ts'

export const ControllerStatus = z.enum(['pending', 'online', 'offline'])
export type ControllerStatus = z.infer<typeof ControllerStatus>

export const ControllerName = z.string().trim().min(1).max(100)
export const Tag = z
  .string()
  .trim()
  .toLowerCase()
  .regex(/^[\p{L}\p{N}][\p{L}\p{N}._:-]{0,39}$/u)
const Tags = z.array(Tag).max(20)
/** The owner's own notes: flat, so that nothing deep ever has to be walked. */
const Metadata = z
  .record(z.string().min(1).max(60), z.union([z.string().max(1_000), z.number(), z.boolean(), z.null()]))
  .refine((value) => Object.keys(value).length <= 50, 'at most 50 keys')

/** Who may be given what the gateway keeps of the controller's page: nobody, the person who asked, everybody with access. */
export const PageCache = z.enum(PAGE_CACHE_MODES)
export type PageCache = z.infer<typeof PageCache>

export const Controller = z.object({
  id: Id,
  workspaceId: Id,
  /** The caller's role on it. */
  role: z.enum(ROLES),
  name: z.string(),
  tags: z.array(z.string()),
  metadata: z.record(z.string(), z.json()),
  macAddress: z.string().nullable(),
  model: z.string().nullable(),
  firmwareVersion: z.string().nullable(),
  /** What the device said of itself at its last registration. */
  deviceMetadata: z.record(z.string(), z.json()),
  status: ControllerStatus,
  isActive: z.boolean(),
  /** Kept out, as whoever declares it in a cluster wants it; it keeps its secret and comes back by itself. */
  isSuspended: z.boolean(),
  lastSeenAt: Timestamp.nullable(),
  /** Since when it is online or offline. */
  statusSince: Timestamp.nullable(),
  /** Path of its own web page, `/c/{id}/`. */
  pagePath: z.string(),
  pageCache: PageCache,
  /** A rotation was asked for and the device has not taken the new secret yet. */
  rotationPending: z.boolean(),
  /** When a pending one's activation token runs out. */
  activationExpiresAt: Timestamp.nullable(),
  version: z.int(),
  createdAt: Timestamp,
  updatedAt: Timestamp,
})
export type Controller = z.infer<typeof Controller>

/** As the list shows it. */
export const ListedController = Controller.extend({
  /** Share of the last 24 hours that it was connected; null when it is not active or younger than a minute. */
  availability24h: z.number().nullable(),
})
export type ListedController = z.infer<typeof ListedController>

/** What the person confirms before claiming: RFC 8628 section 5.4. */
export const ClaimPreview = z.object({
  model: z.string().nullable(),
  firmwareVersion: z.string().nullable(),
  /** Last two bytes of the MAC, e.g. `…:4A:F0`. */
  macTail: z.string().nullable(),
  /** Whether the device and this browser come from the same public address. */
  samePublicAddress: z.boolean(),
  expiresAt: Timestamp,
})
export type ClaimPreview = z.infer<typeof ClaimPreview>

/** 8 letters of a 20-letter alphabet without vowels, any case, dash optional. */
export const UserCode = z
  .string()
  .trim()
  .transform((value) => value.toUpperCase().replaceAll(/[\s-]/g, ''))
  .pipe(z.string().regex(/^[BCDFGHJKLMNPQRSTVWXZ]{8}$/, 'must be 8 letters like BCDF-GHJK'))

export const ActivationToken = z.object({
  kind: z.literal('token'),
  controller: Controller,
  /** Shown once; stored hashed. */
  token: z.string(),
  /** Text for the QR code: `https://HOST/activate#token=…`. */
  qr: z.string(),
  /** Where the device connects: `wss://HOST/tunnel`. */
  tunnelUrl: z.string(),
  expiresAt: Timestamp,
})
export type ActivationToken = z.infer<typeof ActivationToken>

export const Activation = z.discriminatedUnion('kind', [
  ActivationToken,
  z.object({ kind: z.literal('claimed'), controller: Controller }),
])
export type Activation = z.infer<typeof Activation>

const Sort = z.enum([
  'name',
  '-name',
  'lastSeenAt',
  '-lastSeenAt',
  'createdAt',
  '-createdAt',
  'status',
  '-status',
])
const SearchText = z.string().trim().max(100)

/** A view of the list that a person keeps: what the list's query says, under a name. */
export const NewView = z.strictObject({
  name: z.string().trim().min(1).max(60),
  filters: z.strictObject({ q: SearchText, status: ControllerStatus.nullable(), tags: Tags, sort: Sort }),
})
export type NewView = z.infer<typeof NewView>
export const SavedView = NewView.extend({ id: Id, createdAt: Timestamp })
export type SavedView = z.infer<typeof SavedView>

const id = z.object({ id: Id })

export const controllers = contract('controllers', {
  list: route({
    method: 'GET',
    path: '/api/controllers',
    summary: 'My controllers',
    access: 'controllers.read',
    query: z.object({
      ...pageQuery,
      /** Part of the name, MAC, model or a tag. */
      q: SearchText.optional(),
      status: ControllerStatus.optional(),
      /** Repeatable; all must be there. */
      tag: z.union([Tag, Tags]).optional(),
      sort: Sort.default('name'),
    }),
    status: 200,
    response: page(ListedController),
  }),
  summary: route({
    method: 'GET',
    path: '/api/controllers/summary',
    summary: 'How many are online, offline, pending; the tags in use; availability of the last 24 hours',
    access: 'controllers.read',
    status: 200,
    response: z.object({
      total: z.int(),
      online: z.int(),
      offline: z.int(),
      pending: z.int(),
      tags: z.array(z.object({ tag: z.string(), count: z.int() })),
      /** 24 hours, oldest first: the mean share of controllers online in each, null before the first was there. */
      availability: z.array(z.object({ hour: Timestamp, onlineShare: z.number().nullable() })),
    }),
  }),
  activate: route({
    method: 'POST',
    path: '/api/controllers/activate',
    summary: 'Add a controller',
    description:
      'Without `code`: makes an activation token for a device that will be given it. With `code`: claims the device that shows the code.',
    access: 'controllers.claim',
    rateLimit: 'claim',
    idempotent: true,
    body: z.strictObject({ name: ControllerName.optional(), code: UserCode.optional() }),
    status: 201,
    response: Activation,
    errors: ['code_invalid', 'tier_limit_reached', 'mac_taken'],
  }),
  previewClaim: route({
    method: 'POST',
    path: '/api/controllers/activate/preview',
    summary: 'What device shows this code',
    access: 'controllers.claim',
    rateLimit: 'claim',
    body: z.strictObject({ code: UserCode }),
    status: 200,
    response: ClaimPreview,
    errors: ['code_invalid'],
  }),
  listViews: route({
    method: 'GET',
    path: '/api/controllers/views',
    summary: 'My views of the list, by name',
    access: 'user',
    status: 200,
    response: z.object({ items: z.array(SavedView) }),
  }),
  createView: route({
    method: 'POST',
    path: '/api/controllers/views',
    summary: 'Keep a view of the list under a name',
    description: 'A person has at most 50, each with a name of its own: else 409.',
    access: 'user',
    rateLimit: 'write',
    body: NewView,
    status: 201,
    response: SavedView,
    errors: ['conflict'],
  }),
  removeView: route({
    method: 'DELETE',
    path: '/api/controllers/views/:viewId',
    summary: 'Forget a view of the list',
    access: 'user',
    params: z.object({ viewId: Id }),
    status: 204,
  }),
  get: route({
    method: 'GET',
    path: '/api/controllers/:id',
    summary: 'One controller',
    access: 'controllers.read',
    params: id,
    status: 200,
    response: Controller,
    responseHeaders: ['etag'],
  }),
  update: route({
    method: 'PUT',
    path: '/api/controllers/:id',
    summary: 'Change name, tags, metadata, how its page is kept',
    description: 'Send the ETag in `If-Match`; 412 when somebody else changed it meanwhile.',
    access: 'controllers.write',
    params: id,
    headers: z.object({ 'if-match': z.string().max(100).optional() }),
    body: z.strictObject({
      name: ControllerName.optional(),
      tags: Tags.optional(),
      metadata: Metadata.optional(),
      pageCache: PageCache.optional(),
    }),
    status: 200,
    response: Controller,
    responseHeaders: ['etag'],
    errors: ['version_conflict'],
  }),
  remove: route({
    method: 'DELETE',
    path: '/api/controllers/:id',
    summary: 'Delete for good: its secret dies at once, its tunnel closes, its data goes',
    access: 'controllers.delete',
    params: id,
    status: 204,
  }),
  rotateCredentials: route({
    method: 'POST',
    path: '/api/controllers/:id/credentials/rotate',
    summary: 'Give the device a new secret; the old one works until the device has used the new',
    access: 'controllers.write',
    params: id,
    status: 202,
    response: Controller,
  }),
  status: route({
    method: 'GET',
    path: '/api/controllers/:id/status',
    summary: 'Is it connected, since when, from where; its last sessions',
    access: 'controllers.read',
    params: id,
    status: 200,
    response: z.object({
      status: ControllerStatus,
      since: Timestamp.nullable(),
      lastSeenAt: Timestamp.nullable(),
      session: z
        .object({
          epoch: z.int(),
          shard: z.string(),
          remoteAddress: z.string().nullable(),
          firmwareVersion: z.string().nullable(),
          connectedAt: Timestamp,
        })
        .nullable(),
      /** Newest first, at most 20. */
      sessions: z.array(
        z.object({
          id: Id,
          connectedAt: Timestamp,
          disconnectedAt: Timestamp.nullable(),
          reason: z.string().nullable(),
          remoteAddress: z.string().nullable(),
          firmwareVersion: z.string().nullable(),
        }),
      ),
      queuedCommands: z.int(),
      /** Share of the last 24 hours that it was connected; null when it is younger than a minute. */
      availability24h: z.number().nullable(),
    }),
  }),
})
