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
  const frameName = Object.getOwnPropertyDescriptor(window, 'name')!
  let kept: Kept | null = null
  try {
    const told = JSON.parse(window.name) as Kept
    if (told.of === of) kept = told
  } catch {
    // The name that the shell gave, or the page to a frame of its own.
  }
  const stores = ['localStorage', 'sessionStorage'].map((name, index) => {
    const items = Object.assign(Object.create(METHODS) as Items, kept?.stores[index])
    const value = new Proxy(items, { set: (own, key, text) => Reflect.set(own, key, String(text)) })
    define(window, name, { value })
    return value
  })
  if (!isShown()) return
  define(window, 'name', { value: kept?.name ?? '', writable: true })
  // The name that is set while the next document comes already, comes too late for it.
  addEventListener('beforeunload', () =>
    frameName.set!.call(window, JSON.stringify({ of, name: window.name, stores })),
  )
}

/** `document.cookie`: the gateway keeps the page's cookies. Synchronous as the property is. */
export function giveCookies(): void {
  const ask = (method: string, text?: unknown) => {
    const request = new XMLHttpRequest()
    request.open(method, `${here.prefix}/_wmoc/cookie?${devicePath(location.pathname, here)}`, false)
    try {
      request.send(text as string)
    } catch {
      return ''
    }
    return request.status === 200 ? request.responseText : ''
  }
  define(Document.prototype, 'cookie', {
    get: () => ask('GET'),
    set: (text) => ask('POST', text),
  })
}
