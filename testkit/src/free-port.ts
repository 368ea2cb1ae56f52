import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

/** Below what systems give to connections and to listeners that ask for any port, and what Kubernetes gives to nodes. */
const FIRST = 10_000
const LAST = 29_999

/** A TCP port on 127.0.0.1 that was free a moment ago, for programs that cannot bind port 0 themselves. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(FIRST, LAST + 1)
    if (await isFree(port)) return port
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  const isBound = await new Promise<boolean>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(false) : reject(error),
    )
    server.listen(port, '127.0.0.1', () => resolve(true))
  })
  if (isBound) await new Promise((resolve) => server.close(resolve))
  return isBound
}
