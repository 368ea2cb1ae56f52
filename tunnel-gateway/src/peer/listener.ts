/** Accepts the links of other shards, on a port of its own that only they should reach. */
import { createServer } from 'node:net'
import type { Socket } from 'node:net'
import { listen } from '@wmoc/platform/listen'
import type { Logger } from '@wmoc/platform/log'
import type { AnswerCall } from './calls.ts'
import { answerPeer, HandshakeError } from './handshake.ts'
import { createLink } from './link.ts'
import type { LinkOptions, PeerLink } from './link.ts'

/** Connections that have proved nothing yet: of a cluster that comes back as a whole, and no more. */
const MAX_UNPROVED = 256
const STOP_WITHIN_MS = 2_000
/** Refusals are counted each, and written down so seldom that nobody can fill the log with them. */
const LOG_EVERY_MS = 10_000

export interface PeerListener {
  /** The bound port, once started. */
  readonly port: number
  readonly up: number
  /** Requests of other shards. */
  readonly streams: number
  readonly heldBytes: number
  start(): Promise<void>
  /** Asks the other shards to open nothing more, waits until what they have is over, and closes. */
  stop(): Promise<void>
  invariants(): string[]
}

export function createPeerListener(options: {
  readonly host: string
  readonly port: number
  readonly key: Buffer
  readonly instance: string
  readonly log: Logger
  readonly accept: NonNullable<LinkOptions['accept']>
  readonly answer: AnswerCall
  onFailure(reason: string): void
}): PeerListener {
  const { key, instance, log } = options
  const links = new Map<string, PeerLink>()
  const unproved = new Set<Socket>()
  let port = options.port
  let loggedAt = -LOG_EVERY_MS

  async function accept(socket: Socket): Promise<void> {
    if (unproved.size >= MAX_UNPROVED) {
      options.onFailure('too_many')
      return void socket.destroy()
    }
    unproved.add(socket)
    try {
      const peer = await answerPeer(socket, { key, instance })
      // Of two links of one shard the older one is dead, and does not know it yet.
      links.get(peer)?.close()
      const link = createLink({
        socket,
        peer,
        role: 'acceptor',
        log,
        accept: options.accept,
        answer: options.answer,
        down: () => links.get(peer) === link && links.delete(peer),
      })
      links.set(peer, link)
    } catch (error) {
      const reason = error instanceof HandshakeError ? error.reason : 'internal'
      options.onFailure(reason)
      refused(reason, socket)
    } finally {
      unproved.delete(socket)
    }
  }

  function refused(reason: string, { remoteAddress }: Socket): void {
    const now = performance.now()
    if (now - loggedAt < LOG_EVERY_MS) return
    loggedAt = now
    log.warn('security', 'a link between shards was refused', { address: remoteAddress, reason })
  }

  const server = createServer({ noDelay: true }, (socket) => void accept(socket))

  return {
    get port() {
      return port
    },
    get up() {
      return links.size
    },
    get streams() {
      return [...links.values()].reduce((sum, { size }) => sum + size, 0)
    },
    get heldBytes() {
      return [...links.values()].reduce((sum, link) => sum + link.heldBytes, 0)
    },
    async start() {
      port = await listen(server, { host: options.host, port })
    },
    async stop() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of unproved) socket.destroy()
      for (const link of links.values()) link.goAway()
      const timer = setTimeout(() => [...links.values()].forEach((link) => link.close()), STOP_WITHIN_MS)
      await closed
      clearTimeout(timer)
    },
    invariants: () => [...links.values()].flatMap((link) => link.invariants()),
  }
}
