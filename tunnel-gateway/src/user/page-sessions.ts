/** How a browser gets from the portal to a device's own origin: a one-time code, then a cookie of that origin. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createHmac } from 'node:crypto'
import { appError } from '@wmoc/platform/errors'
import { randomToken, safeEqual } from '@wmoc/platform/ids'
import type { Store } from '@wmoc/platform/store'
import type { ControllerRecord } from '@wmoc/protocol/control-plane'
import { z } from 'zod'
import type { ControlPlane } from '#src/control-plane/client.ts'
import { readCookie } from '#src/core/cookie-rules.ts'
import {
  PAGE_COOKIE,
  PAGE_COOKIE_RENEW_MS,
  PAGE_COOKIE_TTL_MS,
  pageCookieHeader,
  readPageCookie,
  writePageCookie,
} from '#src/core/page-cookie.ts'
import type { PageSession } from '#src/core/page-cookie.ts'
import { samePagePath } from '#src/core/request-path.ts'
import type { Gatekeeper, Principal } from './principal.ts'
import { redirect } from './problem.ts'

const REFRESH_COOKIE = '__Host-wmoc_refresh'
const CODE_TTL_MS = 30_000

const Entry = z.object({
  userId: z.uuid(),
  sessionId: z.uuid(),
  controllerId: z.uuid(),
  path: z.string(),
})

export interface PageSessions {
  /** `/c/{id}/…` opened in a browser: on to the device's origin, or to the portal's sign-in. */
  leavePortal(
    request: IncomingMessage,
    response: ServerResponse,
    controllerId: string,
    path: string,
  ): Promise<void>
  /** `/_wmoc/enter?code=…` on the device's origin. */
  enter(response: ServerResponse, target: string, record: ControllerRecord): Promise<void>
  /** Who the cookie says it is, while all that it rests on still holds; with a new cookie when it is time. */
  recognise(
    request: IncomingMessage,
    record: ControllerRecord,
  ): Promise<{ principal: Principal; setCookie: string | null } | null>
}

export function createPageSessions(options: {
  controlPlane: ControlPlane
  gatekeeper: Gatekeeper
  store: Store
  cookieKey: string
  scheme: 'http' | 'https'
  deviceDomain: string
  portalOrigin: string
}): PageSessions {
  const { gatekeeper, store } = options
  const sign = (text: string) => createHmac('sha256', options.cookieKey).update(text).digest('base64url')

  function makeCookie(principal: Principal, record: ControllerRecord): string {
    const { controllerId, pageLabel: label, accessEpoch } = record
    const expiresAt = Date.now() + PAGE_COOKIE_TTL_MS
    return pageCookieHeader(
      writePageCookie({ ...principal, controllerId, label, accessEpoch, expiresAt }, sign),
    )
  }

  async function identify(request: IncomingMessage): Promise<Principal | null> {
    const refreshToken = readCookie(request.headers.cookie ?? '', REFRESH_COOKIE)
    if (refreshToken === null || refreshToken === '') return null
    const { userId, sessionId } = await options.controlPlane.call('sessions/identify', { refreshToken })
    return userId === null || sessionId === null ? null : { userId, sessionId }
  }

  function fits(session: PageSession, record: ControllerRecord): boolean {
    return (
      session.controllerId === record.controllerId &&
      session.label === record.pageLabel &&
      session.accessEpoch === record.accessEpoch &&
      session.expiresAt > Date.now()
    )
  }

  return {
    async leavePortal(request, response, controllerId, path) {
      const principal = await identify(request)
      if (principal === null) {
        const next = encodeURIComponent(`/c/${controllerId}${path}`)
        return redirect(response, 303, `${options.portalOrigin}/sign-in?next=${next}`)
      }
      const record = await gatekeeper.admit(principal, controllerId, 'GET')
      const code = randomToken(32)
      const entry = { ...principal, controllerId, path: samePagePath(path) }
      const isKept = await store.set(codeKey(code), JSON.stringify(entry), {
        ttlMs: CODE_TTL_MS,
        ifAbsent: true,
      })
      if (!isKept) throw appError('busy', { retryAfterMs: 1_000 })
      redirect(
        response,
        303,
        `${options.scheme}://${record.pageLabel}.${options.deviceDomain}/_wmoc/enter?code=${code}`,
      )
    },

    async enter(response, target, record) {
      const code = /^\/_wmoc\/enter\?code=([A-Za-z0-9_-]{43})$/.exec(target)?.[1]
      const text = code === undefined ? null : await store.take(codeKey(code))
      const entry = text === null ? undefined : Entry.safeParse(JSON.parse(text)).data
      if (entry === undefined || entry.controllerId !== record.controllerId) {
        // Used, too old, or another device's: the portal knows whether there still is a session.
        return redirect(response, 303, `${options.portalOrigin}/c/${record.controllerId}/`)
      }
      const { userId, sessionId } = entry
      if (!(await gatekeeper.isAlive(sessionId))) throw appError('session_ended')
      await gatekeeper.admit(entry, record.controllerId, 'GET')
      redirect(response, 303, entry.path, ['Set-Cookie', makeCookie({ userId, sessionId }, record)])
    },

    async recognise(request, record) {
      const value = readCookie(request.headers.cookie ?? '', PAGE_COOKIE)
      const session = value === null ? null : readPageCookie(value, sign, safeEqual)
      if (session === null || !fits(session, record)) return null
      if (!(await gatekeeper.isAlive(session.sessionId))) return null
      const principal = { userId: session.userId, sessionId: session.sessionId }
      const isOld = session.expiresAt - Date.now() < PAGE_COOKIE_TTL_MS - PAGE_COOKIE_RENEW_MS
      return { principal, setCookie: isOld ? makeCookie(principal, record) : null }
    },
  }
}

function codeKey(code: string): string {
  return `wmoc:enter:${code}`
}
