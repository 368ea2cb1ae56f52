/** What a browser keeps for a page with an origin, for one without. */
import { devicePath } from '../addresses.ts'
import { here, isShown } from './here.ts'
import { define } from './wrap.ts'

type Items = Record<string, string>
interface Kept {
  readonly of: string
  readonly name: string
  readonly stores: readonly Items[]
}

/** `Storage` (HTML Standard, section 12.2): items are the object's own properties. */
const METHODS: object & ThisType<Items> = {
  getItem(key: string) {
    return Object.hasOwn(this, key) ? this[key] : null
  },
  setItem(key: string, value: string) {
    this[key] = value
  },
  removeItem(key: string) {
    delete this[key]
  },
  clear() {
    for (const key of Object.keys(this)) delete this[key]
  },
  key(index: number) {
    return Object.keys(this)[index] ?? null
  },
  get length() {
    return Object.keys(this).length
  },
}

/**
 * `localStorage` and `sessionStorage` in memory. The frame's name is the one thing that outlives a document there: it
 * carries them to the next page of the same device in the same frame.
 */
export function giveStorage(): void {
  const of = here.publicPrefix
  const frameName = Object.getOwnPropertyDescriptor(self, 'name')!
  let kept: Kept | null | undefined
  try {
    kept = JSON.parse(self.name) as Kept | null
  } catch {
    // The name that the shell gave, or the page to a frame of its own.
  }
  if (kept?.of !== of) kept = null
  const stores = ['localStorage', 'sessionStorage'].map((name, index) => {
    const items = { __proto__: METHODS, ...kept?.stores[index] } as unknown as Items
    const value = new Proxy(items, { set: (own, key, text) => Reflect.set(own, key, String(text)) })
    define(self, name, { value })
    return value
  })
  if (!isShown()) return
  define(self, 'name', { value: kept?.name ?? '', writable: true })
  // The name that is set while the next document comes already, comes too late for it.
  addEventListener('beforeunload', () =>
    frameName.set!.call(self, JSON.stringify({ of, name: self.name, stores })),
  )
}

/** `document.cookie`: the gateway keeps the page's cookies. Synchronous as the property is. */
export function giveCookies(): void {
  const ask = (method: string, text?: unknown) => {
    const request = new XMLHttpRequest()
    request.open(method, `${here.prefix}/_wmoc/cookie?${devicePath(location.pathname, here)}`, false)
    try {
      request.send(text as string)
      if (request.status === 200) return request.responseText
    } catch {
      // As without cookies.
    }
    return ''
  }
  define(Document.prototype, 'cookie', {
    get: () => ask('GET'),
    set: (text) => ask('POST', text),
  })
}
