/**
 * Whether the store and the API can be reached. A gateway becomes ready only once both were; afterwards an outage is
 * told by metrics and `/status` and does not take the gateway out of rotation: its tunnels and what goes through them
 * go on, and with every shard out of rotation nobody would reach anything.
 */
export type DependencyName = 'store' | 'api'

export interface Dependencies {
  /** For readiness: rejects until the dependency was reached once. */
  check(name: DependencyName): () => Promise<void>
  readonly isUp: (name: DependencyName) => boolean
  start(): void
  stop(): void
}

const EVERY_MS = 5_000
const TIMEOUT_MS = 3_000

export function createDependencies(
  probes: Readonly<Record<DependencyName, () => Promise<unknown>>>,
): Dependencies {
  const up = { store: false, api: false }
  const wasUp = { store: false, api: false }
  let timer: NodeJS.Timeout | null = null

  async function probe(name: DependencyName): Promise<void> {
    const timeout = new Promise<false>((resolve) => setTimeout(resolve, TIMEOUT_MS, false).unref())
    const answered = probes[name]().then(
      () => true,
      () => false,
    )
    up[name] = await Promise.race([answered, timeout])
    wasUp[name] ||= up[name]
  }

  const probeAll = () => void Promise.all([probe('store'), probe('api')])

  return {
    check: (name) => async () => {
      if (!wasUp[name]) await probe(name)
      if (!wasUp[name]) throw new Error(`${name} was not reached yet`)
    },
    isUp: (name) => up[name],
    start() {
      probeAll()
      timer = setInterval(probeAll, EVERY_MS)
      timer.unref()
    },
    stop() {
      if (timer !== null) clearInterval(timer)
    },
  }
}
