/** Where the page is, and where it goes by `location` and `history`. */
import { devicePath } from '../addresses.ts'
import { here, isShown } from './here.ts'
import { url } from './mapping.ts'
import { at, wrap } from './wrap.ts'

type NavigateEvent = Event & { destination: { url: string }; formData: unknown }

/** `location = 'http://192.168.1.5/x'`. Browsers tell it to pages with an origin only; a framed one strays to the shell. */
export function watchNavigation(): void {
  const { navigation } = window as { navigation?: EventTarget }
  navigation?.addEventListener('navigate', (event) => {
    const { destination, formData, cancelable } = event as NavigateEvent
    const mapped = url(destination.url) as string
    if (mapped === destination.url || formData || !cancelable) return
    event.preventDefault()
    location.href = mapped
  })
}

/** Addresses of history entries; and word to the shell of what its frame shows. */
export function watchHistory(): void {
  let told = ''
  const tell = () => {
    if (!isShown()) return
    const path = devicePath(location.pathname, here) + location.search + location.hash
    const { title } = document
    if (told !== (told = path + title)) parent.postMessage({ wmoc: 'page', path, title }, '*')
  }
  // A frame inside the page that strayed, as the page does to the shell.
  addEventListener('message', ({ data, source }: MessageEvent<{ wmoc?: string; path?: string } | null>) => {
    if (data?.wmoc === 'strayed') (source as Window).location.replace(url(data.path) as string)
  })
  wrap(History.prototype, 'pushState replaceState', (args) => {
    setTimeout(tell)
    at(2, url)(args, null)
  })
  // Of fragments too.
  addEventListener('popstate', tell)
  new MutationObserver(tell).observe(document, { childList: true, subtree: true })
}
