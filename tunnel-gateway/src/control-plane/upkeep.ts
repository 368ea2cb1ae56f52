/** Keeps live tunnels and requests in line with what the API says: at once when told, and by itself now and then. */
import type { Logger } from '@wmoc/platform/log'
import { CLOSE } from '@wmoc/protocol/close-codes'
import type { CloseReason } from '@wmoc/protocol/close-codes'
import type { ControllerRecord } from '@wmoc/protocol/control-plane'
import { mayRequest } from '#src/core/access-rules.ts'
import type { Hub } from '#src/core/hub.ts'
import type { Claims } from '#src/device/claims.ts'
import type { Reporter } from '#src/device/reporter.ts'
import type { Tunnel } from '#src/device/tunnel.ts'
import type { Capability } from '#src/page/capability/codec.ts'
import type { LiveEntry } from '#src/user/live.ts'
import type { Proxy } from '#src/user/proxy.ts'
import type { CommandTaker } from './commands.ts'
import type { Directory } from './directory.ts'
import type { NoticeHandlers } from './notices.ts'

/** Pages in frames expire by themselves. */
const PAGES_MS = 5_000
const BATCH = 500

export interface Upkeep {
  readonly handlers: NoticeHandlers
  start(): void
  stop(): void
}

export function createUpkeep(options: {
  directory: Directory
  hub: Hub<Tunnel>
  proxy: Proxy
  claims: Claims
  commands: CommandTaker
  reporter: Reporter
  /** How often everything is checked anew. */
  sweepMs: number
  /** Whether a page in a frame may go on. */
  isGoodPage(page: Capability, needs: LiveEntry['needs']): Promise<boolean>
  /** It was closed for good on some shard. */
  pageRevoked(page: string): void
  /** A person's sign-in to a device's own page was made or forgotten. */
  signInsChanged(userId: string, controllerId: string): void
  /** Whose access, to what; null: anybody's, anything. */
  accessChanged(userId: string | null, controllerId: string | null): void
  log: Logger
}): Upkeep {
  const { directory, hub, proxy, claims, commands, reporter, log } = options
  let timers: NodeJS.Timeout[] = []

  function revoke(controllerId: string, reason: CloseReason = CLOSE.revoked): void {
    hub.get(controllerId)?.close(reason)
    proxy.endWhere((live) => live.controllerId === controllerId)
  }

  function apply(record: ControllerRecord): void {
    directory.put(record)
    const tunnel = hub.get(record.controllerId)
    if (tunnel === undefined) return
    if (record.state === 'revoked') return revoke(record.controllerId)
    if (record.state === 'suspended') return revoke(record.controllerId, CLOSE.unauthorized)
    // The new secret travels in `registered`, so the device is asked to come again.
    if (record.rotationPending && !tunnel.isLeaving) {
      tunnel.goAway({
        type: 'goaway',
        reason: 'rotated',
        reconnectAfterMs: Math.floor(Math.random() * 1_000),
      })
    }
  }

  async function reread(controllerId: string): Promise<void> {
    directory.forgetController(controllerId)
    await recheck((live) => live.controllerId === controllerId)
    if (hub.get(controllerId) === undefined) return
    const record = await directory.refresh(controllerId)
    if (record === null) revoke(controllerId)
    else apply(record)
  }

  async function mayGoOn({ principal, controllerId, needs }: LiveEntry): Promise<boolean> {
    const { capability, sessionId, userId } = principal
    if (capability !== undefined) return options.isGoodPage(capability, needs)
    const [isAlive, role] = await Promise.all([
      directory.isAlive(sessionId),
      directory.role(userId, controllerId),
    ])
    return isAlive && role !== null && mayRequest(role, needs)
  }

  /** All at once: what is asked of one is waited for by no other. */
  async function endAmong(entries: readonly LiveEntry[]): Promise<void> {
    await Promise.all(
      entries.map(async (entry) => {
        if (!(await mayGoOn(entry))) entry.revoke()
      }),
    )
  }

  /** Ends what pages in frames have under way, once these have expired or lost what they rest on. */
  function recheckPages(): Promise<void> {
    return endAmong([...proxy.live].filter(({ principal }) => principal.capability !== undefined))
  }

  /** Ends the requests of people who may not send them any more, or whose sign-in session ended without a word. */
  async function recheck(concerns: (live: LiveEntry) => boolean = () => true): Promise<void> {
    const entries = [...proxy.live].filter(concerns)
    const people = entries.filter(({ principal }) => principal.linkId === undefined)
    await directory
      .refreshSessions(new Set(people.map(({ principal }) => principal.sessionId)))
      .catch((error: unknown) => log.debug('events', 'could not ask for sessions', { error }))
    await endAmong(entries)
  }

  /** Pushed notices can get lost: everything that they would have said is asked for as well. */
  async function sweep(): Promise<void> {
    const tunnels = [...hub.all()]
    for (let start = 0; start < tunnels.length; start += BATCH) {
      const ids = tunnels.slice(start, start + BATCH).map((tunnel) => tunnel.controllerId)
      const records = new Map((await directory.lookup(ids)).map((record) => [record.controllerId, record]))
      for (const id of ids) {
        const record = records.get(id)
        if (record === undefined) revoke(id)
        else apply(record)
        commands.request(id)
        reporter.event({ type: 'seen', controllerId: id, at: Date.now() })
      }
    }
    await recheck()
  }

  const quietly = (work: Promise<void>) =>
    void work.catch((error: unknown) =>
      log.debug('events', 'could not look after a notice; the next sweep will', { error }),
    )

  return {
    handlers: {
      revoked({ controllerId }) {
        directory.forgetController(controllerId)
        directory.forgetAccess(null, controllerId)
        options.accessChanged(null, controllerId)
        revoke(controllerId)
      },
      controller_changed: ({ controllerId }) => quietly(reread(controllerId)),
      access_changed({ userId, controllerId }) {
        directory.forgetAccess(userId, controllerId)
        options.accessChanged(userId, controllerId)
        quietly(
          recheck(
            (live) =>
              (userId === null || live.principal.userId === userId) &&
              (controllerId === null || live.controllerId === controllerId),
          ),
        )
      },
      page_credentials_changed: ({ userId, controllerId }) => options.signInsChanged(userId, controllerId),
      session_ended({ sessionIds }) {
        directory.endSessions(sessionIds)
        const ended = new Set(sessionIds)
        proxy.endWhere((live) => ended.has(live.principal.sessionId))
      },
      page_link_ended({ linkIds }) {
        directory.endLinks(linkIds)
        const ended = new Set<string | undefined>(linkIds)
        proxy.endWhere((live) => live.principal.linkId !== undefined && ended.has(live.principal.linkId))
      },
      page_revoked({ controllerId, page }) {
        options.pageRevoked(page)
        proxy.endWhere((live) => live.controllerId === controllerId && live.principal.page === page)
      },
      commands_queued({ controllerId }) {
        if (hub.get(controllerId) !== undefined) commands.request(controllerId)
      },
      claim_confirmed: ({ claimId }) => claims.confirmed(claimId),
    },
    start() {
      timers = [
        setInterval(() => quietly(sweep()), options.sweepMs).unref(),
        setInterval(() => quietly(recheckPages()), PAGES_MS).unref(),
      ]
    },
    stop() {
      for (const timer of timers) clearInterval(timer)
    },
  }
}
