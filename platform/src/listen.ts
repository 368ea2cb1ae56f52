/** Binds a server: an address in use, or one the machine hasn't got, is a rejection like any other. */
import type { AddressInfo, ListenOptions, Server } from 'node:net'

/**
 * Resolves once the server listens.
 * @param options `port` 0 lets the system choose.
 * @returns The bound port. Rejects with Node's error (`EADDRINUSE`, `EADDRNOTAVAIL`, …).
 */
export function listen(server: Server, options: ListenOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(options, () => {
      server.off('error', reject)
      resolve((server.address() as AddressInfo).port)
    })
  })
}
