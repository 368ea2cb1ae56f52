/**
 * Who is signed in, and a fresh access token for whoever asks. No DOM: locks, channel and clock come in, so tests run
 * two tabs in one process.
 */
import type { SignedIn } from '@wmoc/api/contracts/auth'

export type SessionState =
  | { readonly status: 'unknown' | 'signed-out'; readonly user: null }
  | { readonly status: 'signed-in'; readonly user: SignedIn['user'] }

export type SessionMessage =
  | { type: 'renewed'; signedIn: SignedIn; expiresAtMs: number }
  | { type: 'signed-out' }

export interface SessionDeps {
  /** `POST /api/auth/refresh`; rejects with an error whose `status` is 401 when the session has ended. */
  readonly refresh: () => Promise<SignedIn>
  /** Runs `task` while no other tab runs one (navigator.locks). */
  readonly exclusively: <T>(task: () => Promise<T>) => Promise<T>
  /** Tells the other tabs. */
  readonly tell: (message: SessionMessage) => void
  /** Survives a reload and is seen by all tabs: when the cookie was last exchanged, ms; null: nobody is signed in. */
  readonly mark: { get(): number | null; set(value: number | null): void }
  readonly now: () => number
  readonly sleep: (ms: number) => Promise<void>
  readonly onChange: (state: SessionState) => void
}

export interface Session {
  state(): SessionState
  /** When the present token runs out, ms; null without one. */
  expiresAtMs(): number | null
  /** At start: picks the session up if this browser has one. Rejects only when nobody answered. */
  restore(): Promise<void>
  /** A token that lives long enough for one request; null when signed out. */
  getToken(): Promise<string | null>
  /** A token other than `rejected`, which the server answered with 401; null when the session has ended. */
  replaceToken(rejected: string): Promise<string | null>
  /** Exchanges the cookie now, ahead of expiry. */
  renew(): Promise<string | null>
  accept(signedIn: SignedIn): void
  updateUser(user: SignedIn['user']): void
  end(): void
  /** A message from another tab. */
  receive(message: SessionMessage): void
}

/** A token that would die on the way is no token. */
const SPARE_MS = 15_000
/** The longest we wait for another tab's news after it has exchanged the cookie. */
const NEWS_MS = 1_000

export function createSession(deps: SessionDeps): Session {
  let state: SessionState = { status: 'unknown', user: null }
  let token: { value: string; expiresAtMs: number } | null = null
  let renewing: Promise<string | null> | null = null

  function change(next: SessionState): void {
    state = next
    deps.onChange(next)
  }

  function take(signedIn: SignedIn, expiresAtMs: number): void {
    token = { value: signedIn.accessToken, expiresAtMs }
    change({ status: 'signed-in', user: signedIn.user })
  }

  function drop(): void {
    token = null
    if (state.status !== 'signed-out') change({ status: 'signed-out', user: null })
  }

  function accept(signedIn: SignedIn): void {
    const expiresAtMs = deps.now() + signedIn.expiresIn * 1_000
    take(signedIn, expiresAtMs)
    deps.mark.set(deps.now())
    deps.tell({ type: 'renewed', signedIn, expiresAtMs })
  }

  function end(): void {
    deps.mark.set(null)
    drop()
    deps.tell({ type: 'signed-out' })
  }

  /** Another tab exchanged the cookie while we waited for the lock: its news is on the way. */
  async function hearNews(before: string | undefined): Promise<string | null> {
    for (let waitedMs = 0; waitedMs < NEWS_MS; waitedMs += 50) {
      if (token && token.value !== before) return token.value
      // oxlint-disable-next-line eslint/no-await-in-loop -- waiting is the point
      await deps.sleep(50)
    }
    return null
  }

  async function exchange(): Promise<string | null> {
    const before = { token: token?.value, mark: deps.mark.get() }
    return deps.exclusively(async () => {
      const news = deps.mark.get() === before.mark ? null : await hearNews(before.token)
      if (news !== null) return news
      try {
        accept(await deps.refresh())
        return token?.value ?? null
      } catch (error) {
        if ((error as { status?: number }).status !== 401) throw error
        end()
        return null
      }
    })
  }

  function renew(): Promise<string | null> {
    renewing ??= exchange().finally(() => {
      renewing = null
    })
    return renewing
  }

  return {
    state: () => state,
    expiresAtMs: () => token?.expiresAtMs ?? null,
    async restore() {
      if (deps.mark.get() === null) drop()
      else await renew()
    },
    async getToken() {
      if (token && token.expiresAtMs - SPARE_MS > deps.now()) return token.value
      return state.status === 'signed-out' ? null : renew()
    },
    async replaceToken(rejected) {
      if (token && token.value !== rejected) return token.value
      return state.status === 'signed-out' ? null : renew()
    },
    renew,
    accept,
    updateUser(user) {
      if (state.status === 'signed-in') change({ status: 'signed-in', user })
    },
    end,
    receive(message) {
      if (message.type === 'signed-out') drop()
      else take(message.signedIn, message.expiresAtMs)
    },
  }
}
