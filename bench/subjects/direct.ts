/** No tunnel at all: what this machine, the generator and the upstream can do at most. */
import type { Subject } from '../plan.ts'

/** @param upstream `http://host:port`. */
export function startDirect(upstream: string): Promise<Subject> {
  const { hostname, port } = new URL(upstream)
  return Promise.resolve({
    name: 'no tunnel',
    note: 'the generator asks the upstream itself',
    target: { host: hostname, port: Number(port), path: '/data', headers: { Host: 'bench.test' } },
    serverPid: null,
    stop: () => Promise.resolve(),
  })
}
