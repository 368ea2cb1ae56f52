/** Putting something between a page and what its browser gives it. */
import type { Map } from './mapping.ts'

export type Change = (args: unknown[], self: unknown) => void
type Owner = Record<string, unknown>

/**
 * Changes what functions or constructors are called with. The page sees the browser's own: the name, the text, what
 * hangs on it, classes that extend it. What goes wrong in `change` is no matter of the page's.
 * @param names Separated by spaces; those that the browser does not have are left out.
 */
export function wrap(owner: unknown, names: string, change: Change): void {
  for (const name of names.split(' ')) {
    const native = (owner as Owner | undefined)?.[name]
    if (!native) continue
    const changed = (args: unknown[], self?: unknown) => {
      try {
        change(args, self)
      } catch {
        // The browser says what is wrong with it.
      }
      return args
    }
    ;(owner as Owner)[name] = new Proxy(native as new () => object, {
      apply: (target, self, args: unknown[]) =>
        Reflect.apply(target as unknown as () => unknown, self, changed(args, self)) as unknown,
      construct: (target, args: unknown[], created) =>
        Reflect.construct(target, changed(args), created) as object,
    })
  }
}

/** Maps every argument: what is none of what is mapped comes back as it was. */
export function wrapAll(owner: unknown, names: string, map: Map): void {
  wrap(owner, names, (args) => args.forEach((value, index) => (args[index] = map(value))))
}

/** Maps what properties are set to. @param from Where they are, if not on `owner` itself. */
export function wrapSetters(owner: object, names: string, map: Map, from = owner): void {
  for (const name of names.split(' ')) {
    const property = Object.getOwnPropertyDescriptor(from, name)
    wrapAll(property, 'set', map)
    if (property) Object.defineProperty(owner, name, property)
  }
}

/** Puts a value or an accessor of ours over what the browser has. */
export function define(owner: object, name: string, property: PropertyDescriptor): void {
  Object.defineProperty(owner, name, { configurable: true, ...property })
}
