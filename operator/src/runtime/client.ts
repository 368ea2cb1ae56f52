/** What a controller may ask of the API server. `createKubeClient` makes it. */
import type { Ref, Resource, Sent, Stored } from './objects.ts'

/** The name under which fields that this operator sets are kept in `metadata.managedFields`. */
export const FIELD_MANAGER = 'wmoc-operator'

export interface ListOptions {
  /** Empty or absent: all namespaces. */
  readonly namespace?: string
  readonly labelSelector?: string
  readonly fieldSelector?: string
}

export interface List<T> {
  readonly items: readonly Stored<T>[]
  /** Of the list as a whole: where a watch goes on. */
  readonly resourceVersion: string
}

export interface WatchOptions extends ListOptions {
  readonly resourceVersion: string
  readonly signal?: AbortSignal
}

export type WatchEvent<T> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: Stored<T> }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string }

export interface ApplyOptions {
  /** Default: FIELD_MANAGER. */
  readonly fieldManager?: string
  /** Takes fields from other managers; default true, as controllers do. */
  readonly force?: boolean
  readonly dryRun?: boolean
}

export interface DeleteOptions {
  /** Deletes only the object with this uid. */
  readonly uid?: string
  readonly propagation?: 'Background' | 'Foreground' | 'Orphan'
  readonly gracePeriodSeconds?: number
}

export interface RawRequest {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Path and query below the server's address. */
  readonly path: string
  readonly body?: unknown
  readonly contentType?: string
  readonly timeoutMs?: number
  /** Longest time between two pieces of a stream; 0: any. Default: as for a watch. */
  readonly silenceMs?: number
  readonly signal?: AbortSignal
}

/**
 * Typed by the resource it is given, thin over HTTP. Every method throws a KubeError for what the server refuses (see
 * `errors.ts`), waits its turn in a token bucket, and gives up after the client's timeout.
 */
export interface KubeClient {
  /** The object, or null where there is none. */
  get<T>(kind: Resource<T>, ref: Ref): Promise<Stored<T> | null>
  /** All of them, fetched in pages. */
  list<T>(kind: Resource<T>, options?: ListOptions): Promise<List<T>>
  /**
   * Changes from `resourceVersion` on, until the server or `signal` ends it. Throws a KubeError with reason `Expired`
   * where the server no longer knows that version: list again.
   */
  watch<T>(kind: Resource<T>, options: WatchOptions): AsyncIterable<WatchEvent<T>>
  /** Server-side apply: creates, or sets the given fields and removes those that we set before and no longer give. */
  apply<T>(kind: Resource<T>, object: Sent<T>, options?: ApplyOptions): Promise<Stored<T>>
  /** Server-side apply of `object.status`, on the status subresource. The rest of the object is not looked at. */
  patchStatus<T>(
    kind: Resource<T>,
    object: Ref,
    status: unknown,
    options?: ApplyOptions & { readonly resourceVersion?: string },
  ): Promise<Stored<T>>
  /** JSON merge patch: `null` removes. With `metadata.resourceVersion` in it the server refuses a stale one (Conflict). */
  merge<T>(
    kind: Resource<T>,
    ref: Ref,
    patch: Readonly<Record<string, unknown>>,
    subresource?: 'status' | 'scale',
  ): Promise<Stored<T>>
  /** Throws AlreadyExists where it is there. */
  create<T>(kind: Resource<T>, object: Sent<T>): Promise<Stored<T>>
  /** Writes the whole object; Conflict where `metadata.resourceVersion` is stale. */
  replace<T>(kind: Resource<T>, object: Sent<T>): Promise<Stored<T>>
  /** False where it was gone already. */
  delete(kind: Resource, ref: Ref, options?: DeleteOptions): Promise<boolean>
  /** Whether the server has this kind; a "no" is asked again after a minute. */
  serves(kind: Resource): Promise<boolean>
  /** Any other path: discovery, logs, a pod's proxy. The body as text. */
  raw(request: RawRequest): Promise<string>
  /** The same, as it comes. */
  stream(request: RawRequest): Promise<AsyncIterable<Uint8Array>>
  /**
   * The same client whose every request ends, and which sends nothing any more, once `signal` is aborted.
   * @param isAllowed Asked before each request besides: a process that was stopped and goes on may act before its timers
   */
  bind(signal: AbortSignal, isAllowed?: () => boolean): KubeClient
  /** Ends idle connections; for the end of the process. */
  close(): Promise<void>
}
