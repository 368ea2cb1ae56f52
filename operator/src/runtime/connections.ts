/** The connections to one API server. */
import { Agent, errors } from 'undici'
import type { ClusterAccess } from './kubeconfig.ts'

export interface Connections {
  /** For one request; to be handed back to `failed` with what it ended with. */
  current(): Agent
  /**
   * Where a connection went silent, the idle ones beside it may have too: none of them is used again. What runs on
   * them ends by its own time limit.
   */
  failed(used: Agent, error: unknown): void
  /** Ends all, with what runs on them. May be called again. */
  close(): Promise<void>
}

/** @param timeoutMs Time for a connection to be made */
export function createConnections(access: ClusterAccess, timeoutMs: number): Connections {
  const make = () =>
    new Agent({
      connect: {
        timeout: timeoutMs,
        rejectUnauthorized: !access.isInsecure,
        ...(access.ca === undefined ? {} : { ca: access.ca }),
        ...(access.cert === undefined ? {} : { cert: access.cert, key: access.key }),
        ...(access.serverName === undefined ? {} : { servername: access.serverName }),
      },
    })
  const all = new Set<Agent>()
  const add = (agent: Agent) => {
    all.add(agent)
    return agent
  }
  let agent = add(make())
  let closing: Promise<void> | null = null

  async function endAll(): Promise<void> {
    await Promise.all([...all].map((each) => each.destroy()))
  }

  return {
    current: () => agent,
    failed(used, error) {
      const isSilence =
        error instanceof errors.HeadersTimeoutError || error instanceof errors.BodyTimeoutError
      if (!isSilence || agent !== used) return
      agent = add(make())
      void used.close().finally(() => all.delete(used))
    },
    // An agent that is destroyed again at that moment refuses.
    close: () => (closing ??= endAll()),
  }
}
