import '#src/styles.css'
// Before any schema: zod would try `new Function` once, and the CSP reports that.
import '#src/zod-without-eval.ts'
import icons from '@nuxt/ui/runtime/vue/plugins/icons.js'
import { VueQueryPlugin } from '@tanstack/vue-query'
import { createApp } from 'vue'
import App from '#src/App.vue'
import { i18n, preferredLocale, setLocale } from '#src/i18n/use-i18n.ts'
import { createQueries } from '#src/live/queries.ts'
import { router } from '#src/router.ts'
import { readStored, store } from '#src/ui/stored.ts'

// After an update of the server, files that this page still names are gone: load the page anew, but not for ever.
window.addEventListener('vite:preloadError', (event) => {
  const last = Number(readStored('wmoc.reloaded'))
  if (Date.now() - last < 60_000) return
  event.preventDefault()
  store('wmoc.reloaded', String(Date.now()))
  location.reload()
})

await setLocale(preferredLocale())
createApp(App)
  .use(icons)
  .use(i18n)
  .use(router)
  .use(VueQueryPlugin, { queryClient: createQueries() })
  .mount('#app')
