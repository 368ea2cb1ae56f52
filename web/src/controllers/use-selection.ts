import type { ListedController } from '@wmoc/api/contracts/controllers'
import { computed, ref, shallowRef, type Ref } from 'vue'
import { choose } from './selection.ts'

/** What the person has chosen of the rows that the list shows now: what is not shown is never acted on. */
export function useSelection(rows: Ref<readonly ListedController[]>) {
  const ids = shallowRef<ReadonlySet<string>>(new Set())
  const last = ref<string | null>(null)
  const chosen = computed(() => rows.value.filter((row) => ids.value.has(row.id)))
  return {
    ids,
    chosen,
    areAll: computed(() => rows.value.length > 0 && chosen.value.length === rows.value.length),
    /** `isRange`: from the box used before to this one. */
    toggle(id: string, isChosen: boolean, isRange: boolean) {
      const order = rows.value.map((row) => row.id)
      ids.value = choose(ids.value, order, { id, isChosen, from: isRange ? last.value : null })
      last.value = id
    },
    set(shown: readonly { readonly id: string }[]) {
      ids.value = new Set(shown.map((row) => row.id))
    },
  }
}
