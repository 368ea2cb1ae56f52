/**
 * The API as the gateway sees it, for one user and many controllers of his: real keys, real records, no database. So the
 * gateway does all of its own work (signatures, access, limits, sessions, metrics) and nothing else is measured.
 */
import { generateKeyPairSync, randomBytes, randomUUID, sign } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { hmacSha256Hex } from '@wmoc/platform/ids'
import { CONTROL_PLANE, JWKS_PATH } from '@wmoc/protocol/control-plane'
import type { ControllerRecord, ControlPlaneCall } from '@wmoc/protocol/control-plane'

export interface BenchControlPlane {
  readonly url: string
  /** Bearer of the user. */
  readonly accessToken: string
  /** A claimed controller's credentials. */
  addController(): { controllerId: string; secret: string }
  stop(): Promise<void>
}

const TOKEN_LIFE_SEC = 24 * 3_600

/** @param credentialKey The gateway's DEVICE_CREDENTIAL_KEY. */
export async function startControlPlane(credentialKey: string): Promise<BenchControlPlane> {
  const userId = randomUUID()
  const sessionId = randomUUID()
  const controllers = new Map<string, ControllerRecord>()
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const kid = randomUUID()
  const jwks = { keys: [{ ...publicKey.export({ format: 'jwk' }), kid, alg: 'EdDSA', use: 'sig' }] }

  function addController(): { controllerId: string; secret: string } {
    const secret = randomBytes(32).toString('base64url')
    const controllerId = randomUUID()
    controllers.set(controllerId, {
      controllerId,
      workspaceId: userId,
      state: 'active',
      verifiers: [hmacSha256Hex(credentialKey, secret)],
      rotationPending: false,
      pageLabel: randomBytes(8).toString('hex'),
      accessEpoch: 1,
      name: 'bench',
      // The limit is decided for every request and never reached.
      requestsPerMinute: 100_000_000,
      pageCache: 'private',
      firmwareVersion: null,
    })
    return { controllerId, secret }
  }

  function answer(call: ControlPlaneCall, text: unknown): unknown {
    switch (call) {
      case 'controllers/lookup': {
        const { ids } = CONTROL_PLANE[call].input.parse(text)
        return { controllers: ids.flatMap((id) => controllers.get(id) ?? []) }
      }
      case 'access/check': {
        const { checks } = CONTROL_PLANE[call].input.parse(text)
        return { roles: checks.map((check) => (check.userId === userId ? 'owner' : null)) }
      }
      case 'sessions/alive': {
        const { sessionIds } = CONTROL_PLANE[call].input.parse(text)
        return { alive: sessionIds.map((id) => id === sessionId) }
      }
      case 'events':
        return { accepted: CONTROL_PLANE[call].input.parse(text).events.length }
      case 'ingest':
        return { results: CONTROL_PLANE[call].input.parse(text).batches.map(() => 'stored') }
      case 'commands/take':
        return { commands: [] }
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
      case 'page-credentials/get':
        return { remembered: null }
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
    stop() {
      return new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
    },
  }
}
