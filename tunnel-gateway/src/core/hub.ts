/** Which controllers this process holds a tunnel of. Fenced: of two tunnels of a controller the higher epoch stays. */

export interface HubEntry {
  readonly controllerId: string
  readonly epoch: number
}

export type Attachment<T> =
  /** `replaced` held it until now with a lower epoch, and must be closed. */
  | { readonly isAttached: true; readonly replaced: T | null }
  /** A newer tunnel is already here. */
  | { readonly isAttached: false }

export interface Hub<T extends HubEntry> {
  attach(tunnel: T): Attachment<T>
  /** Only if it is this very tunnel that is attached; false otherwise. */
  detach(tunnel: T): boolean
  get(controllerId: string): T | undefined
  all(): IterableIterator<T>
  readonly size: number
  /** What must always hold; empty when it does. */
  invariants(): string[]
}

/** An empty hub. @param attached Told of each tunnel that was attached; must not use it in the same turn. */
export function createHub<T extends HubEntry>(attached?: (tunnel: T) => void): Hub<T> {
  const tunnels = new Map<string, T>()
  const highest = new Map<string, number>()
  return {
    attach(tunnel) {
      const present = tunnels.get(tunnel.controllerId)
      if (present !== undefined && present.epoch >= tunnel.epoch) return { isAttached: false }
      tunnels.set(tunnel.controllerId, tunnel)
      highest.set(tunnel.controllerId, tunnel.epoch)
      attached?.(tunnel)
      return { isAttached: true, replaced: present ?? null }
    },
    detach(tunnel) {
      if (tunnels.get(tunnel.controllerId) !== tunnel) return false
      highest.delete(tunnel.controllerId)
      return tunnels.delete(tunnel.controllerId)
    },
    get: (controllerId) => tunnels.get(controllerId),
    all: () => tunnels.values(),
    get size() {
      return tunnels.size
    },
    invariants() {
      const broken: string[] = []
      for (const [id, tunnel] of tunnels) {
        if (tunnel.controllerId !== id) broken.push('tunnel under a foreign id')
        if (highest.get(id) !== tunnel.epoch) broken.push('tunnel of an epoch that is not the highest')
      }
      if (highest.size !== tunnels.size) broken.push('epochs and tunnels differ in number')
      return broken
    },
  }
}
