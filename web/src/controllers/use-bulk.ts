/** Actions on the chosen controllers, over the same routes as for one. */
import { ApiError } from '@wmoc/api/client'
import type { Controller, ListedController } from '@wmoc/api/contracts/controllers'
import { useToast } from '@nuxt/ui/composables'
import { useQueryClient } from '@tanstack/vue-query'
import { onScopeDispose, ref, shallowRef } from 'vue'
import type { CommandBody } from '#src/controller/command-input.ts'
import { useI18n } from '#src/i18n/use-i18n.ts'
import { keys } from '#src/live/keys.ts'
import { api } from '#src/session/api.ts'
import { randomKey } from '#src/ui/random-key.ts'
import { useErrorText } from '#src/ui/use-error-text.ts'
import { runBulk } from './bulk-run.ts'

const PARALLEL = 4
const MAX_CONFLICTS = 3
const UNDO_MS = 15_000

export interface BulkFailure {
  readonly row: Controller
  readonly reason: string
}

export interface BulkOutcome {
  readonly done: number
  readonly left: number
  readonly failed: readonly BulkFailure[]
}

interface Task<R> {
  readonly rows: readonly Controller[]
  readonly act: (row: Controller) => Promise<R>
  /** Why one failed, where the general words would not fit. */
  readonly reasonOf?: (error: unknown) => string | null
}

export function useBulk(emitFailed: (rows: readonly Controller[]) => void) {
  const { t } = useI18n()
  const toast = useToast()
  const queries = useQueryClient()
  const errorText = useErrorText()
  const progress = ref<{ finished: number; count: number } | null>(null)
  const outcome = shallowRef<BulkOutcome | null>(null)
  let isStopped = false
  onScopeDispose(() => (isStopped = true))

  async function run<R>({ rows, act, reasonOf }: Task<R>): Promise<readonly R[]> {
    isStopped = false
    outcome.value = null
    progress.value = { finished: 0, count: rows.length }
    const { done, failed, left } = await runBulk({
      rows,
      act,
      parallel: PARALLEL,
      waitMsOf: (error) =>
        error instanceof ApiError && error.code === 'rate_limited' ? (error.retryAfterMs ?? 1_000) : null,
      sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
      onProgress: (finished) => (progress.value = { finished, count: rows.length }),
      isStopped: () => isStopped,
    })
    progress.value = null
    void queries.invalidateQueries({ queryKey: keys.controllers })
    if (failed.length > 0 || left.length > 0) {
      outcome.value = {
        done: done.length,
        left: left.length,
        failed: failed.map(({ row, error }) => ({ row, reason: reasonOf?.(error) ?? errorText(error) })),
      }
      emitFailed([...failed.map(({ row }) => row), ...left])
    }
    return done
  }

  async function tag(rows: readonly Controller[], name: string, isSet: boolean): Promise<void> {
    const answers = await run({
      rows,
      act: (row) => setTag(row, name, isSet),
      reasonOf: (error) =>
        error instanceof ApiError && error.code === 'validation_failed' ? t('invalid.tags') : null,
    })
    const changed = answers.filter((answer) => answer !== null)
    if (changed.length === 0) return
    toast.add({
      title: t(isSet ? 'bulk.tagged' : 'bulk.untagged', { tag: name, count: changed.length }, changed.length),
      icon: 'i-lucide-tag',
      duration: UNDO_MS,
      actions: [
        {
          label: t('bulk.undo'),
          color: 'neutral',
          variant: 'outline',
          onClick: () => undo(changed, name, isSet),
        },
      ],
    })
  }

  async function undo(rows: readonly Controller[], name: string, isSet: boolean): Promise<void> {
    const back = await run({ rows, act: (row) => setTag(row, name, !isSet) })
    if (back.length > 0) toast.add({ title: t('bulk.undone'), icon: 'i-lucide-undo-2' })
  }

  return {
    progress,
    outcome,
    tag,
    async command(rows: readonly Controller[], body: CommandBody) {
      const once = new Map(rows.map((row) => [row.id, randomKey()]))
      const sent = await run({
        rows,
        act: ({ id }) =>
          api.commands.send({ params: { id }, body, headers: { 'idempotency-key': once.get(id)! } }),
      })
      if (sent.length === 0) return
      toast.add({ title: t('bulk.sent', { count: sent.length }, sent.length), icon: 'i-lucide-send' })
    },
    async remove(rows: readonly ListedController[]) {
      const gone = await run({
        rows,
        async act({ id }) {
          await api.controllers.remove({ params: { id } })
          queries.removeQueries({ queryKey: keys.controller(id) })
        },
      })
      if (gone.length === 0) return
      toast.add({ title: t('bulk.deleted', { count: gone.length }, gone.length), icon: 'i-lucide-trash-2' })
    },
    stop: () => (isStopped = true),
    dismiss: () => (outcome.value = null),
  }
}

/** The controller as it became, or null where it was so already. Somebody else's change meanwhile is kept. */
async function setTag(row: Controller, tag: string, isSet: boolean): Promise<Controller | null> {
  const params = { id: row.id }
  for (let current = row, conflicts = 0; ; conflicts++) {
    if (current.tags.includes(tag) === isSet) return null
    const tags = isSet ? [...current.tags, tag] : current.tags.filter((name) => name !== tag)
    const headers = { 'if-match': `"${current.version}"` }
    try {
      // oxlint-disable-next-line eslint/no-await-in-loop -- one try after the other
      return await api.controllers.update({ params, body: { tags }, headers })
    } catch (error) {
      const isConflict = error instanceof ApiError && error.code === 'version_conflict'
      if (!isConflict || conflicts === MAX_CONFLICTS) throw error
      // oxlint-disable-next-line eslint/no-await-in-loop
      current = await api.controllers.get({ params })
    }
  }
}
