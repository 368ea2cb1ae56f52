import { appError } from '@wmoc/platform/errors'
import type { Caller, Handlers, RequestContext } from '#src/kernel/module.ts'
import type { auth, SignedIn } from './contract.ts'
import { DEVICE_COOKIE, DEVICE_COOKIE_MS } from './login-guard.ts'
import type { AuthService, SignInResult } from './service.ts'
import { SESSION_TTL_MS } from './sessions.ts'
import type { Place } from './sessions.ts'
import type { Users } from './users.ts'

/** `__Host-`: only this host over TLS (or localhost) can set it, for the whole host; devices' subdomains can't. */
export const REFRESH_COOKIE = '__Host-wmoc_refresh'

/** Contract → service. The refresh token travels in its cookie only. */
export function authHandlers({
  service,
  users,
}: {
  service: AuthService
  users: Users
}): Handlers<typeof auth> {
  return {
    register: async ({ body }) => {
      await service.register(body)
      return { status: 'verification_sent' }
    },
    login: async ({ body }, context) => {
      const result = await service.login(body, placeOf(context), context.cookies.get(DEVICE_COOKIE))
      context.setCookie(DEVICE_COOKIE, result.deviceCookie, { maxAgeMs: DEVICE_COOKIE_MS })
      return answer(result, context)
    },
    loginByLink: async ({ body }, context) =>
      answer(await service.loginByLink(body.token, placeOf(context)), context),
    refresh: async (_input, context) => {
      try {
        return answer(await service.refresh(context.cookies.get(REFRESH_COOKIE), placeOf(context)), context)
      } catch (error) {
        if (error instanceof Error && 'code' in error && error.code === 'session_ended') {
          context.clearCookie(REFRESH_COOKIE)
        }
        throw error
      }
    },
    logout: async (_input, context) => {
      await service.logout(context.cookies.get(REFRESH_COOKIE))
      context.clearCookie(REFRESH_COOKIE)
    },
    me: async (_input, context) => {
      const { userId, sessionId } = callerOf(context)
      return service.me(userId, sessionId)
    },
    updateMe: async ({ body }, context) => {
      const { userId, sessionId } = callerOf(context)
      await users.update(userId, body)
      return service.me(userId, sessionId)
    },
    listSessions: async (_input, context) => {
      const { userId, sessionId } = callerOf(context)
      return { items: await service.listSessions(userId, sessionId) }
    },
    revokeSession: async ({ params }, context) => {
      await service.revokeSession(callerOf(context).userId, params.id)
    },
    revokeOtherSessions: async (_input, context) => {
      const { userId, sessionId } = callerOf(context)
      return { revoked: await service.revokeOthers(userId, sessionId) }
    },
    changePassword: async ({ body }, context) => {
      await service.changePassword(callerOf(context), body)
    },
    requestPasswordReset: async ({ body }) => {
      await service.requestPasswordReset(body.email)
      return { status: 'sent_if_known' }
    },
    resetPassword: async ({ body }) => {
      await service.resetPassword(body)
    },
    verifyEmail: async ({ body }) => {
      await service.verifyEmail(body.token)
    },
    requestEmailVerification: async (_input, context) => {
      await service.requestEmailVerification(callerOf(context).userId)
      return { status: 'sent' }
    },
  }
}

function answer({ signedIn, refreshToken }: SignInResult, context: RequestContext): SignedIn {
  if (refreshToken !== null) context.setCookie(REFRESH_COOKIE, refreshToken, { maxAgeMs: SESSION_TTL_MS })
  return signedIn
}

function placeOf({ userAgent, remoteAddress }: RequestContext): Place {
  return { userAgent, remoteAddress }
}

function callerOf({ caller }: RequestContext): Caller {
  if (!caller) throw appError('unauthenticated')
  return caller
}
