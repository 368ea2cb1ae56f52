/** The kit's own words (close, search, …) in the language of now; before sign-in nothing of the kit says any. */
import type { Locale } from '@wmoc/api/schemas'
import { shallowRef, watchEffect } from 'vue'
import { useI18n } from './use-i18n.ts'

type KitLocale = typeof import('@nuxt/ui/runtime/locale/en.js').default

const loaders: Record<Locale, () => Promise<{ default: KitLocale }>> = {
  en: () => import('@nuxt/ui/runtime/locale/en.js'),
  ru: () => import('@nuxt/ui/runtime/locale/ru.js'),
}

export function useKitLocale() {
  const { locale } = useI18n()
  const kit = shallowRef<KitLocale>()
  watchEffect(async () => {
    const wanted = locale.value
    const loaded = await loaders[wanted]()
    if (wanted === locale.value) kit.value = loaded.default
  })
  return kit
}
