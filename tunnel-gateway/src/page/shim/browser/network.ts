/** What a page or a worker asks for by script. */
import { here } from './here.ts'
import { socket, url } from './mapping.ts'
import { define, wrap, wrapAll } from './wrap.ts'

export function wrapNetwork(): void {
  wrap(self, 'fetch Request EventSource', (args) => {
    args[0] = url(args[0])
    const init = args[1] as RequestInit | undefined
    // Everything is another origin to a page without one, and its cookies are kept elsewhere.
    if (here.prefix && init)
      args[1] = {
        ...init,
        withCredentials: false,
        credentials: 'same-origin',
        mode: init.mode?.replace('same-origin', 'cors'),
      }
  })
  wrapAll(self, 'WebSocket', socket)
  const { prototype } = XMLHttpRequest
  wrap(prototype, 'open', (args) => (args[1] = url(args[1])))
  if (here.prefix) define(prototype, 'withCredentials', { value: false, writable: true })
}
