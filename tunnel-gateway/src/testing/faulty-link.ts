/** A TCP address in front of another one that can be slow, silent, cut, or lead somewhere else. */
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'

export interface FaultyLink {
  readonly port: number
  /** Of each piece, in both directions. */
  delayMs: number
  /** Nothing passes any more, and nobody is told. */
  isSilent: boolean
  /** Cuts what is open; new connections lead to `target`. */
  leadTo(target: number): void
  stop(): Promise<void>
}

export async function startFaultyLink(target: number): Promise<FaultyLink> {
  const sockets = new Set<Socket>()
  let current = target

  function pass(from: Socket, to: Socket): void {
    from.on('data', (chunk: Buffer) => {
      if (link.isSilent) return
      if (link.delayMs === 0) to.write(chunk)
      else setTimeout(() => !link.isSilent && !to.destroyed && to.write(chunk), link.delayMs)
    })
    from.on('error', () => from.destroy())
    from.on('close', () => {
      sockets.delete(from)
      to.destroy()
    })
  }

  const server = createServer({ noDelay: true }, (outer) => {
    const inner = connect({ port: current, host: '127.0.0.1', noDelay: true })
    sockets.add(outer).add(inner)
    pass(outer, inner)
    pass(inner, outer)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  const link: FaultyLink = {
    port,
    delayMs: 0,
    isSilent: false,
    leadTo(next) {
      current = next
      cut()
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        cut()
      }),
  }
  return link
}
