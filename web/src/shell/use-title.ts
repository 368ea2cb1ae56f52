/** The document's title follows the route and the language; a page may put its own subject in front. */
import { onScopeDispose, shallowRef, watchEffect } from 'vue'
import { useRoute } from 'vue-router'
import { useI18n } from '#src/i18n/use-i18n.ts'

const subject = shallowRef('')

/** In the frame, once. */
export function useRouteTitle(): void {
  const route = useRoute()
  const { t } = useI18n()
  watchEffect(() => {
    const title = subject.value || (route.meta.title ? t(route.meta.title) : '')
    document.title = title ? `${title} · WMOC` : 'WMOC'
  })
}

/** For as long as the component lives; an empty subject gives the route's own title. */
export function useSubject(read: () => string): void {
  watchEffect(() => {
    subject.value = read()
  })
  onScopeDispose(() => {
    subject.value = ''
  })
}
