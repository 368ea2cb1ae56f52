/** The links that this shard dialled: one to each other live member, made again as long as it lives. */
import { connect } from 'node:net'
import type { Logger } from '@wmoc/platform/log'
import type { Member, Membership } from '#src/cluster/members.ts'
import { greetPeer, HandshakeError } from './handshake.ts'
import { createLink } from './link.ts'
import type { PeerLink } from './link.ts'

export interface PeerLinks {
  /** Undefined: not there, or no new streams may be opened. */
  to(instance: string): PeerLink | undefined
  /** A member that was here until a moment ago, or may be of one before this process began. */
  wasHereLately(instance: string): boolean
  readonly up: number
  /** Streams of all links. */
  readonly streams: number
  readonly heldBytes: number
  start(): void
  stop(): void
  /** Members and the state of their links. */
  list(): { instance: string; isUp: boolean; streams: number }[]
  invariants(): string[]
}

interface Entry {
  readonly member: Member
  link: PeerLink | null
  retry: NodeJS.Timeout | null
  attempts: number
  isWanted: boolean
}

const RETRY_MS = 100
const MAX_RETRY_MS = 2_000
/** A shard that went away is expected back, or its controllers elsewhere, for about this long. */
const LATELY_MS = 15_000

export function createPeerLinks(options: {
  /** This process. */
  readonly instance: string
  readonly membership: Pick<Membership, 'members' | 'onChange'>
  readonly key: Buffer
  readonly log: Logger
  onFailure(reason: string): void
}): PeerLinks {
  const { instance, membership, log } = options
  const startedAt = performance.now()
  const entries = new Map<string, Entry>()
  const gone = new Map<string, number>()
  let stopListening: (() => void) | null = null
  let isStopped = false

  function sync(): void {
    const members = new Map(membership.members().map((member) => [member.instance, member]))
    for (const member of members.values()) {
      if (member.instance === instance) continue
      gone.delete(member.instance)
      const known = entries.get(member.instance)
      if (known !== undefined) known.isWanted = true
      else dial(add(member))
    }
    for (const [id, entry] of entries) if (!members.has(id)) dismiss(id, entry)
  }

  function add(member: Member): Entry {
    const entry = { member, link: null, retry: null, attempts: 0, isWanted: true }
    entries.set(member.instance, entry)
    return entry
  }

  /** What runs on the link may finish: a lease that ran out need not mean that the shard is dead. */
  function dismiss(id: string, entry: Entry): void {
    if (!entry.isWanted) return
    entry.isWanted = false
    gone.set(id, performance.now())
    for (const [old, at] of gone) if (performance.now() - at > LATELY_MS) gone.delete(old)
    if (entry.link === null) forget(entry)
    else entry.link.retire()
  }

  function forget(entry: Entry): void {
    if (entry.retry !== null) clearTimeout(entry.retry)
    if (entries.get(entry.member.instance) === entry) entries.delete(entry.member.instance)
  }

  function dial(entry: Entry): void {
    entry.retry = null
    const { peerAddress, instance: peer } = entry.member
    const socket = connect({ ...hostAndPort(peerAddress), noDelay: true })
    greetPeer(socket, { key: options.key, instance }, peer).then(
      () => {
        if (isStopped || !entry.isWanted) socket.destroy()
        else entry.link = createLink({ socket, peer, role: 'opener', log, down: () => lost(entry) })
        entry.attempts = 0
        log.info('cluster', 'linked to another shard', { peer })
      },
      (error: unknown) => {
        const reason = error instanceof HandshakeError ? error.reason : 'internal'
        options.onFailure(reason)
        log.debug('cluster', 'cannot link to another shard', { peer, reason })
        lost(entry)
      },
    )
  }

  function lost(entry: Entry): void {
    entry.link = null
    if (isStopped || !entry.isWanted) return forget(entry)
    const waitMs = Math.min(MAX_RETRY_MS, RETRY_MS * 2 ** entry.attempts)
    entry.attempts += 1
    entry.retry = setTimeout(() => dial(entry), waitMs * (0.5 + Math.random()))
    entry.retry.unref()
  }

  const links = () => [...entries.values()].flatMap(({ link }) => link ?? [])

  return {
    to(peer) {
      const link = entries.get(peer)?.link
      return link?.isUsable === true ? link : undefined
    },
    wasHereLately(peer) {
      const now = performance.now()
      return entries.has(peer) || now - Math.max(startedAt, gone.get(peer) ?? 0) < LATELY_MS
    },
    get up() {
      return links().filter(({ isUsable }) => isUsable).length
    },
    get streams() {
      return links().reduce((sum, { size }) => sum + size, 0)
    },
    get heldBytes() {
      return links().reduce((sum, link) => sum + link.heldBytes, 0)
    },
    start() {
      stopListening = membership.onChange(sync)
      sync()
    },
    stop() {
      isStopped = true
      stopListening?.()
      for (const entry of entries.values()) {
        forget(entry)
        entry.link?.close()
      }
    },
    list: () =>
      [...entries].map(([id, { link }]) => ({
        instance: id,
        isUp: link?.isUsable === true,
        streams: link?.size ?? 0,
      })),
    invariants: () => links().flatMap((link) => link.invariants()),
  }
}

/** `host:port`, of IPv6 `[host]:port`. */
function hostAndPort(address: string): { host: string; port: number } {
  const at = address.lastIndexOf(':')
  return { host: address.slice(0, at).replace(/^\[(.*)\]$/, '$1'), port: Number(address.slice(at + 1)) }
}
