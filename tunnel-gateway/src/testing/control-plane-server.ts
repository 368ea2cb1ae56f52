/**
 * A small control plane in memory for tests of the transport: it speaks CONTROL_PLANE over real HTTP and refuses what
 * its schemas refuse. What the API does with it all is tested against the real API.
 */
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { hmacSha256Hex, randomToken, sha256Hex } from '@wmoc/platform/ids'
import { CONTROL_PLANE, JWKS_PATH } from '@wmoc/protocol/control-plane'
import type {
  GatewayEvent,
  ControllerRecord,
  ControlPlaneCall,
  ControlPlaneInput,
  ControlPlaneOutput,
  IngestBatch,
  PageCredential,
  PageLink,
  PageScope,
  QueuedCommand,
  Role,
} from '@wmoc/protocol/control-plane'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'

export const INTERNAL_TOKEN = 'internal-token-for-tests-0123456789'
export const CREDENTIAL_KEY = 'credential-key-for-tests-0123456789'

/** Enrolments are asked for by others. */
type GatewayCall = Exclude<ControlPlaneCall, `enrolments/${string}`>
type Handlers = { [C in GatewayCall]: (input: ControlPlaneInput<C>) => ControlPlaneOutput<C> }

export interface KnownController {
  readonly record: ControllerRecord
  readonly secret: string
}

export interface Person {
  readonly userId: string
  readonly sessionId: string
  readonly refreshToken: string
  readonly accessToken: string
}

export type TestControlPlane = Awaited<ReturnType<typeof startControlPlane>>

export async function startControlPlane() {
  const controllers = new Map<string, ControllerRecord>()
  const tokens = new Set<string>()
  const claims = new Map<string, { secret: string; isConfirmed: boolean; expiresAt: number }>()
  const roles = new Map<string, Role>()
  const sessions = new Map<string, Person>()
  /** By hex SHA-256 of the token. */
  const links = new Map<string, PageLink>()
  const events: GatewayEvent[] = []
  const ingested: IngestBatch[] = []
  const queued: QueuedCommand[] = []
  const results: ControlPlaneInput<'commands/results'>['results'] = []
  const pageFigures: ControlPlaneInput<'page-figures/report'>[] = []
  const calls: ControlPlaneCall[] = []
  const credentials = new Map<string, { credential: PageCredential; savedAt: number }>()
  const state = {
    isAway: false,
    claimTtlMs: 600_000,
    refuse: null as null | 'mac_taken' | 'expired',
    away: { lastSeenAt: null as number | null, queuedCommands: 0 },
  }
  const { publicKey, privateKey } = await generateKeyPair('EdDSA', { extractable: true })
  const jwk = { ...(await exportJWK(publicKey)), kid: 'k1', alg: 'EdDSA', use: 'sig' }

  function addController(changes: Partial<ControllerRecord> = {}): KnownController {
    const secret = randomToken(32)
    const record: ControllerRecord = {
      controllerId: randomUUID(),
      workspaceId: randomUUID(),
      state: 'active',
      verifiers: [hmacSha256Hex(CREDENTIAL_KEY, secret)],
      rotationPending: false,
      pageLabel: `d${randomUUID().slice(0, 8)}`,
      accessEpoch: 1,
      name: 'Boiler',
      requestsPerMinute: 1_000_000,
      pageCache: 'private',
      firmwareVersion: null,
      ...changes,
    }
    controllers.set(record.controllerId, record)
    return { record, secret }
  }

  async function addPerson(): Promise<Person> {
    const userId = randomUUID()
    const sessionId = randomUUID()
    const refreshToken = randomToken(32)
    const accessToken = await sign({ sub: userId, sid: sessionId })
    const person = { userId, sessionId, refreshToken, accessToken }
    sessions.set(sessionId, person)
    return person
  }

  /** A shared link and the token that opens it. */
  function addLink(
    { record }: KnownController,
    scope: PageScope = 'view',
    ttlMs = 3_600_000,
  ): { link: PageLink; token: string } {
    const token = randomToken(32)
    const { controllerId, accessEpoch } = record
    const link = { id: randomUUID(), controllerId, scope, expiresAt: Date.now() + ttlMs, accessEpoch }
    links.set(sha256Hex(token), link)
    return { link, token }
  }

  function sign(given: Record<string, unknown>, header: Record<string, unknown> = {}): Promise<string> {
    const now = Math.floor(Date.now() / 1_000)
    return new SignJWT({ iss: 'wmoc', aud: 'wmoc', typ: 'access', iat: now, exp: now + 900, ...given })
      .setProtectedHeader({ alg: 'EdDSA', kid: 'k1', ...header })
      .sign(privateKey)
  }

  const issue = () => {
    const { record, secret } = addController()
    return { outcome: 'issued', controller: record, secret } as const
  }

  const handlers: Handlers = {
    'activations/redeem': ({ token }) => {
      if (state.refuse !== null) return { outcome: 'refused', reason: state.refuse }
      return tokens.delete(token) ? issue() : { outcome: 'refused', reason: 'invalid' }
    },
    'activations/open': () => {
      if (state.refuse !== null) return { outcome: 'refused', reason: state.refuse }
      const claimId = randomUUID()
      const expiresAt = Date.now() + state.claimTtlMs
      claims.set(claimId, { secret: randomToken(16), isConfirmed: false, expiresAt })
      const verificationUri = 'http://localhost:8080/activate'
      return {
        outcome: 'opened',
        claimId,
        claimSecret: claims.get(claimId)!.secret,
        userCode: 'BCDF-GHJK',
        verificationUri,
        verificationUriComplete: `${verificationUri}#BCDF-GHJK`,
        expiresAt,
      }
    },
    'activations/collect': ({ claimId, claimSecret }) => {
      const claim = claims.get(claimId)
      if (claim === undefined || claim.secret !== claimSecret || claim.expiresAt < Date.now())
        return { outcome: 'gone' }
      if (!claim.isConfirmed) return { outcome: 'waiting' }
      claims.delete(claimId)
      return issue()
    },
    'controllers/lookup': ({ ids, labels }) => ({
      controllers: [...controllers.values()].filter(
        (record) => ids.includes(record.controllerId) || labels.includes(record.pageLabel),
      ),
    }),
    'credentials/issue': ({ controllerId }) => {
      const record = controllers.get(controllerId)
      if (record?.rotationPending !== true) return { outcome: 'not_pending' }
      const secret = randomToken(32)
      const verifiers = [record.verifiers[0]!, hmacSha256Hex(CREDENTIAL_KEY, secret)]
      const next = { ...record, verifiers }
      controllers.set(controllerId, next)
      return { outcome: 'issued', controller: next, secret }
    },
    'credentials/promote': ({ controllerId, verifier }) => {
      const next = { ...controllers.get(controllerId)!, verifiers: [verifier], rotationPending: false }
      controllers.set(controllerId, next)
      return { controller: next }
    },
    'access/check': ({ checks }) => ({
      roles: checks.map(({ userId, controllerId }) => roles.get(`${userId} ${controllerId}`) ?? null),
    }),
    'sessions/identify': ({ refreshToken }) => {
      const person = [...sessions.values()].find((entry) => entry.refreshToken === refreshToken)
      return { userId: person?.userId ?? null, sessionId: person?.sessionId ?? null }
    },
    'sessions/alive': ({ sessionIds }) => ({ alive: sessionIds.map((id) => sessions.has(id)) }),
    'page-links/check': ({ controllerId, tokenHash }) => {
      const link = links.get(tokenHash)
      const isGood = link !== undefined && link.controllerId === controllerId && link.expiresAt > Date.now()
      return { link: isGood ? link : null }
    },
    'page-links/alive': ({ linkIds }) => {
      const alive = new Set(
        [...links.values()].filter(({ expiresAt }) => expiresAt > Date.now()).map(({ id }) => id),
      )
      return { alive: linkIds.map((id) => alive.has(id)) }
    },
    'controllers/away': () => state.away,
    'page-credentials/get': ({ userId, controllerId }) => ({
      remembered: credentials.get(`${userId} ${controllerId}`) ?? null,
    }),
    'page-credentials/put': ({ userId, controllerId, credential }) => {
      credentials.set(`${userId} ${controllerId}`, { credential, savedAt: Date.now() })
      return { kept: true }
    },
    'page-credentials/forget': ({ userId, controllerId, savedAt }) => {
      const kept = credentials.get(`${userId} ${controllerId}`)
      const forgotten = kept !== undefined && kept.savedAt <= savedAt
      if (forgotten) credentials.delete(`${userId} ${controllerId}`)
      return { forgotten }
    },
    events: (input) => ({ accepted: events.push(...input.events) }),
    ingest: ({ batches }) => {
      ingested.push(...batches)
      return { results: batches.map(() => 'stored') }
    },
    'page-figures/report': (input) => {
      pageFigures.push(input)
      return { accepted: input.figures.length }
    },
    'commands/take': ({ controllerIds }) => ({
      commands: queued.filter((command) => controllerIds.includes(command.controllerId)),
    }),
    'commands/results': (input) => ({ accepted: results.push(...input.results) }),
  }

  async function answer(request: IncomingMessage): Promise<{ status: number; body: unknown }> {
    if (state.isAway) return { status: 503, body: {} }
    if (request.headers.authorization !== `Bearer ${INTERNAL_TOKEN}`) return { status: 401, body: {} }
    if (request.url === JWKS_PATH) return { status: 200, body: { keys: [jwk] } }
    const name = (request.url ?? '').replace('/internal/', '') as GatewayCall
    if (handlers[name] === undefined) return { status: 404, body: {} }
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const input = CONTROL_PLANE[name].input.safeParse(JSON.parse(Buffer.concat(chunks).toString()))
    if (!input.success) return { status: 400, body: input.error.issues }
    calls.push(name)
    const handle = handlers[name] as (given: unknown) => unknown
    return { status: 200, body: CONTROL_PLANE[name].output.parse(handle(input.data)) }
  }

  const server = createServer((request, response) => {
    void answer(request).then(({ status, body }) => {
      response.writeHead(status, { 'content-type': 'application/json' })
      response.end(JSON.stringify(body))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    controllers,
    tokens,
    claims,
    roles,
    sessions,
    links,
    events,
    ingested,
    queued,
    results,
    pageFigures,
    calls,
    credentials,
    state,
    addController,
    addPerson,
    addLink,
    sign,
    grant: (person: Person, controllerId: string, role: Role = 'owner') =>
      void roles.set(`${person.userId} ${controllerId}`, role),
    stop: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
