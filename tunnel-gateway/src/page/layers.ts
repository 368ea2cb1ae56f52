/**
 * What stands between a person who looks at a device's page and the device, outermost first: each layer may answer by
 * itself, change the request, or put an answer of its own (`AnswerLayer`) before the user's. API clients meet none of it.
 */
import type { DeviceWatcher, ProxyRequest } from '#src/user/proxy.ts'

export type Next = (proxied: ProxyRequest) => void | Promise<void>

export interface PageLayer {
  /** A rejection is answered by the listener, where nobody has answered yet. */
  handle(proxied: ProxyRequest, next: Next): void | Promise<void>
}

/**
 * On answers of ours that look like a device's (the offline page, a form): no layer changes or keeps them. A device
 * can't send it: `X-WMOC-*` never passes the header policy.
 */
export const OWN_PAGE = ['X-WMOC-Page', 'own'] as const

/** On the problem that says that the device is away; a device can't say so of itself. */
export const AWAY = ['X-WMOC-Away', 'device'] as const

export function isAway(headers: readonly string[]): boolean {
  return hasName(headers, AWAY[0])
}

/** Whether a head (name after value) is of an answer of ours. */
export function isOwnPage(headers: readonly string[]): boolean {
  return hasName(headers, OWN_PAGE[0])
}

/** Values are a device's to choose. */
function hasName(headers: readonly string[], name: string): boolean {
  for (let at = 0; at < headers.length; at += 2) if (headers[at] === name) return true
  return false
}

/** For a layer that watches: those further out go on hearing what they asked for. */
export function watchedBy(layer: DeviceWatcher, { watcher: outer }: ProxyRequest): DeviceWatcher {
  if (outer === undefined) return layer
  return {
    opening(proxied, upstream) {
      layer.opening(proxied, upstream)
      outer.opening(proxied, upstream)
    },
    answered(head) {
      layer.answered(head)
      outer.answered(head)
    },
  }
}

/** All layers in one, `last` being the way to the device. */
export function throughLayers(layers: readonly PageLayer[], last: Next): Next {
  return layers.reduceRight<Next>((next, layer) => (proxied) => layer.handle(proxied, next), last)
}
