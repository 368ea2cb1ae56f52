/** The portal's one session, its typed client, and the browser's locks, channel and clock around them. */
import { auth } from '@wmoc/api/contracts/auth'
import { commands } from '@wmoc/api/contracts/commands'
import { controllers } from '@wmoc/api/contracts/controllers'
import { events } from '@wmoc/api/contracts/events'
import { notifications } from '@wmoc/api/contracts/notifications'
import { system } from '@wmoc/api/contracts/system'
import { telemetry } from '@wmoc/api/contracts/telemetry'
import { createClient } from '@wmoc/api/client'
import { computed, shallowRef } from 'vue'
import { readStored, store } from '#src/ui/stored.ts'
import { createSession, type SessionMessage, type SessionState } from './session.ts'

const MARK = 'wmoc.session'
/** Renewed this much ahead of expiry, so that no request ever waits for it. */
const AHEAD_MS = 90_000
const RETRY_MS = 10_000

const state = shallowRef<SessionState>({ status: 'unknown', user: null })
const channel = new BroadcastChannel('wmoc.session')
let timer: ReturnType<typeof setTimeout> | undefined

const session = createSession({
  refresh: () => api.auth.refresh(),
  exclusively: (task) => (navigator.locks ? navigator.locks.request('wmoc.session', task) : task()) as never,
  tell: (message) => channel.postMessage(message),
  mark: {
    get: () => Number(readStored(MARK)) || null,
    set: (value) => store(MARK, value === null ? null : String(value)),
  },
  now: () => Date.now(),
  sleep: (ms) => new Promise((done) => setTimeout(done, ms)),
  onChange(next) {
    state.value = next
    schedule()
  },
})

channel.addEventListener('message', (event: MessageEvent<SessionMessage>) => session.receive(event.data))

function schedule(): void {
  clearTimeout(timer)
  const expiresAtMs = session.expiresAtMs()
  if (expiresAtMs === null) return
  timer = setTimeout(renewAhead, Math.max(RETRY_MS, expiresAtMs - AHEAD_MS - Date.now()))
}

function renewAhead(): void {
  session.renew().catch(() => {
    timer = setTimeout(renewAhead, RETRY_MS)
  })
}

/** Sends once more with a new token when the server no longer takes the one we had. */
async function fetchSignedIn(input: RequestInfo | URL, init: RequestInit = {}): Promise<Response> {
  const response = await fetch(input, init)
  const headers = new Headers(init.headers)
  const sent = headers.get('authorization')
  if (response.status !== 401 || sent === null) return response
  const token = await session.replaceToken(sent.replace('Bearer ', ''))
  if (token === null) return response
  await response.body?.cancel()
  headers.set('authorization', `Bearer ${token}`)
  return fetch(input, { ...init, headers })
}

export const api = createClient(
  { auth, commands, controllers, events, notifications, system, telemetry },
  { fetch: fetchSignedIn, getToken: () => session.getToken() },
)

/** Reactive view of the session and what changes it. */
export function useSession() {
  return {
    status: computed(() => state.value.status),
    user: computed(() => state.value.user),
    restore: session.restore,
    accept: session.accept,
    updateUser: session.updateUser,
    /** Ends the session here and in all tabs, whether or not the server could be told. */
    async signOut() {
      await api.auth.logout().catch(() => {})
      session.end()
    },
  }
}
