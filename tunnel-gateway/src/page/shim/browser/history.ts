/** Where the page is, and where it goes by `location` and `history`. */
import { devicePath, portPrefix } from '../addresses.ts'
import { here, isShown } from './here.ts'
import { mendStyles } from './dom.ts'
import { url } from './mapping.ts'
import { wrap } from './wrap.ts'

type NavigateEvent = Event & { destination: { url: string }; formData: unknown }

/** `location = 'http://192.168.1.5/x'`. Browsers tell it to pages with an origin only; a framed one strays to the shell. */
export function watchNavigation(): void {
  const { navigation } = self as { navigation?: EventTarget }
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
    const path =
      portPrefix({ prefix: '' }, here.port) + devicePath(location.href.slice(here.origin.length), here)
    const { title } = document
    if (told !== (told = path + title)) parent.postMessage({ wmoc: 'page', path, title }, '*')
  }
  // A frame inside the page that strayed, as the page does to the shell.
  addEventListener('message', ({ data, source }: MessageEvent<{ wmoc?: string; path?: string } | null>) => {
    if (data?.wmoc === 'strayed') (source as Window).location.replace(url(data.path) as string)
  })
  wrap(History.prototype, 'pushState replaceState', (args) => {
    setTimeout(tell)
    args[2] = url(args[2])
  })
  // Of fragments too.
  addEventListener('popstate', tell)
  new MutationObserver((records) => {
    mendStyles(records)
    tell()
  }).observe(document, { childList: true, subtree: true, attributeFilter: ['style'] })
}
