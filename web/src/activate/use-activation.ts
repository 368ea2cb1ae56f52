/** The way from a code or a token to a controller that is there: choose → confirm → watch it come. */
import type { ActivationToken, ClaimPreview } from '@wmoc/api/contracts/controllers'
import { useQueryClient } from '@tanstack/vue-query'
import { onMounted, ref, shallowRef, watch } from 'vue'
import { useRoute, useRouter } from 'vue-router'
import { keys } from '#src/live/keys.ts'
import { api } from '#src/session/api.ts'
import { randomKey } from '#src/ui/random-key.ts'
import { useErrorText } from '#src/ui/use-error-text.ts'
import { useI18n } from '#src/i18n/use-i18n.ts'
import { parseActivation } from './parse-activation.ts'
import { takeClaim } from './pending-claim.ts'

type Phase =
  | { name: 'choose'; failure: string }
  | { name: 'confirm'; code: string; preview: ClaimPreview; failure: string }
  | { name: 'claimed'; controllerId: string }
  | { name: 'token'; controllerId: string; activation: ActivationToken }
  | { name: 'token-read'; token: string }

export function useActivation() {
  const route = useRoute()
  const router = useRouter()
  const queries = useQueryClient()
  const errorText = useErrorText()
  const { t } = useI18n()
  const phase = shallowRef<Phase>({ name: 'choose', failure: '' })
  const isPending = ref(false)
  let claimKey = randomKey()

  async function attempt(task: () => Promise<void>, onFailure: (failure: string) => Phase): Promise<void> {
    if (isPending.value) return
    isPending.value = true
    try {
      await task()
    } catch (error) {
      phase.value = onFailure(errorText(error))
    } finally {
      isPending.value = false
    }
  }

  function preview(code: string): Promise<void> {
    claimKey = randomKey()
    return attempt(
      async () => {
        const found = await api.controllers.previewClaim({ body: { code } })
        phase.value = { name: 'confirm', code, preview: found, failure: '' }
      },
      (failure) => ({ name: 'choose', failure }),
    )
  }

  function confirm(name: string): Promise<void> {
    const current = phase.value
    if (current.name !== 'confirm') return Promise.resolve()
    return attempt(
      async () => {
        const { controller } = await api.controllers.activate({
          body: { code: current.code, ...(name.trim() === '' ? {} : { name }) },
          headers: { 'idempotency-key': claimKey },
        })
        arrived(controller.id)
        phase.value = { name: 'claimed', controllerId: controller.id }
      },
      (failure) => ({ ...current, failure }),
    )
  }

  function tokenMade(activation: ActivationToken): void {
    arrived(activation.controller.id)
    phase.value = { name: 'token', controllerId: activation.controller.id, activation }
  }

  function arrived(id: string): void {
    void queries.invalidateQueries({ queryKey: keys.lists })
    void queries.invalidateQueries({ queryKey: keys.summary })
    void queries.invalidateQueries({ queryKey: keys.controller(id) })
  }

  /** What a camera saw or the address carries. */
  function read(text: string): void {
    const found = parseActivation(text)
    if (!found) phase.value = { name: 'choose', failure: t('activate.notOurs') }
    else if (found.kind === 'token') phase.value = { name: 'token-read', token: found.token }
    else void preview(found.code)
  }

  function readAddress(): void {
    const kept = takeClaim(Date.now())
    if (route.hash) {
      read(route.hash)
      void router.replace({ path: route.path, hash: '' })
    } else if (kept !== null) {
      read(kept)
    }
  }

  onMounted(readAddress)
  watch(
    () => route.hash,
    (hash) => hash && readAddress(),
  )

  return {
    phase,
    isPending,
    preview,
    confirm,
    tokenMade,
    read,
    restart() {
      phase.value = { name: 'choose', failure: '' }
    },
  }
}
