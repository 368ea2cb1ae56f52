/** Events of the cluster about our objects: `kubectl describe` shows them. */
import { createHash } from 'node:crypto'
import { StringDecoder } from 'node:string_decoder'
import type { Event } from 'kubernetes-types/events/v1.d.ts'
import type { Logger } from '@wmoc/platform/log'
import type { KubeClient } from './client.ts'
import { isKubeError } from './errors.ts'
import type { Sent, Stored } from './objects.ts'
import { Events } from './resources.ts'

export interface EventDetails {
  readonly type: 'Normal' | 'Warning'
  /** CamelCase, documented, stable: `ShardDrainStarted`. */
  readonly reason: string
  /** What we were doing, CamelCase: `Drain`, `Rollout`, `Reconcile`. */
  readonly action: string
  /** For people; at most 1,024 bytes, longer ones are cut. */
  readonly message: string
}

export interface EventRecorder {
  /**
   * Tells of something that happened to an object. The same again within ten minutes is counted in one Event, and so are
   * other messages with the same reason once there were ten of them. Never throws and is not waited for: an Event that
   * can't be written is only logged.
   */
  record(object: Stored, event: EventDetails): void
  /** Resolves when all that was recorded is written or given up. */
  flush(): Promise<void>
}

export interface EventRecorderOptions {
  readonly client: KubeClient
  /** `wmoc.online/operator` */
  readonly controller: string
  /** Name of this process. */
  readonly instance: string
  readonly log: Logger
  /** Wall clock, ms since 1970. */
  readonly now?: () => number
}

const WINDOW_MS = 600_000
const DISTINCT_MESSAGES = 10
const MAX_NOTE_BYTES = 1_024
const MAX_KNOWN = 2_000

/** One Event that is on the server, or on its way there. */
interface Known {
  readonly namespace: string
  readonly name: string
  readonly since: number
  count: number
  lastAt: number
  note: string
  /** Whether the server has less than we know. */
  isStale: boolean
  writing: Promise<void> | null
}

export function createEventRecorder(options: EventRecorderOptions): EventRecorder {
  const { client, log, now = Date.now } = options
  const known = new Map<string, Known>()
  const messages = new Map<string, { readonly since: number; readonly notes: Set<string> }>()
  const writes = new Set<Promise<void>>()

  /** Repeated news share a key: of one message, or of one reason that says something else all the time. */
  function keyFor(object: Stored, event: EventDetails, note: string, at: number): string {
    const about = `${object.metadata.uid}/${event.type}/${event.reason}/${event.action}`
    let said = messages.get(about)
    if (said === undefined || at - said.since > WINDOW_MS) said = { since: at, notes: new Set() }
    messages.set(about, said)
    if (!said.notes.has(note) && said.notes.size >= DISTINCT_MESSAGES) return about
    said.notes.add(note)
    return `${about}/${note}`
  }

  function forget(at: number): void {
    for (const map of [known, messages] as Map<string, { readonly since: number }>[]) {
      for (const [key, { since }] of map) {
        if (map.size <= MAX_KNOWN && at - since <= WINDOW_MS) break
        map.delete(key)
      }
    }
  }

  async function create(object: Stored, event: EventDetails, entry: Known): Promise<void> {
    const { apiVersion, kind, metadata } = object
    await client.create(Events, {
      metadata: { namespace: entry.namespace, name: entry.name },
      eventTime: microTime(entry.since),
      reportingController: options.controller,
      reportingInstance: options.instance.slice(0, 128),
      action: event.action,
      reason: event.reason,
      type: event.type,
      note: entry.note,
      regarding: {
        apiVersion,
        kind,
        namespace: metadata.namespace,
        name: metadata.name,
        uid: metadata.uid,
        resourceVersion: metadata.resourceVersion,
      },
    } as Sent<Event>)
  }

  async function count(entry: Known): Promise<void> {
    const series = { count: entry.count, lastObservedTime: microTime(entry.lastAt) }
    await client.merge(Events, { namespace: entry.namespace, name: entry.name }, { series, note: entry.note })
  }

  async function write(key: string, entry: Known, first: () => Promise<void>): Promise<void> {
    try {
      await first()
      while (entry.isStale) {
        entry.isStale = false
        await count(entry)
      }
    } catch (error) {
      known.delete(key)
      const isGone = isKubeError(error, 'NotFound', 'Aborted')
      if (!isGone) log.warn('events', 'an event of the cluster was not written', { name: entry.name, error })
    } finally {
      entry.writing = null
    }
  }

  function begin(key: string, entry: Known, first: () => Promise<void>): void {
    const writing = write(key, entry, first).finally(() => writes.delete(writing))
    entry.writing = writing
    writes.add(writing)
  }

  return {
    record(object, event) {
      const at = now()
      forget(at)
      const note = cut(event.message)
      const key = keyFor(object, event, note, at)
      const before = known.get(key)
      if (before !== undefined && at - before.since <= WINDOW_MS) {
        Object.assign(before, { count: before.count + 1, lastAt: at, note })
        if (before.writing !== null) before.isStale = true
        else begin(key, before, () => count(before))
        return
      }
      const id = createHash('sha256').update(key).digest('hex').slice(0, 8)
      const entry: Known = {
        namespace: object.metadata.namespace ?? 'default',
        name: `${object.metadata.name.slice(0, 200)}.${at.toString(36)}${id}`,
        since: at,
        count: 1,
        lastAt: at,
        note,
        isStale: false,
        writing: null,
      }
      known.delete(key)
      known.set(key, entry)
      begin(key, entry, () => create(object, event, entry))
    },
    async flush() {
      while (writes.size > 0) await Promise.all(writes)
    },
  }
}

function microTime(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000Z')
}

/** The server refuses a longer note. */
function cut(message: string): string {
  const bytes = Buffer.from(message)
  if (bytes.length <= MAX_NOTE_BYTES) return message
  // A stream keeps back a character that is not whole.
  const decoder = new StringDecoder('utf8')
  return `${decoder.write(bytes.subarray(0, MAX_NOTE_BYTES - 3))}…`
}
