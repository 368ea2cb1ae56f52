/**
 * Runs controllers: informers from the start, so that a process that takes over knows the world already; work only while
 * this process leads.
 */
import type { Logger } from '@wmoc/platform/log'
import type { KubeClient } from './client.ts'
import type { ControllerDefinition, ReconcileContext, Watch } from './controller.ts'
import type { EventRecorder } from './events.ts'
import { conditionCounts } from './condition-counts.ts'
import type { Sample } from './condition-counts.ts'
import { createInformer } from './informer.ts'
import type { Cache, Change, Informer } from './informer.ts'
import { canonical, controllerOf } from './metadata.ts'
import type { RuntimeMetrics } from './metrics.ts'
import { keyOf, parseKey } from './objects.ts'
import type { Resource, Stored } from './objects.ts'
import { createQueue } from './queue.ts'
import type { WorkQueue } from './queue.ts'
import { takeTurn } from './worker.ts'

export interface ManagerOptions {
  readonly client: KubeClient
  readonly controllers: readonly ControllerDefinition[]
  /** Namespaces that are watched; empty: all. */
  readonly namespaces: readonly string[]
  readonly events: EventRecorder
  readonly metrics: RuntimeMetrics
  readonly log: Logger
  /** Asked before each write besides `lead`'s signal. */
  readonly isLeader: () => boolean
}

export interface Manager {
  /** Begins to follow the API server. */
  start(): void
  /** Works until `signal` is aborted and the last turn has come to its end. */
  lead(signal: AbortSignal): Promise<void>
  isSynced(): boolean
  stop(): Promise<void>
}

const DEFAULT_CONCURRENCY = 2

export function createManager(options: ManagerOptions): Manager {
  const { client, controllers, events, log, metrics } = options
  const informers = new Map<string, { readonly kind: Resource; readonly informer: Informer<unknown> }>()

  function informerOf<O>({ kind, labelSelector, isOptional = false }: Watch<O>): Informer<O> {
    const key = informerKey(kind, labelSelector)
    let entry = informers.get(key)
    if (entry === undefined) {
      const informer = createInformer<unknown>({
        client,
        kind,
        log,
        isOptional,
        ...(labelSelector === undefined ? {} : { labelSelector }),
        namespaces: kind.namespaced ? options.namespaces : [],
        onList: () => metrics.lists.inc({ kind: kind.kind }),
      })
      entry = { kind, informer }
      informers.set(key, entry)
    }
    return entry.informer as Informer<O>
  }

  const runners = controllers.map((definition) => createRunner(definition))

  function createRunner(definition: ControllerDefinition) {
    const { kind, owns = [], watches = [], concurrency = DEFAULT_CONCURRENCY } = definition
    const root = informerOf({ kind })
    const others: readonly Watch[] = [...owns.map((owned) => ({ kind: owned })), ...watches]
    const caches = new Map<string, Cache<unknown>>([[kindKey(kind), root]])
    for (const other of others) caches.set(kindKey(other.kind), informerOf(other))
    const needed = [root, ...others.filter(({ isOptional }) => isOptional !== true).map(informerOf)]
    let queue: WorkQueue | null = null

    root.onChange((change) => {
      if (isNews(change)) queue?.hurry(keyOf(change.object))
      else queue?.add(keyOf(change.object))
    })
    for (const other of others) {
      const { concerns } = other
      informerOf(other).onChange((change) => {
        const refs = [change.object, ...(change.type === 'updated' ? [change.previous] : [])].flatMap(
          (object) => concerns?.(object) ?? ownerOf(object, kind),
        )
        for (const ref of refs) queue?.add(keyOf(ref))
      })
    }

    function contextFor(key: string, failures: number, signal: AbortSignal): ReconcileContext<unknown> {
      return {
        object: root.get(parseKey(key)) ?? null,
        client: client.bind(signal, options.isLeader),
        cache<O>(wanted: Resource<O>) {
          const cache = caches.get(kindKey(wanted))
          if (cache === undefined) throw new Error(`${kind.kind} neither owns nor watches ${wanted.kind}`)
          return cache as Cache<O>
        },
        events,
        log: log.child({ kind: kind.kind, object: key }),
        signal,
        failures,
        now: Date.now,
      }
    }

    async function work(own: WorkQueue, signal: AbortSignal): Promise<void> {
      for (;;) {
        const key = await own.take()
        if (key === null) return
        const context = (until: AbortSignal) => contextFor(key, own.failures(key), until)
        const turn = await takeTurn(definition, key, signal, context, log)
        metrics.reconciles.inc({ kind: kind.kind, result: turn.outcome })
        metrics.duration.observe({ kind: kind.kind }, turn.seconds)
        if (turn.outcome === 'success' && root.get(parseKey(key)) !== undefined) {
          own.addAfter(key, turn.againMs)
        }
        own.done(key, turn.outcome !== 'success')
      }
    }

    return {
      kind,
      depth: () => queue?.depth() ?? 0,
      failing: () =>
        queue === null ? 0 : root.list().filter((object) => queue!.failures(keyOf(object)) > 0).length,
      conditions: () => conditionCounts(kind, root.list(), definition.isFew ?? false),
      isSynced: () => needed.every((informer) => informer.isSynced()),
      async lead(signal: AbortSignal): Promise<void> {
        for (const informer of needed) await informer.whenSynced(signal)
        const own = createQueue()
        queue = own
        for (const object of root.list()) own.add(keyOf(object))
        const workers = Array.from({ length: concurrency }, () => work(own, signal))
        await whenAborted(signal)
        await own.shut()
        await Promise.all(workers)
        queue = null
      },
    }
  }

  const byKind = (read: (runner: (typeof runners)[number]) => number) => () =>
    runners.map((runner): Sample => [{ kind: runner.kind.kind }, read(runner)])
  collect(
    metrics.depth,
    byKind((runner) => runner.depth()),
  )
  collect(
    metrics.failing,
    byKind((runner) => runner.failing()),
  )
  collect(metrics.conditions, () => runners.flatMap((runner) => runner.conditions()))
  collect(metrics.objects, () => {
    const counts = new Map<string, number>()
    for (const { kind, informer } of informers.values()) {
      counts.set(kind.kind, (counts.get(kind.kind) ?? 0) + informer.list().length)
    }
    return [...counts].map(([kind, count]): Sample => [{ kind }, count])
  })
  collect(metrics.leader, () => [[{}, options.isLeader() ? 1 : 0]])

  return {
    start() {
      for (const { informer } of informers.values()) informer.start()
    },
    async lead(signal) {
      const work = runners.map((runner) =>
        runner.lead(signal).catch((error: unknown) => {
          if (!signal.aborted) throw error
        }),
      )
      await Promise.all([...work, whenAborted(signal)])
    },
    isSynced: () => runners.every((runner) => runner.isSynced()),
    async stop() {
      await Promise.all([...informers.values()].map(({ informer }) => informer.stop()))
    },
  }
}

const kindKey = ({ apiVersion, kind }: Resource) => `${apiVersion}/${kind}`

const informerKey = (kind: Resource, labelSelector = '') => `${kindKey(kind)}?${labelSelector}`

/** Whether somebody else than a controller spoke: what the object asks for is another, not only its status. */
function isNews(change: Change<unknown>): boolean {
  if (change.type !== 'updated') return true
  const { object, previous } = change
  return (
    object.metadata.generation !== previous.metadata.generation ||
    object.metadata.deletionTimestamp !== previous.metadata.deletionTimestamp ||
    canonical(object.metadata.annotations) !== canonical(previous.metadata.annotations)
  )
}

function ownerOf(object: Stored, kind: Resource) {
  const owner = controllerOf(object)
  if (owner?.kind !== kind.kind || groupOf(owner.apiVersion) !== groupOf(kind.apiVersion)) return []
  return [{ namespace: object.metadata.namespace ?? '', name: owner.name }]
}

const groupOf = (apiVersion: string) => apiVersion.slice(0, Math.max(0, apiVersion.lastIndexOf('/')))

function whenAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}

interface Settable {
  set(labels: Sample[0], value: number): void
  reset(): void
}

/** Reads a gauge's values when it is scraped. */
function collect(gauge: unknown, read: () => readonly Sample[]): void {
  const settable = gauge as Settable
  Object.assign(settable, {
    collect() {
      settable.reset()
      for (const [labels, value] of read()) settable.set(labels, value)
    },
  })
}
