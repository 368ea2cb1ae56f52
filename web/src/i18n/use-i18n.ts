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

type Loaders = Record<Locale, () => Promise<object>>
const later = new Set<Loaders>()

export const accountTexts: Loaders = {
  en: async () => (await import('./account-en.ts')).accountEn,
  ru: async () => (await import('./account-ru.ts')).accountRu,
}

export const listTexts: Loaders = {
  en: async () => (await import('./list-en.ts')).listEn,
  ru: async () => (await import('./list-ru.ts')).listRu,
}

export const activateTexts: Loaders = {
  en: async () => (await import('./activate-en.ts')).activateEn,
  ru: async () => (await import('./activate-ru.ts')).activateRu,
}

export const controllerTexts: Loaders = {
  en: async () => (await import('./controller-en.ts')).controllerEn,
  ru: async () => (await import('./controller-ru.ts')).controllerRu,
}

export const sharingTexts: Loaders = {
  en: async () => (await import('./sharing-en.ts')).sharingEn,
  ru: async () => (await import('./sharing-ru.ts')).sharingRu,
}

export const devicePageTexts: Loaders = {
  en: async () => (await import('./device-page-en.ts')).devicePageEn,
  ru: async () => (await import('./device-page-ru.ts')).devicePageRu,
}

export const notificationsTexts: Loaders = {
  en: async () => (await import('./notifications-en.ts')).notificationsEn,
  ru: async () => (await import('./notifications-ru.ts')).notificationsRu,
}

/** A page together with texts that only it shows, in the language of now and in each that is chosen afterwards. */
export async function withTexts<T>(texts: Loaders, page: Promise<T>): Promise<T> {
  const locale = i18n.global.locale.value
  later.add(texts)
  i18n.global.mergeLocaleMessage(locale, await texts[locale]())
  return page
}

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
  const parts = await Promise.all([...later].map((texts) => texts[locale]()))
  i18n.global.setLocaleMessage(locale, await loaders[locale]())
  for (const part of parts) i18n.global.mergeLocaleMessage(locale, part)
  i18n.global.locale.value = locale
  document.documentElement.lang = locale
  store(KEY, locale)
}

export function useI18n() {
  const { t, te, locale } = useVueI18n()
  return { t, te, locale: locale as typeof locale & { value: Locale } }
}
