/** What went wrong, in the person's language. */
import { ApiError } from '@wmoc/api/client'
import { useI18n } from '#src/i18n/use-i18n.ts'

export function useErrorText() {
  const { t, te } = useI18n()
  return (error: unknown): string => {
    if (!(error instanceof ApiError)) return t('errors.network')
    const key = `errors.${error.code}`
    if (error.code === 'rate_limited' && error.retryAfterMs !== null) {
      return t('errors.rate_limited_for', { seconds: Math.ceil(error.retryAfterMs / 1_000) })
    }
    return te(key) ? t(key) : t('errors.unexpected', { code: error.code })
  }
}
