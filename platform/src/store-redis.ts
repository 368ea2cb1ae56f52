/** The shared store on Redis 6.2 or newer, or Valkey. What must be one step is a Lua script with the server's clock. */
import { Redis } from 'ioredis'
import { appError } from './errors.ts'
import { gcra } from './core/gcra.ts'
import type { Logger } from './log.ts'
import type { LimitRule, Presence, Store } from './store.ts'
import { createSubscriptions } from './subscriptions.ts'

const presenceKey = (controllerId: string) => `wmoc:presence:${controllerId}`
const leaseKey = (group: string) => `wmoc:lease:${group}`

/** KEYS[1] the bucket; ARGV interval ms, tolerance ms, cost. Returns {allowed, tat before, now}: the figures follow in `gcra`. */
const LIMIT = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local tat = tonumber(redis.call('GET', KEYS[1]) or '0')
local base = math.max(tat, now)
local next = base + tonumber(ARGV[1]) * tonumber(ARGV[3])
if next - tonumber(ARGV[2]) <= now then
  redis.call('SET', KEYS[1], string.format('%.17g', next), 'PX', math.ceil(next - now) + 1)
end
return {string.format('%.17g', tat), string.format('%.17g', now)}`

/** KEYS[1] the entry; ARGV shard, least epoch, ttl ms. Returns {epoch, previous shard or '', its epoch, its mark}. */
const CLAIM = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'shard', 'epoch', 'moving')
local epoch = math.max(tonumber(held[2] or '0') + 1, tonumber(ARGV[2]), now)
redis.call('HSET', KEYS[1], 'shard', ARGV[1], 'epoch', string.format('%d', epoch))
if held[3] then redis.call('HDEL', KEYS[1], 'moving') end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {string.format('%d', epoch), held[1] or '', held[2] or '0', held[3] or ''}`

/** KEYS the entries; ARGV shard, ttl ms, then an epoch for each. A lost entry is set again. Returns 1 or 0 for each.
 * An epoch that a clock gone back handed out twice stays with the shard that is written down. One that was marked as
 * moving keeps its mark and the time it has. */
const RENEW = `
local answers = {}
for i, key in ipairs(KEYS) do
  local mine = tonumber(ARGV[i + 2])
  local entry = redis.call('HMGET', key, 'shard', 'epoch', 'moving')
  local held = tonumber(entry[2] or '0')
  if held > mine or (held == mine and entry[1] ~= ARGV[1]) then
    answers[i] = 0
  else
    if held < mine then
      redis.call('HSET', key, 'shard', ARGV[1], 'epoch', ARGV[i + 2])
      if entry[3] then redis.call('HDEL', key, 'moving') end
    end
    if held < mine or not entry[3] then redis.call('PEXPIRE', key, ARGV[2]) end
    answers[i] = 1
  end
end
return answers`

const RELEASE = `
if redis.call('HGET', KEYS[1], 'epoch') == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`

/** KEYS[1] the entry; ARGV epoch, ttl ms. */
const LEAVE = `
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'moving', '1')
return redis.call('PEXPIRE', KEYS[1], ARGV[2])`

/** KEYS[1] the group, a hash of `{ms since 1970 when it ends}:{value}`; ARGV id, value, ttl ms. */
const KEEP_LEASE = `
local time = redis.call('TIME')
local ends = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[3])
redis.call('HSET', KEYS[1], ARGV[1], string.format('%d', ends) .. ':' .. ARGV[2])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end`

/** KEYS[1] the group. Returns id, value, id, value … of those that live, and forgets the others. */
const LEASES = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local rows = redis.call('HGETALL', KEYS[1])
local live = {}
for i = 1, #rows, 2 do
  local cut = string.find(rows[i + 1], ':', 1, true)
  if tonumber(string.sub(rows[i + 1], 1, cut - 1)) > now then
    live[#live + 1] = rows[i]
    live[#live + 1] = string.sub(rows[i + 1], cut + 1)
  else
    redis.call('HDEL', KEYS[1], rows[i])
  end
end
return live`

const INCREMENT = `
local value = redis.call('INCR', KEYS[1])
if value == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return value`

interface Scripts {
  wmocLimit(key: string, intervalMs: number, toleranceMs: number, cost: number): Promise<[string, string]>
  wmocClaim(
    key: string,
    shard: string,
    atLeast: number,
    ttlMs: number,
  ): Promise<[string, string, string, string]>
  wmocRenew(count: number, ...args: (string | number)[]): Promise<number[]>
  wmocRelease(key: string, epoch: number): Promise<number>
  wmocLeave(key: string, epoch: number, ttlMs: number): Promise<number>
  wmocKeepLease(key: string, id: string, value: string, ttlMs: number): Promise<null>
  wmocLeases(key: string): Promise<string[]>
  wmocIncrement(key: string, ttlMs: number): Promise<number>
}

const COMMAND_TIMEOUT_MS = 2_000
/** A connection on which a command stays unanswered for this long is given up. */
const SOCKET_TIMEOUT_MS = 5_000
const SUBSCRIBER_PING_MS = 15_000
const RECONNECT_MAX_MS = 2_000

/**
 * Connects in the background. The first calls wait for the first connection, at most COMMAND_TIMEOUT_MS; later, while
 * Redis is away, every call fails at once with `dependency_unavailable` and nothing is carried out afterwards.
 */
export function createRedisStore(options: { url: string; log: Logger; name: string }): Store {
  const common = {
    connectionName: options.name,
    retryStrategy: (attempt: number) =>
      Math.random() * Math.min(RECONNECT_MAX_MS, 50 * 2 ** Math.min(attempt, 6)),
    // After a failover the old primary answers READONLY: connect anew, to whoever is primary now.
    reconnectOnError: (error: Error) => error.message.includes('READONLY'),
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    commandTimeout: COMMAND_TIMEOUT_MS,
    socketTimeout: SOCKET_TIMEOUT_MS,
  }
  const main = new Redis(options.url, common)
  const subscriber = new Redis(options.url, { ...common, autoResubscribe: false })
  main.defineCommand('wmocLimit', { numberOfKeys: 1, lua: LIMIT })
  main.defineCommand('wmocClaim', { numberOfKeys: 1, lua: CLAIM })
  main.defineCommand('wmocRenew', { lua: RENEW })
  main.defineCommand('wmocRelease', { numberOfKeys: 1, lua: RELEASE })
  main.defineCommand('wmocLeave', { numberOfKeys: 1, lua: LEAVE })
  main.defineCommand('wmocKeepLease', { numberOfKeys: 1, lua: KEEP_LEASE })
  main.defineCommand('wmocLeases', { numberOfKeys: 1, lua: LEASES })
  main.defineCommand('wmocIncrement', { numberOfKeys: 1, lua: INCREMENT })
  const scripts = main as unknown as Scripts

  tellOutages(main, options.log)
  subscriber.on('error', () => undefined)
  const firstTry = new Promise<void>((resolve) => {
    main.once('ready', resolve)
    main.once('close', resolve)
  })

  const subscriptions = createSubscriptions(
    {
      subscribe: (channel) => subscriber.subscribe(channel),
      unsubscribe: (channel) => subscriber.unsubscribe(channel),
    },
    options.log,
  )
  subscriber.on('message', subscriptions.deliver)
  subscriber.on('ready', subscriptions.renew)
  // A half-open connection looks like a silent channel: only an unanswered command ends it.
  const pinger = setInterval(() => void subscriber.ping().catch(() => undefined), SUBSCRIBER_PING_MS).unref()

  async function call<T>(work: () => Promise<T>): Promise<T> {
    await firstTry
    try {
      return await work()
    } catch (cause) {
      throw appError('dependency_unavailable', {
        detail: 'the shared store is away',
        retryAfterMs: 2_000,
        cause,
      })
    }
  }

  return {
    kind: 'redis',
    get: (key) => call(() => main.get(key)),
    set: (key, value, { ttlMs, ifAbsent }) =>
      call(async () => {
        const answer =
          ifAbsent === true
            ? await main.set(key, value, 'PX', ttlMs, 'NX')
            : await main.set(key, value, 'PX', ttlMs)
        return answer === 'OK'
      }),
    take: (key) => call(() => main.getdel(key)),
    delete: (...keys) => call(async () => (keys.length === 0 ? 0 : main.del(...keys))),
    increment: (key, ttlMs) => call(() => scripts.wmocIncrement(key, ttlMs)),
    limit: (key, rule: LimitRule, cost = 1) =>
      call(async () => {
        const intervalMs = rule.periodMs / rule.count
        const [tat, now] = await scripts.wmocLimit(
          `wmoc:limit:${key}`,
          intervalMs,
          intervalMs * rule.burst,
          cost,
        )
        return gcra(Number(tat), Number(now), rule, cost).result
      }),
    claimPresence: (controllerId, { shard, atLeast, ttlMs }) =>
      call(async () => {
        const [epoch, heldBy, heldEpoch, mark] = await scripts.wmocClaim(
          presenceKey(controllerId),
          shard,
          atLeast,
          ttlMs,
        )
        return {
          epoch: Number(epoch),
          previous: heldBy === '' ? null : { shard: heldBy, epoch: Number(heldEpoch), isMoving: mark !== '' },
        }
      }),
    renewPresence: (shard, entries, ttlMs) =>
      call(async () => {
        if (entries.length === 0) return []
        const keys = entries.map((entry) => presenceKey(entry.controllerId))
        const epochs = entries.map((entry) => entry.epoch)
        return (await scripts.wmocRenew(keys.length, ...keys, shard, ttlMs, ...epochs)).map(
          (answer) => answer === 1,
        )
      }),
    releasePresence: (controllerId, epoch) =>
      call(async () => (await scripts.wmocRelease(presenceKey(controllerId), epoch)) === 1),
    leavePresence: (controllerId, epoch, ttlMs) =>
      call(async () => (await scripts.wmocLeave(presenceKey(controllerId), epoch, ttlMs)) === 1),
    getPresence: (controllerIds) =>
      call(async () => {
        const pipeline = main.pipeline()
        for (const id of controllerIds) pipeline.hmget(presenceKey(id), 'shard', 'epoch', 'moving')
        const rows = (await pipeline.exec()) ?? []
        return rows.map(([error, row]): Presence | null => {
          if (error !== null) throw error
          const [shard, epoch, mark] = row as [string | null, string | null, string | null]
          return shard === null || epoch === null
            ? null
            : { shard, epoch: Number(epoch), isMoving: mark !== null }
        })
      }),
    keepLease: (group, { id, value }, ttlMs) =>
      call(async () => {
        await scripts.wmocKeepLease(leaseKey(group), id, value, ttlMs)
      }),
    dropLease: (group, id) =>
      call(async () => {
        await main.hdel(leaseKey(group), id)
      }),
    leases: (group) =>
      call(async () => {
        const rows = await scripts.wmocLeases(leaseKey(group))
        return Array.from({ length: rows.length / 2 }, (_, at) => ({
          id: rows[at * 2]!,
          value: rows[at * 2 + 1]!,
        }))
      }),
    publish: (channel, message) =>
      call(async () => {
        await main.publish(channel, message)
      }),
    subscribe: subscriptions.add,
    ping: () =>
      call(async () => {
        await main.ping()
      }),
    close: async () => {
      clearInterval(pinger)
      main.disconnect()
      subscriber.disconnect()
    },
  }
}

/** One line when Redis goes and one when it is back, however many attempts lie between. */
function tellOutages(connection: Redis, log: Logger): void {
  let isDown = false
  connection.on('error', (error: Error) => {
    if (!isDown) log.warn('store', 'Redis is away, reconnecting', { error })
    isDown = true
  })
  connection.on('ready', () => {
    if (isDown) log.info('store', 'Redis is back')
    isDown = false
  })
}
