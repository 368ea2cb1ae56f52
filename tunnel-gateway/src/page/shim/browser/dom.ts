/** What a page builds by script: elements, attributes, HTML and CSS as text; and where its links and forms lead. */
import { isShown } from './here.ts'
import { attribute, css, html, url } from './mapping.ts'
import { all, at, wrap, wrapSetters } from './wrap.ts'

const PROPERTIES = 'src href action formAction poster data srcset srcdoc'

export function wrapDom(): void {
  const types = window as unknown as Record<string, { prototype: object } | undefined>
  for (const name of Object.getOwnPropertyNames(window))
    if (name.startsWith('HTML'))
      for (const property of PROPERTIES.split(' '))
        wrapSetters(types[name]!.prototype, property, (value) => attribute(property, value))

  const element = Element.prototype
  wrap(element, 'setAttribute', (args) => (args[1] = attribute(args[0], args[1])))
  wrap(element, 'setAttributeNS', (args) => (args[2] = attribute(args[1], args[2])))
  wrapSetters(element, 'innerHTML outerHTML', html)
  wrapSetters(ShadowRoot.prototype, 'innerHTML', html)
  wrap(element, 'insertAdjacentHTML', at(1, html))
  wrap(Range.prototype, 'createContextualFragment', at(0, html))
  wrap(Document.prototype, 'write writeln', all(html))

  wrap(CSSStyleSheet.prototype, 'insertRule replaceSync', at(0, css))
  wrapSetters(HTMLStyleElement.prototype, 'textContent', css, Node.prototype)
  wrap(window, 'open Audio', at(0, url))
  wrap(Navigator.prototype, 'sendBeacon', at(0, url))
}

/** The last look at a link or a form, however it came to be. */
export function watchLinks(): void {
  const mend = (element: Element | null, name: string) => {
    const value = element?.getAttribute(name)
    if (value && attribute(name, value) !== value) element!.setAttribute(name, value)
  }
  const clicked = (event: Event) => {
    for (const node of event.composedPath() as Element[]) {
      if (!/^a(rea)?$/.test(node.localName)) continue
      mend(node, 'href')
      // The top is the shell, for a page that believes to be alone.
      if (isShown() && /^_(top|parent)$/i.test((node as HTMLAnchorElement).target))
        node.removeAttribute('target')
    }
  }
  addEventListener('click', clicked, true)
  addEventListener(
    'submit',
    ({ target, submitter }) => {
      mend(target as Element, 'action')
      mend(submitter, 'formaction')
    },
    true,
  )
  wrap(HTMLFormElement.prototype, 'submit', (_args, form) => mend(form as Element, 'action'))
}
