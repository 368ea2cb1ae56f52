/** Our processes under a start: begun, killed, stopped for a while, replaced; whoever dies unasked is told of. */
import { ChildError, startChild, waitUntilReady } from './child.ts'
import type { Child } from './child.ts'

export type ServiceName = 'api' | 'worker' | `gateway-${number}`

export interface ServiceSpec {
  readonly script: string
  readonly env: Readonly<Record<string, string>>
  readonly adminPort: number
}

export interface Service<Spec extends ServiceSpec = ServiceSpec> {
  readonly name: ServiceName
  readonly spec: Spec
  readonly child: Child
}

export type Exit = Awaited<Child['exited']>

export interface Services<Spec extends ServiceSpec> {
  /** What runs, or ran last, under this name. */
  get(name: ServiceName): Service<Spec>
  /** All of them, also one that is about to be replaced. */
  all(): readonly Service<Spec>[]
  launch(name: ServiceName, spec: Spec): Service<Spec>
  ready(name: ServiceName): Promise<void>
  /** kill -9; not told by `onDeath`. */
  kill(name: ServiceName): Promise<void>
  /** SIGSTOP: it is there and answers nothing. */
  pause(name: ServiceName): void
  resume(name: ServiceName): void
  /** Starts it again as it was and waits until it is ready. */
  restart(name: ServiceName): Promise<void>
  /** Asks it to end, waits for that, and starts it again as it was; answers how it ended. */
  cycle(name: ServiceName): Promise<Exit>
  /** Starts `spec` beside it, waits until that is ready, then asks the old one to end; answers how it ended. */
  replace(name: ServiceName, spec: Spec): Promise<Exit>
  stop(name: ServiceName): Promise<void>
}

export interface ServicesOptions {
  readonly env: Readonly<Record<string, string>>
  readonly logFile: (name: ServiceName) => string
  readonly nodeFlags?: readonly string[] | undefined
  readonly onLine?: ((name: string, line: string) => void) | undefined
  /** One that nobody asked to end has ended. */
  readonly onDeath?: ((error: ChildError, name: ServiceName) => void) | undefined
}

/** How long a process may take to end after SIGTERM. */
const STOP_MS = 10_000
/** Until its requests in flight are done: its own deadline comes first. */
const REPLACE_MS = 120_000

export function createServices<Spec extends ServiceSpec>(options: ServicesOptions): Services<Spec> {
  const current = new Map<ServiceName, Service<Spec>>()
  const leaving = new Set<Service<Spec>>()
  const dying = new WeakSet<Child>()

  function get(name: ServiceName): Service<Spec> {
    const service = current.get(name)
    if (!service) throw new Error(`there is no ${name}`)
    return service
  }

  function begin(name: ServiceName, spec: Spec): Service<Spec> {
    const child = startChild({
      name,
      script: spec.script,
      env: { ...options.env, ...spec.env, ADMIN_PORT: String(spec.adminPort) },
      logFile: options.logFile(name),
      nodeFlags: options.nodeFlags,
      onLine: (line) => options.onLine?.(name, line),
    })
    void child.exited.then(({ code, signal }) => {
      if (!dying.has(child))
        options.onDeath?.(new ChildError(child, `has ended (${signal ?? `exit code ${code}`})`), name)
    })
    return { name, spec, child }
  }

  function launch(name: ServiceName, spec: Spec): Service<Spec> {
    const service = begin(name, spec)
    current.set(name, service)
    return service
  }

  function end(child: Child, graceMs: number): Promise<void> {
    dying.add(child)
    // A stopped process would hear of it only when it goes on.
    child.kill('SIGCONT')
    return child.stop(graceMs)
  }

  return {
    get,
    all: () => [...current.values(), ...leaving],
    launch,
    ready: (name) => waitUntilReady(get(name).child, get(name).spec.adminPort),
    async kill(name) {
      const { child } = get(name)
      dying.add(child)
      child.kill('SIGKILL')
      await child.exited
    },
    pause: (name) => get(name).child.kill('SIGSTOP'),
    resume: (name) => get(name).child.kill('SIGCONT'),
    async restart(name) {
      const { spec } = get(name)
      await waitUntilReady(launch(name, spec).child, spec.adminPort)
    },
    async cycle(name) {
      const { child, spec } = get(name)
      await end(child, REPLACE_MS)
      await waitUntilReady(launch(name, spec).child, spec.adminPort)
      return child.exited
    },
    async replace(name, spec) {
      const old = get(name)
      const replacement = begin(name, spec)
      leaving.add(replacement)
      try {
        await waitUntilReady(replacement.child, spec.adminPort)
        current.set(name, replacement)
        leaving.add(old)
        leaving.delete(replacement)
        await end(old.child, REPLACE_MS)
        return await old.child.exited
      } finally {
        leaving.delete(old)
        if (leaving.delete(replacement)) await end(replacement.child, STOP_MS)
      }
    },
    async stop(name) {
      await Promise.all(
        [...current.values(), ...leaving]
          .filter((service) => service.name === name)
          .map(({ child }) => end(child, STOP_MS)),
      )
    },
  }
}
