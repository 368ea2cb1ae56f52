/**
 * A cluster in miniature, without I/O or a clock of its own: a StatefulSet's controller, pods that start, fail and end,
 * shards with tunnels that drain. It does what it is told the way the real ones do, and keeps account of who took which
 * shard away.
 */
import type { Action } from '#src/kinds/tunnel-gateway/actions.ts'
import type { TunnelGatewaySpec } from '#src/kinds/tunnel-gateway/schema.ts'
import type { DrainMark, Shard, ShardSet, World } from '#src/kinds/tunnel-gateway/world.ts'

interface Pod {
  readonly ordinal: number
  readonly uid: number
  version: number
  readonly template: string
  readonly createdAt: number
  readyAt: number
  changedAt: number
  isReady: boolean
  hasReachedApi: boolean
  endsAt: number | null
  mark: DrainMark | null
  isDrainAsked: boolean
  tunnels: number
  isDraining: boolean
  drainedAt: number | null
  evictPerSecond: number
  /** Its last tunnel hangs: only the end of its process ends it. */
  readonly isStuck: boolean
}

/** How templates behave, by name: `bad-…` never gets ready, `lossy-…` fails requests, `deaf-…` loses the API when ready. */
const isBad = (template: string) => template.startsWith('bad')
const isDeaf = (template: string) => template.startsWith('deaf')
const isLossy = (template: string) => template.startsWith('lossy')

export type SimulatedWorld = ReturnType<typeof createSimulatedWorld>

/** @param random uniform in [0, 1) */
export function createSimulatedWorld(random: () => number) {
  let now = Date.parse('2026-01-01T00:00:00Z')
  let nextUid = 1
  let set: (ShardSet & { current: string }) | null = null
  const revisions = new Map<string, number>()
  const pods = new Map<number, Pod>()
  /** Ordinals whose shard is away because the operator had it replaced. */
  const replaced = new Set<number>()
  /** Devices that look for a shard. */
  let homeless = 0
  const faults: string[] = []
  /** When the API is away: from, until. */
  const outages: (readonly [number, number])[] = []
  const isApiAway = (at: number) => outages.some(([from, until]) => at >= from && at < until)

  const isServing = (pod: Pod) => pod.isReady && pod.endsAt === null && !pod.isDraining
  const servingPods = () => [...pods.values()].filter(isServing)

  function createPod(ordinal: number, template: string): void {
    const readyAt = isBad(template) ? Infinity : now + 1_000 + Math.floor(random() * 20_000)
    pods.set(ordinal, {
      ordinal,
      uid: nextUid++,
      version: nextUid,
      template,
      createdAt: now,
      readyAt,
      changedAt: now,
      isReady: false,
      hasReachedApi: false,
      endsAt: null,
      mark: null,
      isDrainAsked: false,
      tunnels: 0,
      isDraining: false,
      drainedAt: null,
      evictPerSecond: 0,
      isStuck: random() < 0.1,
    })
  }

  function terminate(pod: Pod): void {
    pod.endsAt ??= now + 1_000 + Math.floor(random() * 10_000)
    pod.isDraining = true
  }

  /** One look of the StatefulSet's controller. */
  function control(): void {
    if (set === null) return
    set = { ...set, isObserved: true }
    for (let ordinal = 0; ordinal < set.replicas; ordinal++)
      if (!pods.has(ordinal)) createPod(ordinal, ordinal < set.partition ? set.current : set.template)
    for (const pod of pods.values()) if (pod.ordinal >= set.replicas) terminate(pod)
    const all = [...pods.values()].filter(({ ordinal }) => ordinal < set!.replicas)
    if (all.every((pod) => pod.template === set!.template && pod.isReady))
      set = { ...set, current: set.template }
    for (let ordinal = set.replicas - 1; ordinal >= set.partition; ordinal--) {
      const pod = pods.get(ordinal)
      if (pod === undefined || pod.endsAt !== null) return
      if (pod.template !== set.template) {
        replaced.add(ordinal)
        return terminate(pod)
      }
      if (!pod.isReady) return
    }
  }

  function live(seconds: number): void {
    for (const pod of pods.values()) {
      if (pod.endsAt !== null && now >= pod.endsAt) {
        homeless += pod.tunnels
        pods.delete(pod.ordinal)
        continue
      }
      if (!pod.isReady && pod.endsAt === null && now >= pod.readyAt && !pod.isDraining && canBeReady(pod))
        ready(pod, true)
      if (!pod.isDraining) continue
      if (pod.isReady) ready(pod, false)
      const leave = Math.min(pod.tunnels - (pod.isStuck ? 1 : 0), Math.ceil(pod.evictPerSecond * seconds))
      if (leave > 0) {
        pod.tunnels -= leave
        homeless += leave
      }
      if (pod.tunnels === 0) pod.drainedAt ??= now
    }
    // Nobody but the API can say whether a device may come in.
    const homes = isApiAway(now) ? [] : servingPods().filter(({ template }) => !isDeaf(template))
    for (; homeless > 0 && homes.length > 0; homeless--)
      homes[Math.floor(random() * homes.length)]!.tunnels += 1
    for (const ordinal of replaced) {
      const pod = pods.get(ordinal)
      if (pod === undefined ? ordinal >= (set?.replicas ?? 0) : isServing(pod)) replaced.delete(ordinal)
    }
  }

  /** A shard that was never ready waits for the API. */
  function canBeReady(pod: Pod): boolean {
    pod.hasReachedApi ||= !isApiAway(now)
    return pod.hasReachedApi
  }

  function apiCallsOf({ template, readyAt }: Pod) {
    const slices = Array.from({ length: 12 }, (_, age) => now - age * 5_000)
    const calls = slices.map((at) => (at >= readyAt ? 2 : 0))
    return {
      calls,
      failed: slices.map((at, age) => (isApiAway(at) || isDeaf(template) ? calls[age]! : 0)),
    }
  }

  function ready(pod: Pod, isReady: boolean): void {
    pod.isReady = isReady
    pod.changedAt = now
    pod.version += 1
  }

  function shardOf(pod: Pod): Shard {
    const requests = isLossy(pod.template) ? 100 : 1_000
    return {
      name: `gw-${pod.ordinal}`,
      ordinal: pod.ordinal,
      uid: String(pod.uid),
      resourceVersion: `${pod.uid}.${pod.version}`,
      createdAtMs: pod.createdAt,
      isReady: pod.isReady,
      readySinceMs: pod.changedAt,
      isTerminating: pod.endsAt !== null,
      isRunning: now >= Math.min(pod.readyAt, pod.createdAt + 500),
      template: pod.template,
      version: pod.template,
      isDrainAsked: pod.isDrainAsked,
      mark: pod.mark,
      isLost: false,
      trouble: isBad(pod.template) ? 'CrashLoopBackOff' : null,
      report:
        now < pod.readyAt
          ? null
          : {
              version: '1.0.0',
              tunnels: pod.tunnels,
              inFlight: 0,
              isDraining: pod.isDraining,
              isEnding: pod.endsAt !== null,
              drainedAtMs: pod.drainedAt,
              totals: {
                requests,
                failed: isLossy(pod.template) ? 50 : 1,
                offline: 10,
                registrations: 10,
                refused: 0,
              },
              apiCalls: apiCallsOf(pod),
              epoch: 1,
              serving: servingPods().map(({ ordinal }) => `gw-${ordinal}`),
            },
    }
  }

  /** Taken away by the operator, and not back. */
  function takenAway(): Set<number> {
    const marked = [...pods.values()].filter(({ mark }) => mark !== null && mark.reason !== 'Manual')
    return new Set([...replaced, ...marked.map(({ ordinal }) => ordinal)])
  }

  /** One that has been broken for a while and is to go, or is to be replaced after the others, is nobody's loss. */
  function isGivenUp(ordinal: number, spec: TunnelGatewaySpec): boolean {
    const pod = pods.get(ordinal)
    if (pod === undefined || pod.isReady || pod.endsAt !== null || now - pod.changedAt < 60_000) return false
    return ordinal >= spec.replicas || pod.template !== set!.template
  }

  function checkMark(pod: Pod, mark: DrainMark, spec: TunnelGatewaySpec): void {
    if (mark.reason === 'Manual' || mark.reason === 'Deletion' || !isServing(pod)) return
    const already = [...takenAway()].filter(
      (ordinal) => ordinal !== pod.ordinal && ordinal < set!.replicas && !isGivenUp(ordinal, spec),
    )
    if (already.length > 0) faults.push(`drains ${pod.ordinal} while ${already.join()} is away`)
  }

  function checkScaleIn(replicas: number, spec: TunnelGatewaySpec, timeoutMs: number): void {
    if (set!.replicas - replicas > 1) faults.push(`from ${set!.replicas} to ${replicas} at once`)
    const pod = pods.get(set!.replicas - 1)
    if (pod === undefined || pod.tunnels === 0 || pod.endsAt !== null) return
    const isOver = pod.mark !== null && now - pod.mark.startedAtMs >= timeoutMs
    const others = servingPods().some(({ ordinal }) => ordinal !== pod.ordinal)
    if (!isOver && others && spec.drain.strategy !== 'Immediate')
      faults.push(`removes ${pod.ordinal} with ${pod.tunnels} tunnels`)
  }

  return {
    faults,
    get now() {
      return now
    },
    get set() {
      return set
    },
    pods: () => [...pods.values()],
    takenAway,
    observe(): World {
      return {
        set: set === null ? null : { ...set },
        shards: [...pods.values()].toSorted((a, b) => a.ordinal - b.ordinal).map(shardOf),
        revisions: [...revisions].map(([hash, number]) => ({ hash, number, template: {} })),
      }
    },
    /** Does what was decided from `seen`, or nothing where the world has moved on. True: it was done. */
    perform(action: Action, seen: World, spec: TunnelGatewaySpec, timeoutMs: number): boolean {
      if (action.type === 'set') {
        if (set !== null && seen.set?.resourceVersion !== set.resourceVersion) return false
        if (set === null && seen.set !== null) return false
        if (set !== null && action.set.replicas < set.replicas)
          checkScaleIn(action.set.replicas, spec, timeoutMs)
        const version = Number(set?.resourceVersion ?? 0) + 1
        const current = set?.current ?? action.set.template
        set = { uid: 's', resourceVersion: String(version), isObserved: false, current, ...action.set }
        revisions.set(action.set.template, version)
        return true
      }
      if (action.type === 'release' || action.type === 'scale') return true
      const ordinal = Number(action.shard.slice(3))
      const pod = pods.get(ordinal)
      const shard = seen.shards.find((known) => known.ordinal === ordinal)
      if (pod === undefined || shard?.uid !== String(pod.uid)) return false
      if (action.type === 'drain') {
        if (now < pod.readyAt) return false
        pod.isDraining = true
        pod.evictPerSecond = action.evictPerSecond
        return true
      }
      if (shard.resourceVersion !== `${pod.uid}.${pod.version}`) return false
      pod.version += 1
      if (action.type === 'mark') {
        checkMark(pod, action.mark, spec)
        pod.mark = action.mark
      } else {
        pod.mark = null
        pod.isDraining = pod.endsAt !== null
        pod.drainedAt = null
        pod.readyAt = now
        pod.changedAt = now
      }
      return true
    },
    pass(seconds: number): void {
      now += seconds * 1_000
      live(seconds)
      control()
    },
    /** Nobody reaches the API for so long. */
    loseApi: (seconds: number) => void outages.push([now, now + seconds * 1_000]),
    connect: (devices: number) => void (homeless += devices),
    /** Somebody evicts a shard, or its node dies. */
    evict(at: number): void {
      const all = [...pods.values()]
      const pod = all[at % Math.max(1, all.length)]
      if (pod !== undefined) terminate(pod)
    },
    /** A shard restarts in place. */
    crash(at: number): void {
      const all = [...pods.values()]
      const pod = all[at % Math.max(1, all.length)]
      if (pod === undefined || isBad(pod.template) || pod.endsAt !== null) return
      homeless += pod.tunnels
      pod.tunnels = 0
      pod.isDraining = false
      pod.drainedAt = null
      pod.readyAt = now + 5_000
      ready(pod, false)
    },
    askDrain(at: number, isAsked: boolean): void {
      const all = [...pods.values()]
      const pod = all[at % Math.max(1, all.length)]
      if (pod === undefined) return
      pod.isDrainAsked = isAsked
      pod.version += 1
    },
    forgetDrains(): void {
      for (const pod of pods.values()) {
        if (pod.isDrainAsked) pod.version += 1
        pod.isDrainAsked = false
      }
    },
  }
}
