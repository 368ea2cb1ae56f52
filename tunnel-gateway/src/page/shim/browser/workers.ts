/** Workers: a page without an origin may only start them from blobs, so a blob of ours starts the page's script. */
import { here, WORKER_GLOBAL } from './here.ts'
import type { Here } from './here.ts'
import { url } from './mapping.ts'
import { define, wrap, wrapAll } from './wrap.ts'

export function wrapWorkers(): void {
  if (!here.prefix) return wrapAll(self, 'Worker', url)
  wrap(self, 'Worker', (args) => {
    const start = new URL(url(args[0]) as string, document.baseURI).href
    const options = args[1] as WorkerOptions | undefined
    const base = start.startsWith('http') ? start : document.baseURI
    const told: Here = { ...options, ...here, base, start }
    const script = `${WORKER_GLOBAL}=${JSON.stringify(told)};importScripts(${WORKER_GLOBAL}.script)`
    args[0] = URL.createObjectURL(new Blob([script]))
    // Chromium starts no module worker from a blob of an opaque origin; a classic one may import modules.
    args[1] = { ...options, type: 'classic' }
  })
  const page = self as { SharedWorker?: unknown; caches?: unknown }
  // There is nobody to share one with; and what only origins have is missing as it is over plain http.
  delete page.SharedWorker
  delete page.caches
  delete (Navigator.prototype as { serviceWorker?: unknown }).serviceWorker
}

/** In the worker. */
export function startWorker(base: string): void {
  const start = here.start!
  wrapAll(self, 'importScripts', url)
  define(self, 'location', { value: new URL(base) })
  if (here.type !== 'module') return importScripts(start)
  // What comes before the module can hear it, waits.
  const hold = (event: Event) => {
    event.stopImmediatePropagation()
    void loaded.then(() => dispatchEvent(new MessageEvent('message', event as unknown as MessageEventInit)))
  }
  addEventListener('message', hold)
  const loaded = import(/* @vite-ignore */ start).then(() => removeEventListener('message', hold))
}

declare function importScripts(...scripts: string[]): void
