/**
 * What the gateway and the API say to each other. The gateway never reads Postgres: it asks the API's internal
 * listener (JSON over HTTP, `Authorization: Bearer INTERNAL_TOKEN`, never reachable through the ingress), and the API
 * tells every gateway shard through one pub/sub channel. Nothing rests on pub/sub alone: each message only makes the
 * gateway ask sooner than it would have.
 *
 * Calls are batched by the gateway where their input is an array: a reconnect storm costs one query per batch.
 */
import { z } from 'zod'
import { LogItem, MetricItem } from './messages.ts'

const Json = z.record(z.string(), z.json())

/** A device as it described itself at registration, and where it came from. */
export const DeviceDescription = z.object({
  mac: z.string().nullable(),
  firmwareVersion: z.string().nullable(),
  model: z.string().nullable(),
  metadata: Json,
  /** Address as seen by the trusted hop; IPv4 or IPv6 text. */
  remoteAddress: z.string(),
})
export type DeviceDescription = z.infer<typeof DeviceDescription>

/** Who may be given what the gateway keeps of a page: nobody, the person who asked for it, everybody with access. */
export const PAGE_CACHE_MODES = ['off', 'private', 'public'] as const
export const PageCacheMode = z.enum(PAGE_CACHE_MODES)
export type PageCacheMode = z.infer<typeof PageCacheMode>

/** What the gateway must know of a controller to serve its tunnel. */
export const ControllerRecord = z.object({
  controllerId: z.uuid(),
  workspaceId: z.uuid(),
  /** `suspended`: kept out until the suspension is lifted; its secret stays good. */
  state: z.enum(['active', 'suspended', 'revoked']),
  /** Hex HMAC-SHA-256(DEVICE_CREDENTIAL_KEY, secret); the current slot, then the next one while a rotation is open. */
  verifiers: z.array(z.string()),
  /** A rotation was asked for and no new secret has been issued yet. */
  rotationPending: z.boolean(),
  /** Own-origin host label, `{label}.DEVICE_DOMAIN`. */
  pageLabel: z.string(),
  /** Grows when the label is rotated or access is taken away; page cookies carry it. */
  accessEpoch: z.int(),
  name: z.string(),
  /** Proxied requests a minute that the owner's tier allows. */
  requestsPerMinute: z.int(),
  pageCache: PageCacheMode.default('private'),
  /** As the device told it at its last registration. */
  firmwareVersion: z.string().nullable().default(null),
})
export type ControllerRecord = z.infer<typeof ControllerRecord>

export const ROLES = ['owner', 'admin', 'operator', 'viewer'] as const
export const Role = z.enum(ROLES)
export type Role = z.infer<typeof Role>

/** What a guest with a shared link may do with a page: look at it, or use it as its owner would. */
export const PageScope = z.enum(['view', 'use'])
export type PageScope = z.infer<typeof PageScope>

/** A link by which people without an account reach one controller's page, without its token. */
export const PageLink = z.object({
  id: z.uuid(),
  controllerId: z.uuid(),
  scope: PageScope,
  /** Milliseconds since 1970. */
  expiresAt: z.int(),
  /** Of the controller's record. */
  accessEpoch: z.int(),
})
export type PageLink = z.infer<typeof PageLink>

/** Session history and failed logins, in order of occurrence per controller. */
export const GatewayEvent = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('connected'),
    controllerId: z.uuid(),
    epoch: z.int(),
    shard: z.string(),
    /** Unique per socket: `controller_sessions.websocket_id`. */
    websocketId: z.string(),
    device: DeviceDescription,
    at: z.int(),
  }),
  z.object({
    type: z.literal('disconnected'),
    controllerId: z.uuid(),
    epoch: z.int(),
    websocketId: z.string(),
    closeCode: z.int(),
    reason: z.string(),
    at: z.int(),
  }),
  z.object({
    type: z.literal('seen'),
    controllerId: z.uuid(),
    at: z.int(),
  }),
  z.object({
    type: z.literal('auth_failed'),
    controllerId: z.uuid(),
    remoteAddress: z.string(),
    reason: z.enum(['bad_secret', 'conflict', 'quarantined']),
    at: z.int(),
  }),
])
export type GatewayEvent = z.infer<typeof GatewayEvent>

/** One metrics or log message of one device. `stream` + `seq` identify it for ever: a repeat is stored once. */
export const IngestBatch = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('metrics'),
    controllerId: z.uuid(),
    stream: z.string(),
    seq: z.int().nullable(),
    receivedAt: z.int(),
    items: z.array(MetricItem),
  }),
  z.object({
    kind: z.literal('log'),
    controllerId: z.uuid(),
    stream: z.string(),
    seq: z.int().nullable(),
    receivedAt: z.int(),
    items: z.array(LogItem),
  }),
])
export type IngestBatch = z.infer<typeof IngestBatch>

/** What was asked of one controller's pages since the last report; bytes of bodies. */
export const PageFigures = z.object({
  controllerId: z.uuid(),
  requests: z.int().nonnegative(),
  /** Answered without the device, or with no more than a word of it that nothing changed. */
  fromCache: z.int().nonnegative(),
  /** Answered by what the device sent to somebody else at the same time. */
  coalesced: z.int().nonnegative(),
  bytesToUsers: z.int().nonnegative(),
  bytesFromDevice: z.int().nonnegative(),
})
export type PageFigures = z.infer<typeof PageFigures>

export const QueuedCommand = z.object({
  controllerId: z.uuid(),
  id: z.uuid(),
  name: z.string(),
  params: z.json(),
  expiresAt: z.int(),
})
export type QueuedCommand = z.infer<typeof QueuedCommand>

/** Why an activation was refused; the device hears the same neutral words for all but `expired`. */
export const ActivationRefusal = z.enum(['invalid', 'expired', 'mac_taken', 'limit_reached', 'busy'])
export type ActivationRefusal = z.infer<typeof ActivationRefusal>

const Issued = z.object({ controller: ControllerRecord, secret: z.string() })

/** Names an object of a cluster that declares a controller. */
const EnrolmentName = { namespace: z.string().min(1).max(63), name: z.string().min(1).max(253) }

/** A controller as an object of a cluster declares it. */
export const Declaration = z.object({
  ...EnrolmentName,
  mac: z.string().regex(/^([0-9A-F]{2}:){5}[0-9A-F]{2}$/),
  /** E-mail of the account in whose own workspace it is. */
  owner: z.string().toLowerCase().max(255),
  /** Null: whatever the portal says. */
  displayName: z.string().min(1).max(100).nullable(),
  tags: z.array(z.string().min(1).max(40)).max(20),
  /** E-mails of people who may look at it without being members of the workspace. */
  sharedWith: z.array(z.string().toLowerCase().max(255)).max(50),
  suspended: z.boolean(),
  /** Null: no token is wanted. `tokenHash`: hex SHA-256 of the token that is known there; null where none is. */
  activation: z.object({ tokenHash: z.string().nullable() }).nullable(),
})
export type Declaration = z.infer<typeof Declaration>

export const EnrolmentRefusal = z.enum([
  'owner_unknown',
  'mac_taken',
  'declared_elsewhere',
  'limit_reached',
  'too_many_tags',
  'removed',
])
export type EnrolmentRefusal = z.infer<typeof EnrolmentRefusal>

/** What a declared controller is now. Times in ms since 1970. */
export const Enrolled = z.object({
  controllerId: z.uuid(),
  state: z.enum(['pending', 'online', 'offline', 'suspended']),
  url: z.string(),
  firmwareVersion: z.string().nullable(),
  shard: z.string().nullable(),
  lastSeenAt: z.int().nullable(),
  /** Whether a device has been activated as it. */
  registered: z.boolean(),
  /** A token that was made just now, shown this once; null where the known one is good, or none is needed. */
  activation: z
    .object({ token: z.string(), activateUrl: z.string(), tunnelUrl: z.string(), expiresAt: z.int() })
    .nullable(),
  /** Declared fields that people changed in the portal since they were applied. */
  drift: z.array(
    z.object({ field: z.enum(['displayName', 'tags']), declared: z.string(), actual: z.string() }),
  ),
  /** Those of `sharedWith` who have no account. */
  unknownPeople: z.array(z.string()),
})
export type Enrolled = z.infer<typeof Enrolled>

/** A person's sign-in to one controller's own page (HTTP Basic or Digest). */
export const PageCredential = z.object({
  scheme: z.enum(['basic', 'digest']),
  /** As the device called it; text for people. */
  realm: z.string().max(200),
  username: z.string().max(256),
  password: z.string().max(1_024),
  /** The device's port that it is for; null: that of its page. */
  port: z.int().min(1).max(65_535).nullable(),
})
export type PageCredential = z.infer<typeof PageCredential>

/** Where gateways keep sign-ins that are not to be remembered, sealed, in the shared store. @param holder A user's id. */
export function pageCredentialKey(controllerId: string, holder: string): string {
  return `wmoc:vault:${controllerId}:${holder}`
}

const CredentialOwner = { userId: z.uuid(), controllerId: z.uuid() }

/**
 * The internal endpoints: `POST /internal/<name>`, body `input`, 200 with `output`.
 * Errors are problem+json; 503 with Retry-After when Postgres is away (the gateway keeps and repeats).
 */
export const CONTROL_PLANE = {
  /** First connection with a portal token. Exactly one caller per token gets `issued`. */
  'activations/redeem': {
    input: z.object({ token: z.string(), device: DeviceDescription }),
    output: z.discriminatedUnion('outcome', [
      z.object({ outcome: z.literal('issued'), ...Issued.shape }),
      z.object({ outcome: z.literal('refused'), reason: ActivationRefusal }),
    ]),
  },
  /** A device without secret asks to be claimed. Also repeated when a code has run out while the socket stays open. */
  'activations/open': {
    input: z.object({ device: DeviceDescription }),
    output: z.discriminatedUnion('outcome', [
      z.object({
        outcome: z.literal('opened'),
        claimId: z.uuid(),
        /** Proves to `collect` that the asker is the opener. */
        claimSecret: z.string(),
        userCode: z.string(),
        verificationUri: z.string(),
        verificationUriComplete: z.string(),
        expiresAt: z.int(),
      }),
      z.object({ outcome: z.literal('refused'), reason: ActivationRefusal }),
    ]),
  },
  /** Asked after `claim_confirmed` was published, and every few seconds as a safety net. The secret is made here, once. */
  'activations/collect': {
    input: z.object({ claimId: z.uuid(), claimSecret: z.string() }),
    output: z.discriminatedUnion('outcome', [
      z.object({ outcome: z.literal('issued'), ...Issued.shape }),
      z.object({ outcome: z.literal('waiting') }),
      z.object({ outcome: z.literal('gone') }),
    ]),
  },
  /** Records of controllers; unknown ids are left out. By id for tunnels, by label for own-origin pages. */
  'controllers/lookup': {
    input: z.object({ ids: z.array(z.uuid()).max(500), labels: z.array(z.string()).max(500) }),
    output: z.object({ controllers: z.array(ControllerRecord) }),
  },
  /** A rotation is pending and the device proved its current secret: makes the secret of the next slot. */
  'credentials/issue': {
    input: z.object({ controllerId: z.uuid() }),
    output: z.discriminatedUnion('outcome', [
      z.object({ outcome: z.literal('issued'), ...Issued.shape }),
      z.object({ outcome: z.literal('not_pending') }),
    ]),
  },
  /** The device came back with the secret of the next slot: it becomes the current one, the old one ends. */
  'credentials/promote': {
    input: z.object({ controllerId: z.uuid(), verifier: z.string() }),
    output: z.object({ controller: ControllerRecord }),
  },
  /** May this person reach these controllers, and as what? Cached ≤ 30 s by the gateway; `access_changed` invalidates. */
  'access/check': {
    input: z.object({ checks: z.array(z.object({ userId: z.uuid(), controllerId: z.uuid() })).max(500) }),
    output: z.object({ roles: z.array(Role.nullable()) }),
  },
  /** A browser opened `/c/{id}/…`: whose session does this refresh cookie belong to? Never rotates it. */
  'sessions/identify': {
    input: z.object({ refreshToken: z.string() }),
    output: z.object({ userId: z.uuid().nullable(), sessionId: z.uuid().nullable() }),
  },
  /** Are these sign-in sessions still alive? Page cookies are bound to one. */
  'sessions/alive': {
    input: z.object({ sessionIds: z.array(z.uuid()).max(500) }),
    output: z.object({ alive: z.array(z.boolean()) }),
  },
  /** A guest shows the token of a shared link. Null: unknown, expired, withdrawn, or another controller's. */
  'page-links/check': {
    /** `tokenHash`: hex SHA-256 of the token. */
    input: z.object({ controllerId: z.uuid(), tokenHash: z.string().regex(/^[0-9a-f]{64}$/) }),
    output: z.object({ link: PageLink.nullable() }),
  },
  /** Are these shared links still good? Open pages of guests are bound to one; `page_link_ended` invalidates. */
  'page-links/alive': {
    input: z.object({ linkIds: z.array(z.uuid()).max(500) }),
    output: z.object({ alive: z.array(z.boolean()) }),
  },
  events: {
    input: z.object({ events: z.array(GatewayEvent).max(1_000) }),
    output: z.object({ accepted: z.int() }),
  },
  /** Answers only after commit: `stored` (now or earlier) may be acknowledged to the device. */
  ingest: {
    input: z.object({ batches: z.array(IngestBatch).max(500) }),
    output: z.object({ results: z.array(z.enum(['stored', 'refused'])) }),
  },
  /** `stream` and `seq` identify a report for ever: a repeat is counted once. Unknown controllers are left out. */
  'page-figures/report': {
    input: z.object({
      stream: z.string().max(100),
      seq: z.int().nonnegative(),
      /** UTC. */
      day: z.iso.date(),
      figures: z.array(PageFigures).max(1_000),
    }),
    output: z.object({ accepted: z.int() }),
  },
  /** Marks the queued commands of connected controllers as sent and returns them with those sent but unanswered. */
  'commands/take': {
    input: z.object({ controllerIds: z.array(z.uuid()).max(500) }),
    output: z.object({ commands: z.array(QueuedCommand) }),
  },
  'commands/results': {
    input: z.object({
      results: z
        .array(
          z.object({
            controllerId: z.uuid(),
            id: z.uuid(),
            ok: z.boolean(),
            result: z.json().optional(),
            error: z.string().max(1_000).optional(),
          }),
        )
        .max(500),
    }),
    output: z.object({ accepted: z.int() }),
  },
  /**
   * Makes what an object declares so, and says what it is now; may be repeated at any time. A declared field is written
   * when it changed since it was last applied: what people change in the portal afterwards stays, and is told as drift.
   */
  'enrolments/declare': {
    input: Declaration,
    output: z.discriminatedUnion('outcome', [
      z.object({ outcome: z.literal('enrolled'), ...Enrolled.shape }),
      /** `detail` is for people: what is wrong and what to do. */
      z.object({ outcome: z.literal('refused'), reason: EnrolmentRefusal, detail: z.string() }),
    ]),
  },
  /** The object is gone. A controller that no device was activated as goes with it, others by `delete`. */
  'enrolments/withdraw': {
    input: z.object({ ...EnrolmentName, delete: z.boolean() }),
    output: z.object({ controller: z.enum(['kept', 'deleted', 'none']) }),
  },
  /** The sign-in that this person asked to remember. Cached ≤ 60 s by the gateway; `page_credentials_changed` invalidates. */
  'page-credentials/get': {
    input: z.object(CredentialOwner),
    output: z.object({
      remembered: z.object({ credential: PageCredential, savedAt: z.int() }).nullable(),
    }),
  },
  /** In place of what was kept before. `kept` false: the person has no access to the controller. */
  'page-credentials/put': {
    input: z.object({ ...CredentialOwner, credential: PageCredential }),
    output: z.object({ kept: z.boolean() }),
  },
  /** The device refused it: what was saved since `savedAt` stays. */
  'page-credentials/forget': {
    input: z.object({ ...CredentialOwner, savedAt: z.int() }),
    output: z.object({ forgotten: z.boolean() }),
  },
  /** What a person who waits for a controller is told. Times in ms since 1970; an unknown id looks like one that was never seen. */
  'controllers/away': {
    input: z.object({ controllerId: z.uuid() }),
    output: z.object({ lastSeenAt: z.int().nullable(), queuedCommands: z.int() }),
  },
} as const

export type ControlPlaneCall = keyof typeof CONTROL_PLANE
export type ControlPlaneInput<C extends ControlPlaneCall> = z.infer<(typeof CONTROL_PLANE)[C]['input']>
export type ControlPlaneOutput<C extends ControlPlaneCall> = z.infer<(typeof CONTROL_PLANE)[C]['output']>

/** `GET /internal/jwks`: the public keys (RFC 7517) that access tokens are verified with. */
export const JWKS_PATH = '/internal/jwks'

/** The pub/sub channel from the API and the worker to every gateway shard, and from one shard to all. */
export const GATEWAY_CHANNEL = 'wmoc:gateway'

/** What is published on GATEWAY_CHANNEL; by the API unless it says otherwise. */
export const GatewayNotice = z.discriminatedUnion('type', [
  /** The controller was deleted or released: close 4403, end its live requests, forget it. */
  z.object({ type: z.literal('revoked'), controllerId: z.uuid() }),
  /** Record changed (rotation asked, label rotated, tier changed): read it again. */
  z.object({ type: z.literal('controller_changed'), controllerId: z.uuid() }),
  /** Someone's access ended or changed: forget the cached answer, end live requests that lost it. */
  z.object({
    type: z.literal('access_changed'),
    userId: z.uuid().nullable(),
    controllerId: z.uuid().nullable(),
  }),
  /** A sign-in session ended: page cookies bound to it end. */
  z.object({ type: z.literal('session_ended'), sessionIds: z.array(z.uuid()) }),
  /** Shared links were withdrawn: pages that were opened by them end. */
  z.object({ type: z.literal('page_link_ended'), linkIds: z.array(z.uuid()).max(500) }),
  /** From a shard to the others: this page was closed for good. `page` is the id inside its capability. */
  z.object({ type: z.literal('page_revoked'), controllerId: z.uuid(), page: z.string().max(64) }),
  /** From a shard to the others: something was changed at the device, so that what is kept of its page may be old. */
  z.object({ type: z.literal('page_changed'), controllerId: z.uuid() }),
  /** From the API or a shard: a person's sign-in to a device's page was made or forgotten. */
  z.object({ type: z.literal('page_credentials_changed'), ...CredentialOwner }),
  z.object({ type: z.literal('commands_queued'), controllerId: z.uuid() }),
  z.object({ type: z.literal('claim_confirmed'), claimId: z.uuid() }),
])
export type GatewayNotice = z.infer<typeof GatewayNotice>

/** Claims of an access token (JWS, EdDSA, `kid` from our own key set). */
export const AccessTokenClaims = z.object({
  iss: z.literal('wmoc'),
  aud: z.literal('wmoc'),
  sub: z.uuid(),
  /** Sign-in session. */
  sid: z.uuid(),
  typ: z.literal('access'),
  iat: z.int(),
  exp: z.int(),
})
export type AccessTokenClaims = z.infer<typeof AccessTokenClaims>
