import type { SecretBox } from '@wmoc/platform/secret-box'
import type { Authenticator } from '#src/kernel/authenticator.ts'
import type { Kernel, Module } from '#src/kernel/module.ts'
import type { RateLimiter } from '#src/kernel/rate-limit.ts'
import type { Mailer } from '#src/providers/mail/mailer.ts'
import { createAccessTokens } from './access-tokens.ts'
import type { AccessTokens } from './access-tokens.ts'
import { auth } from './contract.ts'
import { registerAuthJobs } from './jobs.ts'
import { createLoginGuard } from './login-guard.ts'
import { createOneTimeTokens } from './one-time-tokens.ts'
import { createPasswords } from './passwords.ts'
import { authHandlers } from './routes.ts'
import { createAuthService } from './service.ts'
import type { AuthService } from './service.ts'
import { createSessionDirectory } from './session-directory.ts'
import { createSessions } from './sessions.ts'
import type { Sessions } from './sessions.ts'
import { createSigningKeys } from './signing-keys.ts'
import type { SigningKeys } from './signing-keys.ts'
import { createUsers } from './users.ts'
import type { Users } from './users.ts'

export interface AuthModule extends Module {
  readonly service: AuthService
  readonly users: Users
  readonly sessions: Sessions
  readonly tokens: AccessTokens
  readonly keys: SigningKeys
  readonly authenticator: Authenticator
  /** Makes missing keys and listens for sessions that end. */
  start(): Promise<void>
  stop(): Promise<void>
}

/** People, sign-in, sessions. */
export function createAuthModule(
  kernel: Kernel,
  deps: {
    secrets: SecretBox
    limiter: RateLimiter
    mailer: Mailer
    countControllers: (userId: string) => Promise<number>
  },
): AuthModule {
  const { db, clock, config } = kernel
  const keys = createSigningKeys(db, deps.secrets, clock)
  const tokens = createAccessTokens(keys, clock)
  const sessions = createSessions(kernel)
  const users = createUsers(kernel)
  const directory = createSessionDirectory(kernel, { tokens, sessions })
  const service = createAuthService({
    ...deps,
    kernel,
    users,
    sessions,
    tokens,
    oneTime: createOneTimeTokens(db, clock),
    passwords: createPasswords(config.PASSWORD_PEPPER),
    guard: createLoginGuard(deps.limiter, config.PASSWORD_PEPPER),
  })
  return {
    name: 'auth',
    routes: [{ contract: auth, handlers: authHandlers({ service, users }) }],
    internal: {
      'sessions/identify': async ({ refreshToken }: { refreshToken: string }) =>
        (await sessions.identify(refreshToken)) ?? { userId: null, sessionId: null },
      'sessions/alive': async ({ sessionIds }: { sessionIds: string[] }) => {
        const alive = await sessions.alive(sessionIds)
        return { alive: sessionIds.map((id) => alive.has(id)) }
      },
    },
    register: () => registerAuthJobs(kernel, { service, keys }),
    service,
    users,
    sessions,
    tokens,
    keys,
    authenticator: directory,
    async start() {
      await keys.ensure()
      await directory.start()
    },
    stop: () => directory.stop(),
  }
}
