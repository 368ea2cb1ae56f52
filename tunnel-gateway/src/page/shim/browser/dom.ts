/** What a page builds by script: elements, attributes, HTML and CSS as text; and where its links and forms lead. */
import { isShown } from './here.ts'
import { attribute, css, html, url } from './mapping.ts'
import { wrap, wrapAll, wrapSetters } from './wrap.ts'

const PROPERTIES = 'src href action formAction poster data srcset srcdoc'

export function wrapDom(): void {
  const types = self as unknown as Record<string, { prototype: object } | undefined>
  for (const name of Object.getOwnPropertyNames(self))
    if (name.startsWith('HTML'))
      for (const property of PROPERTIES.split(' '))
        wrapSetters(types[name]!.prototype, property, (value) => attribute(property, value))

  const element = Element.prototype
  // Name and value are the last two.
  wrap(element, 'setAttribute setAttributeNS', (args) => {
    args[args.length - 1] = attribute(...(args.slice(-2) as [unknown, unknown]))
  })
  wrapSetters(element, 'innerHTML outerHTML', html)
  wrapSetters(ShadowRoot.prototype, 'innerHTML', html)
  wrapAll(element, 'insertAdjacentHTML', html)
  wrapAll(Range.prototype, 'createContextualFragment', html)
  wrapAll(Document.prototype, 'write writeln', html)

  wrapAll(CSSStyleSheet.prototype, 'insertRule replace replaceSync', css)
  wrapSetters(HTMLStyleElement.prototype, 'textContent', css, Node.prototype)
  wrapAll(self, 'open Audio', url)
  wrap(Navigator.prototype, 'sendBeacon', (args) => (args[0] = url(args[0])))
}

function mend(element: Element | null, name: string): void {
  const value = element?.getAttribute?.(name)
  if (value && attribute(name, value) !== value) element!.setAttribute(name, value)
}

/** What scripts set of styles, before the browser draws: images of CSS are loaded then, not before. */
export function mendStyles(records: readonly MutationRecord[]): void {
  for (const record of records) {
    const target = record.target as Element
    for (const element of [target, ...target.querySelectorAll('style,[style*="url("]')]) {
      mend(element, 'style')
      const { localName, textContent } = element
      if (localName === 'style' && css(textContent) !== textContent) element.textContent = textContent
    }
  }
}

/** The last look at a link or a form, however it came to be. */
export function watchLinks(): void {
  const clicked = (event: Event) => {
    for (const node of event.composedPath() as Element[]) {
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
}
