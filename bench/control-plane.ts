/**
 * The API as the gateway sees it, for one user and many controllers of his: real keys, real records, no database. So the
 * gateway does all of its own work (signatures, access, limits, sessions, metrics) and nothing else is measured.
 */
import { generateKeyPairSync, randomBytes, randomUUID, sign } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { hmacSha256Hex } from '@wmoc/platform/ids'
import { CONTROL_PLANE, JWKS_PATH } from '@wmoc/protocol/control-plane'
import type { ControllerRecord, ControlPlaneCall, PageCacheMode } from '@wmoc/protocol/control-plane'

export interface BenchControlPlane {
  readonly url: string
  /** Bearer of the user. */
  readonly accessToken: string
  /** A claimed controller's credentials. */
  addController(pageCache?: PageCacheMode): { controllerId: string; secret: string; pageLabel: string }
  /** Somebody else who is signed in and may reach all controllers. */
  addPerson(): { refreshToken: string }
  stop(): Promise<void>
}

const TOKEN_LIFE_SEC = 24 * 3_600

/** @param credentialKey The gateway's DEVICE_CREDENTIAL_KEY. */
export async function startControlPlane(credentialKey: string): Promise<BenchControlPlane> {
  const userId = randomUUID()
  const sessionId = randomUUID()
  const controllers = new Map<string, ControllerRecord>()
  /** By refresh token. */
  const people = new Map([[randomUUID() as string, { userId, sessionId }]])
  const everybody = () => [...people.values()]
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const kid = randomUUID()
  const jwks = { keys: [{ ...publicKey.export({ format: 'jwk' }), kid, alg: 'EdDSA', use: 'sig' }] }

  function addController(pageCache: PageCacheMode = 'private') {
    const secret = randomBytes(32).toString('base64url')
    const pageLabel = randomBytes(8).toString('hex')
    const controllerId = randomUUID()
    controllers.set(controllerId, {
      controllerId,
      workspaceId: userId,
      state: 'active',
      verifiers: [hmacSha256Hex(credentialKey, secret)],
      rotationPending: false,
      pageLabel,
      accessEpoch: 1,
      name: 'bench',
      // The limit is decided for every request and never reached.
      requestsPerMinute: 100_000_000,
      pageCache,
      firmwareVersion: null,
    })
    return { controllerId, secret, pageLabel }
  }

  function addPerson() {
    const refreshToken = randomUUID()
    people.set(refreshToken, { userId: randomUUID(), sessionId: randomUUID() })
    return { refreshToken }
  }

  function answer(call: ControlPlaneCall, text: unknown): unknown {
    switch (call) {
      case 'controllers/lookup': {
        const { ids, labels } = CONTROL_PLANE[call].input.parse(text)
        const named = [...controllers.values()].filter(({ pageLabel }) => labels.includes(pageLabel))
        return { controllers: [...ids.flatMap((id) => controllers.get(id) ?? []), ...named] }
      }
      case 'access/check': {
        const { checks } = CONTROL_PLANE[call].input.parse(text)
        return {
          roles: checks.map((check) =>
            everybody().some((person) => person.userId === check.userId) ? 'owner' : null,
          ),
        }
      }
      case 'sessions/alive': {
        const { sessionIds } = CONTROL_PLANE[call].input.parse(text)
        return { alive: sessionIds.map((id) => everybody().some((person) => person.sessionId === id)) }
      }
      case 'sessions/identify': {
        const { refreshToken } = CONTROL_PLANE[call].input.parse(text)
        return people.get(refreshToken) ?? { userId: null, sessionId: null }
      }
      case 'page-figures/report':
        return { accepted: CONTROL_PLANE[call].input.parse(text).figures.length }
      case 'events':
        return { accepted: CONTROL_PLANE[call].input.parse(text).events.length }
      case 'ingest':
        return { results: CONTROL_PLANE[call].input.parse(text).batches.map(() => 'stored') }
      case 'commands/take':
        return { commands: [] }
      case 'page-credentials/get':
        return { remembered: null }
      default:
        return null
    }
  }

  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const path = request.url ?? ''
      const text = Buffer.concat(chunks).toString()
      const call = path.slice('/internal/'.length) as ControlPlaneCall
      // What is no call with an input is answered as unknown.
      const body = path === JWKS_PATH ? jwks : text === '' ? null : answer(call, JSON.parse(text))
      response.writeHead(body === null ? 404 : 200, { 'content-type': 'application/json' })
      response.end(JSON.stringify(body))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))

  const now = Math.floor(Date.now() / 1_000)
  const claims = {
    iss: 'wmoc',
    aud: 'wmoc',
    sub: userId,
    sid: sessionId,
    typ: 'access',
    iat: now,
    exp: now + TOKEN_LIFE_SEC,
  }
  const signed = [{ alg: 'EdDSA', kid, typ: 'JWT' }, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    accessToken: `${signed}.${sign(null, Buffer.from(signed), privateKey).toString('base64url')}`,
    addController,
    addPerson,
    stop() {
      return new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
    },
  }
}
