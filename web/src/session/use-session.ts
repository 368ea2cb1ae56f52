/** The portal's one session, and the browser's locks, channel and clock around it. */
import { auth } from '@wmoc/api/contracts/auth'
import { system } from '@wmoc/api/contracts/system'
import { createClient, type ClientOptions } from '@wmoc/api/client'
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
  refresh: () => guestApi.auth.refresh(),
  exclusively: (task) => (navigator.locks ? navigator.locks.request('wmoc.session', task) : task()),
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

/** How every client of the portal sends. */
export const sending: ClientOptions = { fetch: fetchSignedIn, getToken: () => session.getToken() }

/** What the pages before sign-in need: the other contracts would only make the first of them slower to come. */
export const guestApi = createClient({ auth, system }, sending)

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
      await guestApi.auth.logout().catch(() => {})
      session.end()
    },
  }
}
