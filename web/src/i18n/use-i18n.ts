/** Two languages, each loaded when it is first needed. */
import type { Locale } from '@wmoc/api/schemas'
import { createI18n, useI18n as useVueI18n } from 'vue-i18n'
import { readStored, store } from '#src/ui/stored.ts'
import type { Messages } from './en.ts'
import { pluralRu } from './plural-ru.ts'

const LOCALES = ['en', 'ru'] as const
const KEY = 'wmoc.locale'

const loaders: Record<Locale, () => Promise<Messages>> = {
  en: async () => (await import('./en.ts')).en,
  ru: async () => (await import('./ru.ts')).ru,
}

export const i18n = createI18n({
  legacy: false,
  locale: 'en',
  messages: {} as Record<Locale, Messages>,
  pluralRules: { ru: pluralRu },
  missingWarn: false,
  fallbackWarn: false,
})

/** What the person chose, else what the browser asks for, else English. */
export function preferredLocale(): Locale {
  const stored = readStored(KEY)
  const wanted = stored ? [stored] : navigator.languages
  for (const tag of wanted) {
    const found = LOCALES.find((locale) => tag.toLowerCase().startsWith(locale))
    if (found) return found
  }
  return 'en'
}

/** Loads the language, shows it, and remembers it. */
export async function setLocale(locale: Locale): Promise<void> {
  i18n.global.setLocaleMessage(locale, await loaders[locale]())
  i18n.global.locale.value = locale
  document.documentElement.lang = locale
  store(KEY, locale)
}

export function useI18n() {
  const { t, te, locale } = useVueI18n()
  return { t, te, locale: locale as typeof locale & { value: Locale } }
}
