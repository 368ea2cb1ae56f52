/** KubeClient over HTTP. */
import { FIELD_MANAGER } from './client.ts'
import type {
  ApplyOptions,
  DeleteOptions,
  KubeClient,
  List,
  ListOptions,
  WatchEvent,
  WatchOptions,
} from './client.ts'
import { isKubeError } from './errors.ts'
import { refOf } from './objects.ts'
import type { Ref, Resource, Sent, Stored } from './objects.ts'
import { createTransport } from './transport.ts'
import type { KubeClientOptions, Transport } from './transport.ts'
import { watchLines } from './watch-lines.ts'

const PAGE_ITEMS = 500
const APPLY = 'application/apply-patch+yaml'
const MERGE = 'application/merge-patch+json'
/** The server ends a watch after about this time; the informer goes on where it was. */
const WATCH_SECONDS = 280
const ABSENT_KIND_MS = 60_000

/** A client of one API server. */
export function createKubeClient(options: KubeClientOptions): KubeClient {
  return clientOver(createTransport(options), new Map())
}

/** `apiVersion/plural` → when the server was asked, and what it said. */
type Served = Map<string, { readonly isThere: boolean; readonly at: number }>

function clientOver(transport: Transport, served: Served): KubeClient {
  async function pages<T>(kind: Resource<T>, list: ListOptions, limit?: number): Promise<List<T>> {
    const items: Stored<T>[] = []
    let next: string | undefined
    for (;;) {
      const page = await transport.json<Page<T>>({
        verb: 'list',
        method: 'GET',
        path: pathOf(kind, list.namespace),
        query: { ...selectors(list), limit: limit?.toString(), continue: next },
      })
      // Items of a list carry neither.
      for (const item of page.items) items.push({ ...item, apiVersion: kind.apiVersion, kind: kind.kind })
      next = page.metadata.continue
      if (next === undefined || next === '') return { items, resourceVersion: page.metadata.resourceVersion }
    }
  }

  async function* watch<T>(kind: Resource<T>, from: WatchOptions): AsyncGenerator<WatchEvent<T>> {
    const stream = await transport.stream({
      verb: 'watch',
      method: 'GET',
      path: pathOf(kind, from.namespace),
      query: {
        ...selectors(from),
        watch: '1',
        allowWatchBookmarks: 'true',
        resourceVersion: from.resourceVersion,
        timeoutSeconds: String(Math.round(WATCH_SECONDS * (0.8 + 0.4 * Math.random()))),
      },
      signal: from.signal,
    })
    yield* watchLines<T>(stream)
  }

  const patch = <T>(path: string, contentType: string, body: unknown, query: Query = MANAGED) =>
    transport.json<Stored<T>>({
      verb: contentType === APPLY ? 'apply' : 'patch',
      method: 'PATCH',
      path,
      query,
      contentType,
      body,
    })

  async function remove(kind: Resource, ref: Ref, options: DeleteOptions = {}): Promise<boolean> {
    const { uid, propagation = 'Background', gracePeriodSeconds } = options
    const body = {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      propagationPolicy: propagation,
      gracePeriodSeconds,
      preconditions: uid === undefined ? undefined : { uid },
    }
    const path = pathOf(kind, ref.namespace, ref.name)
    return unlessAbsent(() => transport.text({ verb: 'delete', method: 'DELETE', path, body })).then(
      (text) => text !== null,
    )
  }

  async function serves(kind: Resource): Promise<boolean> {
    const key = `${kind.apiVersion}/${kind.plural}`
    const known = served.get(key)
    if (known?.isThere === true) return true
    if (known !== undefined && performance.now() - known.at < ABSENT_KIND_MS) return false
    const group = await unlessAbsent(() =>
      transport.json<{ resources: { name: string }[] }>({
        verb: 'get',
        method: 'GET',
        path: groupPath(kind),
      }),
    )
    const isThere = group?.resources.some(({ name }) => name === kind.plural) ?? false
    served.set(key, { isThere, at: performance.now() })
    return isThere
  }

  return {
    get: <T>(kind: Resource<T>, ref: Ref) =>
      unlessAbsent(() =>
        transport.json<Stored<T>>({
          verb: 'get',
          method: 'GET',
          path: pathOf(kind, ref.namespace, ref.name),
        }),
      ),
    async list(kind, list = {}) {
      try {
        return await pages(kind, list, PAGE_ITEMS)
      } catch (error) {
        // The server forgot where the pages were: all at once, then.
        if (isKubeError(error, 'Expired')) return pages(kind, list)
        throw error
      }
    },
    watch,
    apply: (kind, object, options = {}) =>
      patch(addressOf(kind, object), APPLY, whole(kind, object), applyQuery(options)),
    patchStatus: (kind, { namespace, name }, status, { resourceVersion, ...options } = {}) =>
      patch(
        `${pathOf(kind, namespace, name)}/status`,
        APPLY,
        {
          apiVersion: kind.apiVersion,
          kind: kind.kind,
          status,
          metadata: { name, namespace: namespace === '' ? undefined : namespace, resourceVersion },
        },
        applyQuery(options),
      ),
    merge: (kind, { namespace, name }, change, subresource) =>
      patch(
        `${pathOf(kind, namespace, name)}${subresource === undefined ? '' : `/${subresource}`}`,
        MERGE,
        change,
      ),
    create: (kind, object) =>
      transport.json({
        verb: 'create',
        method: 'POST',
        query: MANAGED,
        path: pathOf(kind, refOf(object).namespace),
        body: whole(kind, object),
      }),
    replace: (kind, object) =>
      transport.json({
        verb: 'update',
        method: 'PUT',
        query: MANAGED,
        path: addressOf(kind, object),
        body: whole(kind, object),
      }),
    delete: remove,
    serves,
    raw: ({ method = 'GET', ...rest }) => transport.text({ verb: 'raw', method, ...rest }),
    stream: ({ method = 'GET', ...rest }) => transport.stream({ verb: 'raw', method, ...rest }),
    bind: (signal, isAllowed = () => true) => clientOver(transport.bind(signal, isAllowed), served),
    close: () => transport.close(),
  }
}

interface Page<T> {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string }
  readonly items: readonly Stored<T>[]
}

type Query = Readonly<Record<string, string | undefined>>

const MANAGED: Query = { fieldManager: FIELD_MANAGER }

async function unlessAbsent<R>(ask: () => Promise<R>): Promise<R | null> {
  try {
    return await ask()
  } catch (error) {
    if (isKubeError(error, 'NotFound')) return null
    throw error
  }
}

function applyQuery({ fieldManager = FIELD_MANAGER, force = true, dryRun = false }: ApplyOptions): Query {
  return { fieldManager, force: String(force), dryRun: dryRun ? 'All' : undefined }
}

function whole<T>(kind: Resource<T>, object: Sent<T>) {
  return { ...object, apiVersion: kind.apiVersion, kind: kind.kind }
}

const addressOf = <T>(kind: Resource<T>, object: Sent<T>) =>
  pathOf(kind, refOf(object).namespace, object.metadata.name)

const groupPath = ({ apiVersion }: Resource) =>
  apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`

function pathOf(kind: Resource, namespace = '', name?: string): string {
  const inside = kind.namespaced && namespace !== '' ? `/namespaces/${encodeURIComponent(namespace)}` : ''
  return `${groupPath(kind)}${inside}/${kind.plural}${name === undefined ? '' : `/${encodeURIComponent(name)}`}`
}

function selectors({ labelSelector, fieldSelector }: ListOptions): Query {
  return { labelSelector, fieldSelector }
}
