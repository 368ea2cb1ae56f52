/** One page in its frame: where it is, what it calls itself, and how it is loaded anew. */
import { computed, ref, shallowRef, watch, type Ref } from 'vue'
import type { FrameMessage } from './frame-message.ts'
import { isRefusal, type useLease } from './use-lease.ts'

/** `query`: what tells whether it may still be seen; `isOnline`: null while that is not known. */
export function useShownPage(
  lease: ReturnType<typeof useLease>,
  { firstPath, error, isOnline }: { firstPath: string; error: Ref<unknown>; isOnline: Ref<boolean | null> },
) {
  const path = ref(firstPath)
  const title = ref('')
  const start = shallowRef(firstPath)
  /** Grows when the page is to be loaded anew. */
  const round = ref(0)

  function reload(): void {
    start.value = path.value
    round.value++
    if (lease.state.value.kind === 'failed') lease.start()
  }

  lease.start()
  watch(lease.state, (state) => {
    // A new lease is another address: the frame goes on where it was.
    if (state.kind === 'open') start.value = path.value
  })
  watch(error, (now) => isRefusal(now) && lease.fail(now))
  watch(isOnline, (now, before) => now === true && before === false && reload())

  return {
    path,
    title,
    reload,
    /** Null while there is none to be shown. */
    frame: computed(() => {
      const state = lease.state.value
      if (state.kind !== 'open') return null
      const { src, scope } = state.frame
      const prefix = src.slice(0, -1)
      return { prefix, scope, start: start.value, round: round.value }
    }),
    failure: computed(() => (lease.state.value.kind === 'failed' ? lease.state.value.error : null)),
    hear(message: FrameMessage): void {
      path.value = message.path
      title.value = message.title
    },
  }
}
