/** Devices that ask for a name and a password, as their own servers do it. */
import { createHash, randomBytes } from 'node:crypto'
import type { RawDevice } from '#src/testing/raw-device.ts'

type Request = Parameters<Parameters<RawDevice['serve']>[0]>[0]
type Reply = ReturnType<Parameters<RawDevice['serve']>[0]>

export const USER = 'admin'
export const PASSWORD = 'tank-7Q'

export interface Protected {
  password: string
  realm: string
  /** `method path authorization` of each request, the last with its scheme only. */
  readonly seen: string[]
  /** All that came of `Authorization`. */
  readonly authorizations: string[]
}

const refuse = (...challenges: string[]): Reply => ({
  status: 401,
  headers: { 'WWW-Authenticate': challenges, 'Content-Type': 'text/html' },
  body: 'Go away',
})

function watch(request: Request, state: Protected): string {
  const given = request.headers?.['authorization']
  const authorization = typeof given === 'string' ? given : ''
  state.seen.push(`${request.method} ${request.path} ${authorization.split(' ', 1)[0]}`.trim())
  if (authorization !== '') state.authorizations.push(authorization)
  return authorization
}

const page = ({ path, method }: Request): Reply => ({
  // No page that anybody rewrites.
  headers: { 'Content-Type': 'text/plain' },
  body: `${method} ${path}`,
})

/** Everything needs Basic. */
export function serveBasic(device: RawDevice, changes: Partial<Protected> = {}): Protected {
  const state: Protected = {
    password: PASSWORD,
    realm: 'Boiler room',
    seen: [],
    authorizations: [],
    ...changes,
  }
  device.serve((request) => {
    const expected = `Basic ${Buffer.from(`${USER}:${state.password}`).toString('base64')}`
    if (watch(request, state) === expected) return page(request)
    return refuse('Negotiate', `Basic realm="${state.realm}", charset="UTF-8"`)
  })
  return state
}

export interface ProtectedByDigest extends Protected {
  /** The nonce is worn out: the next use of it is told so. */
  expire(): void
  /** As small servers do: every refusal makes a new nonce and never says `stale`. */
  isForgetful: boolean
}

/** Everything needs Digest (SHA-256, or MD5 for those that know no better); each use of a nonce must count on. */
export function serveDigest(device: RawDevice, changes: Partial<ProtectedByDigest> = {}): ProtectedByDigest {
  let nonce = randomBytes(12).toString('base64')
  let uses = 0
  const renew = () => {
    nonce = randomBytes(12).toString('base64')
    uses = 0
  }
  const state: ProtectedByDigest = {
    password: PASSWORD,
    realm: 'Relay',
    seen: [],
    authorizations: [],
    expire: renew,
    isForgetful: false,
    ...changes,
  }
  const ask = (stale = '') => {
    if (state.isForgetful) renew()
    const rest = `realm="${state.realm}", qop="auth", nonce="${nonce}", opaque="x"${state.isForgetful ? '' : stale}`
    return refuse(`Digest ${rest}, algorithm=MD5`, `Digest ${rest}, algorithm=SHA-256`)
  }
  device.serve((request) => {
    const authorization = watch(request, state)
    const field = (name: string) =>
      new RegExp(`[ ,]${name}=(?:"([^"]*)"|([^ ,]+))`).exec(authorization)?.slice(1).find(Boolean) ?? ''
    if (!authorization.startsWith('Digest ')) return ask()
    const hash = (text: string) => createHash('sha256').update(text).digest('hex')
    const secret = hash(`${USER}:${state.realm}:${state.password}`)
    const count = parseInt(field('nc'), 16)
    const target = hash(`${request.method}:${request.path}`)
    const mine = hash(`${secret}:${field('nonce')}:${field('nc')}:${field('cnonce')}:auth:${target}`)
    if (mine !== field('response') || field('uri') !== request.path) return ask()
    if (field('nonce') !== nonce || count <= uses) {
      renew()
      return ask(', stale=true')
    }
    uses = count
    return page(request)
  })
  return state
}
