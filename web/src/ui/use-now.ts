/** One clock for all relative times on the page. */
import { shallowRef } from 'vue'

const now = shallowRef(Date.now())
setInterval(() => {
  now.value = Date.now()
}, 10_000)

export function useNow() {
  return now
}
