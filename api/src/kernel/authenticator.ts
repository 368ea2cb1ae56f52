import type { Caller } from './module.ts'

/** Who is behind an access token. The auth module implements it; the binding and the streams ask it. */
export interface Authenticator {
  /**
   * Throws 401 `unauthenticated` for anything but a token of ours that is still good, `session_ended` where its session
   * is over (known within seconds on every instance), 503 `dependency_unavailable` without the database.
   */
  authenticate(token: string): Promise<Caller & { readonly requestsPerMinute: number }>
  /** Calls back once when the session ends, within 5 s. The answer stops watching. */
  watch(sessionId: string, onEnd: () => void): () => void
}
