/** A client of the embedded store: same interface, same failures as the one of Redis. */
import { connect, type Socket } from 'node:net'
import { type Operation, lineReader, WireReply } from './embedded-store-wire.ts'
import { appError } from './errors.ts'
import type { Logger } from './log.ts'
import type { Lease, LimitResult, Presence, Store } from './store.ts'
import { createSubscriptions } from './subscriptions.ts'

const TIMEOUT_MS = 2_000
const RECONNECT_MS = 100

interface Pending {
  resolve(value: unknown): void
  reject(error: Error): void
  timer: NodeJS.Timeout
}

/** Connects in the background and again whenever the server was away; subscriptions are made again. */
export function createEmbeddedStore(options: { url: string; log: Logger }): Store {
  const url = new URL(options.url)
  const token = url.searchParams.get('token') ?? ''
  const pending = new Map<number, Pending>()
  const subscriptions = createSubscriptions(
    {
      subscribe: (channel) => call({ op: 'subscribe', args: [channel] }),
      unsubscribe: (channel) => call({ op: 'unsubscribe', args: [channel] }),
    },
    options.log,
  )
  let socket: Socket | null = null
  let nextId = 1
  let isClosed = false
  let isDown = false
  let ready: Promise<void> = open()

  function open(): Promise<void> {
    return new Promise((resolve) => {
      const opened = connect({ host: url.hostname, port: Number(url.port) })
      opened.setEncoding('utf8')
      opened.setNoDelay(true)
      opened.on('connect', () => {
        if (isClosed) {
          opened.destroy()
          return
        }
        socket = opened
        write({ op: 'auth', args: [token] })
        subscriptions.renew()
        if (isDown) options.log.info('store', 'the embedded store is back')
        isDown = false
        resolve()
      })
      const feed = lineReader(onLine)
      opened.on('data', (text: string) => {
        try {
          feed(text)
        } catch {
          opened.destroy()
        }
      })
      opened.on('error', () => opened.destroy())
      opened.on('close', () => {
        if (socket === opened) socket = null
        for (const [id, entry] of pending) fail(id, entry)
        resolve()
        if (isClosed) return
        if (!isDown) options.log.warn('store', 'the embedded store is away, reconnecting')
        isDown = true
        setTimeout(() => {
          if (!isClosed) ready = open()
        }, RECONNECT_MS)
      })
    })
  }

  function onLine(line: string): void {
    const reply = WireReply.parse(JSON.parse(line))
    if ('channel' in reply) {
      subscriptions.deliver(reply.channel, reply.message)
      return
    }
    const entry = pending.get(reply.id)
    if (entry === undefined) return
    pending.delete(reply.id)
    clearTimeout(entry.timer)
    if ('error' in reply) entry.reject(new Error(reply.error))
    else entry.resolve(reply.value)
  }

  function fail(id: number, entry: Pending): void {
    pending.delete(id)
    clearTimeout(entry.timer)
    entry.reject(
      appError('dependency_unavailable', { detail: 'the shared store is away', retryAfterMs: 2_000 }),
    )
  }

  function write(operation: Operation): number {
    const id = nextId++
    socket!.write(`${JSON.stringify({ id, ...operation })}\n`)
    return id
  }

  /** The server runs the Store method of that name: its answer has that method's type. */
  async function call<T>(operation: Operation): Promise<T> {
    await ready
    return new Promise<unknown>((resolve, reject) => {
      if (socket === null) {
        reject(
          appError('dependency_unavailable', { detail: 'the shared store is away', retryAfterMs: 2_000 }),
        )
        return
      }
      const id = write(operation)
      const timer = setTimeout(() => {
        const entry = pending.get(id)
        if (entry !== undefined) fail(id, entry)
      }, TIMEOUT_MS)
      pending.set(id, { resolve, reject, timer })
    }) as Promise<T>
  }

  return {
    kind: 'embedded',
    get: (key) => call<string | null>({ op: 'get', args: [key] }),
    set: (key, value, setOptions) => call<boolean>({ op: 'set', args: [key, value, setOptions] }),
    take: (key) => call<string | null>({ op: 'take', args: [key] }),
    delete: (...keys) => call<number>({ op: 'delete', args: [keys] }),
    increment: (key, ttlMs) => call<number>({ op: 'increment', args: [key, ttlMs] }),
    limit: (key, rule, cost = 1) => call<LimitResult>({ op: 'limit', args: [key, { ...rule }, cost] }),
    claimPresence: (controllerId, claim) =>
      call<{ epoch: number; previous: Presence | null }>({
        op: 'claimPresence',
        args: [controllerId, claim],
      }),
    renewPresence: (shard, entries, ttlMs) =>
      call<boolean[]>({ op: 'renewPresence', args: [shard, [...entries], ttlMs] }),
    releasePresence: (controllerId, epoch) =>
      call<boolean>({ op: 'releasePresence', args: [controllerId, epoch] }),
    leavePresence: (controllerId, epoch, ttlMs) =>
      call<boolean>({ op: 'leavePresence', args: [controllerId, epoch, ttlMs] }),
    getPresence: (controllerIds) =>
      call<(Presence | null)[]>({ op: 'getPresence', args: [[...controllerIds]] }),
    keepLease: async (group, lease, ttlMs) => {
      await call({ op: 'keepLease', args: [group, { ...lease }, ttlMs] })
    },
    dropLease: async (group, id) => {
      await call({ op: 'dropLease', args: [group, id] })
    },
    leases: (group) => call<Lease[]>({ op: 'leases', args: [group] }),
    publish: async (channel, message) => {
      await call({ op: 'publish', args: [channel, message] })
    },
    subscribe: subscriptions.add,
    ping: async () => {
      await call({ op: 'ping', args: [] })
    },
    close: async () => {
      isClosed = true
      socket?.destroy()
      await Promise.resolve()
    },
  }
}
