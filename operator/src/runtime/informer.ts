/**
 * A local copy of a kind's objects that follows the API server for as long as the process lives. It lists once, then
 * watches; a watch that ends goes on where it was, and only when the server no longer knows that place is all listed
 * again. What was missed meanwhile is found by comparison and told like any change.
 */
import type { Logger } from '@wmoc/platform/log'
import { pause } from './clock.ts'
import type { KubeClient } from './client.ts'
import { KubeError, isKubeError } from './errors.ts'
import { keyOf } from './objects.ts'
import type { Ref, Resource, Stored } from './objects.ts'
import { createStore } from './informer-store.ts'
import type { Change } from './informer-store.ts'

export type { Change } from './informer-store.ts'

/** What an informer knows, to read. Never change an object of it: all share it. */
export interface Cache<T> {
  get(ref: Ref): Stored<T> | undefined
  /** All, or those of a namespace. */
  list(namespace?: string): readonly Stored<T>[]
  /** Those whose controller reference names this uid. */
  ownedBy(uid: string): readonly Stored<T>[]
}

export interface Informer<T> extends Cache<T> {
  start(): void
  /** Ends the watch; what is known stays readable. */
  stop(): Promise<void>
  /** Whether everything was listed at least once. */
  isSynced(): boolean
  /** Resolves at the first complete list; rejects when `signal` is aborted first. */
  whenSynced(signal?: AbortSignal): Promise<void>
  /** Called with each change from now on, and first with all that is known already; the answer ends it. */
  onChange(handler: (change: Change<T>) => void): () => void
}

export interface InformerOptions<T> {
  readonly client: KubeClient
  readonly kind: Resource<T>
  /** Empty: all. */
  readonly namespaces?: readonly string[]
  readonly labelSelector?: string
  /** Whether the server may not know this kind; default false. */
  readonly isOptional?: boolean
  readonly log: Logger
  /** Called at each complete list. */
  readonly onList?: () => void
  readonly random?: () => number
}

const FIRST_WAIT_MS = 250
const MAX_WAIT_MS = 10_000
/** How often a kind is looked for that the server may not know. */
const ABSENT_MS = 60_000
/** After so many watches in a row that could not even begin, list anew. */
const WATCHES_BEFORE_LIST = 5

/** An informer that does nothing until it is started. */
export function createInformer<T>(options: InformerOptions<T>): Informer<T> {
  const { client, kind, log, random = Math.random } = options
  const scopes =
    options.namespaces === undefined || options.namespaces.length === 0 ? [''] : options.namespaces
  const store = createStore<T>((error) =>
    log.error('cluster', 'a handler of changes failed', { kind: kind.kind, error }),
  )
  const stopping = new AbortController()
  const { signal } = stopping
  const synced = new Set<string>()
  const waiters = new Set<() => void>()
  let loops: Promise<unknown> = Promise.resolve()

  async function list(namespace: string): Promise<string> {
    const { items, resourceVersion } = await client
      .bind(signal)
      .list(kind, { namespace, labelSelector: options.labelSelector })
    options.onList?.()
    store.replace(namespace, items)
    synced.add(namespace)
    if (synced.size === scopes.length) for (const resolve of waiters) resolve()
    return resourceVersion
  }

  /** Follows from a version until the watch ends; answers the version to go on from. `place.version` moves along. */
  async function follow(namespace: string, place: { version: string }): Promise<void> {
    const { labelSelector } = options
    const from = { namespace, labelSelector, resourceVersion: place.version, signal }
    for await (const event of client.watch(kind, from)) {
      if (event.type === 'BOOKMARK') {
        place.version = event.resourceVersion
        continue
      }
      if (event.type === 'DELETED') store.remove(keyOf(event.object), event.object)
      else store.put({ ...event.object, apiVersion: kind.apiVersion, kind: kind.kind })
      place.version = event.object.metadata.resourceVersion
    }
  }

  async function run(namespace: string): Promise<void> {
    let place: { version: string } | null = null
    let failures = 0
    while (!signal.aborted) {
      const startedAt = performance.now()
      try {
        if (place === null) place = { version: await list(namespace) }
        await follow(namespace, place)
        // A server that ends each watch at once must not be asked without end.
        failures = performance.now() - startedAt > 1_000 ? 0 : failures + 1
      } catch (error) {
        if (signal.aborted) return
        if (options.isOptional === true && isKubeError(error, 'NotFound')) {
          place = null
          store.replace(namespace, [])
          await pause(ABSENT_MS, signal)
          continue
        }
        if (performance.now() - startedAt > MAX_WAIT_MS) failures = 0
        failures += 1
        if (mustListAgain(error, failures)) place = null
        const fields = { kind: kind.kind, namespace, failures, error }
        if (isKubeError(error, 'Expired')) log.debug('cluster', 'a watch is too old, listing again', fields)
        else log.warn('cluster', 'cannot follow the API server', fields)
      }
      if (failures > 0) await pause(waitMs(failures, random()), signal)
    }
  }

  return {
    get: store.get,
    list: store.list,
    ownedBy: store.ownedBy,
    onChange: store.onChange,
    start() {
      loops = Promise.all(scopes.map(run))
    },
    async stop() {
      stopping.abort()
      await loops
    },
    isSynced: () => synced.size === scopes.length,
    whenSynced(until) {
      if (synced.size === scopes.length) return Promise.resolve()
      if (until?.aborted === true) return Promise.reject(until.reason as Error)
      return new Promise((resolve, reject) => {
        const end = () => {
          waiters.delete(end)
          until?.removeEventListener('abort', give)
          resolve()
        }
        const give = () => {
          waiters.delete(end)
          reject(until!.reason as Error)
        }
        waiters.add(end)
        until?.addEventListener('abort', give, { once: true })
      })
    },
  }
}

/** Where the server was not reached, the place in its history is as good as before. */
function mustListAgain(error: unknown, failures: number): boolean {
  const wasReached =
    error instanceof KubeError && error.status > 0 && error.status !== 429 && error.status < 500
  return wasReached || !(error instanceof KubeError) || failures % WATCHES_BEFORE_LIST === 0
}

function waitMs(failures: number, random: number): number {
  return Math.min(MAX_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(failures - 1, 20)) * (0.5 + random / 2)
}
