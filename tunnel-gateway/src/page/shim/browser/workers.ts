/** Workers: a page without an origin may only start them from blobs, so a blob of ours starts the page's script. */
import { here, WORKER_GLOBAL } from './here.ts'
import { url } from './mapping.ts'
import { all, at, define, wrap } from './wrap.ts'

export function wrapWorkers(): void {
  if (!here.isFramed) return wrap(window, 'Worker', at(0, url))
  wrap(window, 'Worker', (args) => {
    const script = new URL(url(args[0]) as string, document.baseURI).href
    const options = args[1] as WorkerOptions | undefined
    args[0] = URL.createObjectURL(new Blob([bootstrap(script, options?.type)]))
    // Chromium starts no module worker from a blob of an opaque origin; a classic one may import modules.
    args[1] = { ...options, type: 'classic' }
  })
  // There is nobody to share one with; and what only origins have is missing as it is over plain http.
  delete (window as { SharedWorker?: unknown }).SharedWorker
  delete (window as { caches?: unknown }).caches
  delete (Navigator.prototype as { serviceWorker?: unknown }).serviceWorker
}

function bootstrap(script: string, type: string | undefined): string {
  const text = JSON.stringify
  const base = script.startsWith('http') ? script : document.baseURI
  const start = `${WORKER_GLOBAL}=${text({ ...here, base })};importScripts(${text(here.script)});`
  if (type !== 'module') return `${start}importScripts(${text(script)})`
  // What comes before the module can hear it, waits.
  return (
    `${start}let q=[],h=e=>{q.push(e);e.stopImmediatePropagation()};addEventListener('message',h);` +
    `import(${text(script)}).then(()=>{removeEventListener('message',h);` +
    `q.forEach(e=>dispatchEvent(new MessageEvent('message',e)))})`
  )
}

/** In the worker. */
export function wrapWorkerGlobals(base: string): void {
  wrap(self, 'importScripts', all(url))
  define(self, 'location', { value: new URL(base) })
}
