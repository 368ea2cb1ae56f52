/** Signing up and in, and what a person may change about themselves. */
import { appError } from '@wmoc/platform/errors'
import { sha256Hex } from '@wmoc/platform/ids'
import type { Transaction } from 'sequelize'
import type { Kernel } from '#src/kernel/module.ts'
import type { RateLimiter } from '#src/kernel/rate-limit.ts'
import type { Locale } from '#src/kernel/schemas.ts'
import type { Mailer } from '#src/providers/mail/mailer.ts'
import { ACCESS_TTL_S } from './access-tokens.ts'
import type { AccessTokens } from './access-tokens.ts'
import type { Me, Session, SignedIn, Tier } from './contract.ts'
import type { LoginGuard } from './login-guard.ts'
import { mailText } from './mails.ts'
import type { OneTimeTokens } from './one-time-tokens.ts'
import type { Passwords } from './passwords.ts'
import type { Opened, Place, SessionRow, Sessions } from './sessions.ts'
import { presentMe } from './users.ts'
import type { UserRow, Users } from './users.ts'

export const RESET_JOB = 'auth.reset_requested'
const MAIL_LIMIT = { burst: 3, count: 5, periodMs: 60 * 60 * 1_000 }

export interface AuthDeps {
  readonly kernel: Kernel
  readonly users: Users
  readonly sessions: Sessions
  readonly tokens: AccessTokens
  readonly oneTime: OneTimeTokens
  readonly passwords: Passwords
  readonly guard: LoginGuard
  readonly limiter: RateLimiter
  readonly mailer: Mailer
  /** Active controllers in a person's own workspaces. */
  readonly countControllers: (userId: string) => Promise<number>
}

/** A signed-in answer and the cookie that belongs to it; null: the browser keeps the one it has. */
export interface SignInResult {
  readonly signedIn: SignedIn
  readonly refreshToken: string | null
}

export type AuthService = ReturnType<typeof createAuthService>

export function createAuthService(deps: AuthDeps) {
  const { kernel, users, sessions, tokens, oneTime, passwords, guard, limiter, mailer } = deps
  const { db, config, clock, audit, jobs } = kernel
  const link = (path: string) => `${config.PUBLIC_URL}${path}`

  async function me(userId: string, sessionId: string): Promise<Me> {
    const [user, workspaces, controllers] = await Promise.all([
      users.byId(userId),
      users.workspaces(userId),
      deps.countControllers(userId),
    ])
    if (!user) throw appError('session_ended')
    return presentMe(user, { workspaces, controllers, sessionId, now: clock() })
  }

  async function signedIn(opened: Opened): Promise<SignInResult> {
    const [accessToken, user] = await Promise.all([tokens.issue(opened), me(opened.userId, opened.sessionId)])
    return { signedIn: { accessToken, expiresIn: ACCESS_TTL_S, user }, refreshToken: opened.refreshToken }
  }

  async function mailVerification(
    user: Pick<UserRow, 'id' | 'email' | 'locale'>,
    transaction: Transaction,
  ): Promise<void> {
    const token = await oneTime.create(user.id, 'verify_email', transaction)
    const text = mailText('verifyEmail', user.locale, link(`/verify-email#token=${token}`))
    await mailer.send({ to: user.email, ...text }, transaction)
  }

  async function mailSignInHint(email: string, locale: Locale, transaction: Transaction): Promise<void> {
    await mailer.send({ to: email, ...mailText('alreadyRegistered', locale, link('/sign-in')) }, transaction)
  }

  async function setPassword(
    user: UserRow,
    passwordHash: string,
    action: string,
    transaction: Transaction,
  ): Promise<void> {
    await users.update(user.id, { passwordHash }, transaction)
    await mailer.send(
      { to: user.email, ...mailText('passwordChanged', user.locale, link('/forgot-password')) },
      transaction,
    )
    await audit.record(
      { workspaceId: null, actorId: user.id, action, target: `user ${user.id}` },
      transaction,
    )
  }

  return {
    me,

    /** The password is hashed whether the e-mail is known or not: both ways cost the same and answer the same. */
    async register(input: { email: string; password: string; name: string; locale: Locale }): Promise<void> {
      if (!config.REGISTRATION_OPEN) throw appError('registration_closed')
      const passwordHash = await passwords.hash(input.password)
      await db.transaction(async (transaction) => {
        const created = await users.create({ ...input, passwordHash }, transaction)
        if (created) await mailVerification({ ...input, id: created.userId }, transaction)
        else await mailSignInHint(input.email, input.locale, transaction)
      })
    },

    async login(
      input: { email: string; password: string },
      place: Place,
      deviceCookie: string | undefined,
    ): Promise<SignInResult & { deviceCookie: string }> {
      await guard.admit(input.email, deviceCookie)
      const user = await users.byEmail(input.email)
      const matches = await passwords.verify(input.password, user?.passwordHash ?? null)
      if (!user || !matches) throw appError('invalid_credentials')
      const result = await signedIn(await sessions.open(user.id, place))
      return { ...result, deviceCookie: guard.deviceCookie(user.email) }
    },

    async loginByLink(token: string, place: Place): Promise<SignInResult> {
      const opened = await db.transaction(async (transaction) => {
        const userId = await oneTime.take(token, 'sign_in', transaction)
        return userId === null ? null : sessions.open(userId, place, transaction)
      })
      if (!opened) throw appError('token_invalid')
      return signedIn(opened)
    },

    async refresh(refreshToken: string | undefined, place: Place): Promise<SignInResult> {
      const opened = refreshToken === undefined ? null : await sessions.rotate(refreshToken, place)
      if (!opened) throw appError('session_ended')
      return signedIn(opened)
    },

    /** Quiet about a token that is not known: the outcome is the same. */
    async logout(refreshToken: string | undefined): Promise<void> {
      const session = refreshToken === undefined ? null : await sessions.identify(refreshToken)
      if (session) await sessions.end({ userId: session.userId, id: session.sessionId }, 'signed_out')
    },

    async listSessions(userId: string, currentId: string): Promise<Session[]> {
      return (await sessions.list(userId)).map((row) => presentSession(row, currentId))
    },

    async revokeSession(userId: string, id: string): Promise<void> {
      const ended = await sessions.end({ userId, id }, 'revoked')
      if (ended.length === 0) throw appError('not_found')
    },

    async revokeOthers(userId: string, currentId: string): Promise<number> {
      return (await sessions.end({ userId, exceptId: currentId }, 'revoked')).length
    },

    async changePassword(
      caller: { userId: string; sessionId: string },
      input: { currentPassword: string; newPassword: string },
    ): Promise<void> {
      const user = await users.byId(caller.userId)
      await guard.admit(user?.email ?? caller.userId, undefined)
      const matches = await passwords.verify(input.currentPassword, user?.passwordHash ?? null)
      if (!user || !matches) throw appError('invalid_credentials')
      const passwordHash = await passwords.hash(input.newPassword)
      await db.transaction(async (transaction) => {
        await setPassword(user, passwordHash, 'password.changed', transaction)
        await sessions.end({ userId: user.id, exceptId: caller.sessionId }, 'password_changed', transaction)
      })
    },

    /** Only a job looks whether the e-mail is known, so the answer's time can't tell. */
    async requestPasswordReset(email: string): Promise<void> {
      const { allowed } = await limiter.take(`mail-account:${sha256Hex(email)}`, MAIL_LIMIT)
      if (allowed) await jobs.enqueue(RESET_JOB, { email }, {})
    },

    async mailPasswordReset({ email }: { email: string }): Promise<void> {
      const user = await users.byEmail(email)
      if (!user) return
      await db.transaction(async (transaction) => {
        const token = await oneTime.create(user.id, 'reset_password', transaction)
        const text = mailText('resetPassword', user.locale, link(`/reset-password#token=${token}`))
        await mailer.send({ to: user.email, ...text }, transaction)
      })
    },

    /** Whoever has the mail has the address too: the token also confirms it. */
    async resetPassword(input: { token: string; newPassword: string }): Promise<void> {
      const passwordHash = await passwords.hash(input.newPassword)
      await db.transaction(async (transaction) => {
        const userId = await oneTime.take(input.token, 'reset_password', transaction)
        const user = userId === null ? null : await users.byId(userId, transaction)
        if (!user) throw appError('token_invalid')
        await users.markVerified(user.id, transaction)
        await setPassword(user, passwordHash, 'password.reset', transaction)
        await sessions.end({ userId: user.id }, 'password_reset', transaction)
      })
    },

    async verifyEmail(token: string): Promise<void> {
      await db.transaction(async (transaction) => {
        const userId = await oneTime.take(token, 'verify_email', transaction)
        if (userId === null) throw appError('token_invalid')
        await users.markVerified(userId, transaction)
      })
    },

    async requestEmailVerification(userId: string): Promise<void> {
      const user = await users.byId(userId)
      if (!user || user.emailVerifiedAt !== null) return
      await limiter.require(`mail-account:${sha256Hex(user.email)}`, MAIL_LIMIT)
      await db.transaction((transaction) => mailVerification(user, transaction))
    },

    /** For the command line: the person (made if missing, without a password) and a link that signs in once. */
    async createSignInLink(input: {
      email: string
      name: string
      locale: Locale
      tier: Tier
    }): Promise<{ userId: string; url: string }> {
      return db.transaction(async (transaction) => {
        const created = await users.create({ ...input, passwordHash: null, emailVerified: true }, transaction)
        const userId = created?.userId ?? (await users.byEmail(input.email))?.id
        if (userId === undefined) throw appError('conflict')
        const token = await oneTime.create(userId, 'sign_in', transaction)
        return { userId, url: link(`/sign-in#link=${token}`) }
      })
    },
  }
}

function presentSession(row: SessionRow, currentId: string): Session {
  return {
    id: row.id,
    current: row.id === currentId,
    userAgent: row.userAgent,
    remoteAddress: row.remoteAddress,
    createdAt: row.createdAt.toISOString(),
    lastUsedAt: row.lastUsedAt.toISOString(),
    expiresAt: row.expiresAt.toISOString(),
  }
}
