/** The addresses in one document: where they lead depends on the page's place and on its `<base>`. */
import { devicePath, mapAddress, pageBase, portPrefix } from '#src/page/shim/addresses.ts'
import type { PagePlace } from '#src/page/shim/addresses.ts'

/** What tells the host and the path's first segments; all of it ASCII, so that bytes of any encoding stay as they are. */
const HEAD = /^[\0- ]*[^\0- ?#\x7f-\uffff]*/ // oxlint-disable-line no-control-regex
const NOT_RELATIVE = /^[\0- ]*(?:[a-z][a-z0-9+.-]*:|[/\\]{2})/i // oxlint-disable-line no-control-regex

/** Browsers stop climbing at the root, which is above the page's prefix. */
const CLIMBING = /^[\0- ]*((?:\.{1,2}[/\\])+)/ // oxlint-disable-line no-control-regex

export class PageAddresses {
  readonly #origin: string
  /** Null: the page's `<base>` is somebody else's, and so is every path. */
  #place: PagePlace | null
  readonly #given: PagePlace
  #hasBase = false
  /** Folders that relative addresses may leave. */
  #depth: number

  /**
   * @param origin `https://host` of the page's public address.
   * @param path Of the document or style sheet, as the device knows it.
   */
  constructor(place: PagePlace, origin: string, path: string) {
    this.#place = this.#given = place
    this.#origin = origin
    this.#depth = depthOf(path)
  }

  /** The whole address; null: as it is. Only its beginning is read: up to the query, or to what is not ASCII. */
  readonly map = (address: string): string | null => {
    const head = HEAD.exec(address)![0]
    const mapped = this.#mapHead(head)
    return mapped === null ? null : mapped + address.slice(head.length)
  }

  /** Whether what lies there comes from the device, through the gateway. */
  isOwn(address: string): boolean {
    if (this.#place === null) return this.map(address) !== null
    return !NOT_RELATIVE.test(address) || this.map(address) !== null
  }

  /** Only the first `<base href>` of a document counts. */
  setBase(href: string): void {
    if (this.#hasBase) return
    this.#hasBase = true
    const mapped = this.map(href)
    if (mapped === null && NOT_RELATIVE.test(href)) this.#place = null
    if (mapped === null) {
      this.#depth = Math.max(0, this.#depth + depthOf(`/${href}`))
      return
    }
    const place = this.#given
    this.#depth = depthOf(devicePath(mapped, place))
    const port = place.ports.find((candidate) => mapped.startsWith(`${portPrefix(place, candidate)}/`))
    this.#place = { ...place, port: port ?? (/^\s*[/\\](?![/\\])/.test(href) ? place.port : null) }
  }

  #mapHead(head: string): string | null {
    if (this.#place !== null) return mapAddress(head, this.#place) ?? this.#mapClimbing(head, this.#place)
    const mapped = NOT_RELATIVE.test(head) ? mapAddress(head, this.#given) : null
    return mapped === null ? null : this.#origin + mapped
  }

  #mapClimbing(head: string, place: PagePlace): string | null {
    const steps = CLIMBING.exec(head)
    if (steps === null || steps[1]!.split('..').length - 1 <= this.#depth) return null
    return `${pageBase(place)}/${head.slice(steps[0].length)}`
  }
}

/** Folders that a path is in; the first is no folder. */
function depthOf(path: string): number {
  return path.split(/[?#]/, 1)[0]!.split(/[/\\]/).length - 2
}
