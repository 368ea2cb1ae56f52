/** Where the script runs: told by its own element, or by what starts a worker. */
import type { PagePlace } from '../addresses.ts'

/** What the gateway tells by the element's `data-page`. */
export type ToldPlace = Omit<PagePlace, 'pageHost'>

export interface Here extends PagePlace {
  /** `https://host` of the page's address; its own origin is opaque in a frame. */
  readonly origin: string
  /** This script. */
  readonly script: string
  /** In a worker: what relative addresses are read against, … */
  readonly base?: string
  /** … the page's script for it, … */
  readonly start?: string
  /** … and its kind, as the page said it. */
  readonly type?: WorkerType
}

/** What a worker is told of the page that started it. */
export const WORKER_GLOBAL = 'wmoc'

export const here = read()

function read(): Here {
  const global = self as unknown as Record<string, Here | undefined>
  const told = global[WORKER_GLOBAL]
  if (told) return told
  const element = document.currentScript as HTMLScriptElement
  // The page looks for its own first script, not for one of ours.
  element.remove()
  const place = JSON.parse(element.dataset['page']!) as ToldPlace
  const { host, origin } = location
  return { ...place, pageHost: host, origin, script: element.src }
}

/** The document is what the shell shows, not a frame inside it. */
export function isShown(): boolean {
  return Boolean(here.prefix) && parent === top
}
