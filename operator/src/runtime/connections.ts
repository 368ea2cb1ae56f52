/** The connections to one API server. */
import { Agent, errors } from 'undici'
import type { TlsSettings } from './kubeconfig.ts'

export interface Connections {
  /**
   * For one request; to be handed back to `failed` with what it ended with. Where certificates are others than before,
   * so are the connections; what runs on the old ones goes on.
   */
  current(tls: TlsSettings): Agent
  /**
   * Where a connection went silent, the idle ones beside it may have too: none of them is used again. What runs on
   * them ends by its own time limit.
   */
  failed(used: Agent, error: unknown): void
  /** Ends all, with what runs on them. May be called again. */
  close(): Promise<void>
}

/**
 * One request at a time on a connection. Over HTTP/2 Node ends streams by itself (`ENHANCE_YOUR_CALM`) once what waits to be
 * sent or read on the one connection is more than 10 MB, and undici gives no way to allow more.
 */
const HTTP_1 = {
  allowH2: false,
  // The API server waits 90 s; load balancers before it may wait less.
  keepAliveTimeout: 30_000,
}

/** @param timeoutMs Time for a connection to be made */
export function createConnections(timeoutMs: number): Connections {
  const all = new Set<Agent>()
  let present: { readonly agent: Agent; readonly settings: string } | null = null
  let closing: Promise<void> | null = null

  function make(tls: TlsSettings): Agent {
    const agent = new Agent({ ...HTTP_1, connect: { timeout: timeoutMs, ...tls } })
    all.add(agent)
    if (closing !== null) void agent.destroy()
    return agent
  }

  function retire(): void {
    const agent = present?.agent
    present = null
    if (agent !== undefined && closing === null) void agent.close().finally(() => all.delete(agent))
  }

  async function endAll(): Promise<void> {
    await Promise.all([...all].map((each) => each.destroy()))
  }

  return {
    current(tls) {
      const settings = JSON.stringify(tls)
      if (present?.settings !== settings) {
        retire()
        present = { agent: make(tls), settings }
      }
      return present.agent
    },
    failed(used, error) {
      const isSilence =
        error instanceof errors.HeadersTimeoutError || error instanceof errors.BodyTimeoutError
      if (isSilence && present?.agent === used) retire()
    },
    // An agent that is destroyed again at that moment refuses.
    close: () => (closing ??= endAll()),
  }
}
