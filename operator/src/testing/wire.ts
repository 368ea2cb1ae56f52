/** A wire to a TCP server that a test can cut, or make silent without closing it: what a lost router does. */
import { connect, createServer } from 'node:net'
import type { Socket } from 'node:net'
import { listen } from '@wmoc/platform/listen'

export interface Wire {
  readonly port: number
  /** How many connections there are. */
  connections(): number
  /** Ends every connection. New ones are accepted. */
  cut(): void
  /** Nothing passes on the present connections any more, nor do they end. New ones are accepted. */
  silence(): void
  /** Whether new connections lead anywhere. */
  setOpen(isOpen: boolean): void
  stop(): Promise<void>
}

export async function startWire(toPort: number): Promise<Wire> {
  const pairs = new Set<readonly [Socket, Socket]>()
  let isOpen = true
  const server = createServer({ pauseOnConnect: true }, (near) => {
    if (!isOpen) {
      near.destroy()
      return
    }
    const far = connect(toPort, '127.0.0.1')
    const pair = [near, far] as const
    pairs.add(pair)
    const end = () => {
      pairs.delete(pair)
      near.destroy()
      far.destroy()
    }
    for (const socket of pair) socket.on('error', end).on('close', end)
    near.pipe(far)
    far.pipe(near)
  })
  const port = await listen(server, { port: 0, host: '127.0.0.1' })
  const cut = () => {
    for (const [near] of pairs) near.destroy()
  }
  return {
    port,
    connections: () => pairs.size,
    cut,
    silence() {
      for (const [near, far] of pairs) {
        near.unpipe(far)
        far.unpipe(near)
      }
    },
    setOpen(value) {
      isOpen = value
    },
    async stop() {
      cut()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
