/** What a hop needs of the tunnels of this process. */
import type { Upstream } from '#src/core/upstream.ts'

export interface LocalTunnel extends Upstream {
  /** Whether `open` takes requests now. */
  readonly isAccepting: boolean
  /** It was told to go; its controller is expected back on a new one. */
  readonly isLeaving: boolean
}

export interface LocalTunnels {
  get(controllerId: string): LocalTunnel | undefined
}
