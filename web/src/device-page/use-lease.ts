/** A lease on one device's page for as long as the component lives and the document is there. */
import { ApiError, createClient } from '@wmoc/api/client'
import { useEventListener } from '@vueuse/core'
import { onScopeDispose, shallowRef } from 'vue'
import { sending } from '#src/session/use-session.ts'
import { guestPage, memberPage } from './contract.ts'
import { createLease, type LeaseState } from './lease.ts'

const contracts = { guestPage, memberPage }
const calls = createClient(contracts, sending)
/** Leaves also when the document goes. */
const lastCalls = createClient(contracts, {
  ...sending,
  fetch: (input, init) => sending.fetch!(input, { ...init, keepalive: true }),
})

/** `link`: the token of a guest; null for who is signed in. Nothing is asked for before `start`. */
export function useLease(id: string, link: string | null) {
  const state = shallowRef<LeaseState>({ kind: 'opening' })
  const params = { id }
  const kind = link === null ? 'memberPage' : 'guestPage'
  const lease = createLease({
    open: () => calls[kind].open({ params, body: link === null ? {} : { link } }),
    renew: (capability) => calls[kind].renew({ params, body: { capability } }),
    revoke: (capability) => void lastCalls[kind].revoke({ params, body: { capability } }).catch(() => {}),
    isRefusal,
    now: () => Date.now(),
    schedule(task, delayMs) {
      const timer = setTimeout(task, delayMs)
      return () => clearTimeout(timer)
    },
    onState: (next) => {
      state.value = next
    },
  })
  const isShown = () => document.visibilityState === 'visible'
  useEventListener(document, 'visibilitychange', () => isShown() && lease.wake())
  useEventListener(window, 'online', () => lease.wake())
  useEventListener(window, 'pagehide', () => lease.stop())
  useEventListener(window, 'pageshow', (event: PageTransitionEvent) => event.persisted && lease.start())
  onScopeDispose(lease.stop)
  return {
    state,
    start: lease.start,
    /** Ends it here, because the page is not this person's to see any more. */
    fail(error: unknown) {
      lease.stop()
      state.value = { kind: 'failed', error }
    },
  }
}

/** Whether asking again would change nothing. */
export function isRefusal(error: unknown): boolean {
  return error instanceof ApiError && error.status < 500 && error.status !== 429
}
