/** One controller on the command line. */
import type { DeviceCredentials } from '@wmoc/protocol/messages'
import { createFileStore, createMemoryStore } from '../device/store.ts'
import { createCorpusDevice } from '../corpus/index.ts'
import { createSimulator, type Simulator } from '../simulator.ts'
import { createForward } from '../upstream/forward.ts'
import type { Options } from './options.ts'
import type { Screen } from './screen.ts'

/** Runs until `signal` aborts or the platform revokes the controller; resolves with the exit code. */
export async function runOne(options: Options, screen: Screen, signal: AbortSignal): Promise<number> {
  const allowedPorts = options['allow-port']
  const forward = options.upstream ? createForward(options.upstream, allowedPorts) : null
  const page = options.page ? createCorpusDevice(options.page) : null
  const simulator = createSimulator({
    url: options.url,
    protocol: options.protocol,
    profile: options.profile ?? (forward ? 'agent' : 'device'),
    features: options.features,
    token: options.code ? undefined : options.token,
    store: options.state ? createFileStore(options.state) : createMemoryStore(),
    description: {
      ...(options.mac ? { mac: options.mac.toUpperCase().replaceAll('-', ':') } : {}),
      model: options.model ?? (forward ? 'WMOC Agent' : 'WMOC Sim 1'),
      firmware_version: options.firmware ?? '1.0.0',
      ...portsOf(options, page?.ports ?? options.ports ?? allowedPorts),
    },
    handler: forward?.handler ?? page?.handlers.request,
    socketHandler: forward?.socketHandler ?? page?.handlers.socket,
    reportEveryMs: (options.report ?? 5) * 1_000,
    faults: options.faults,
  })
  show(simulator, screen, options.state)
  screen.line('connecting', { url: options.url, ...(options.upstream ? { upstream: options.upstream } : {}) })
  simulator.start()
  const reason = await ended(simulator, signal)
  await simulator.stop()
  forward?.close()
  screen.line('stopped', { reason })
  return reason === 'revoked' ? 3 : 0
}

/** Ports are named by a page together with the host that it knows itself by. */
function portsOf({ upstream }: Options, ports: readonly number[]): DeviceCredentials {
  if (ports.length === 0) return {}
  return { page_ports: [...ports], ...(upstream ? { host: new URL(upstream).host } : {}) }
}

function show(simulator: Simulator, screen: Screen, state: string | undefined): void {
  const { events } = simulator
  events.on('activationRequired', ({ userCode, verificationUri, verificationUriComplete, expiresIn }) => {
    screen.line('activation required', { code: userCode, address: verificationUri, expiresInSec: expiresIn })
    screen.qr(verificationUriComplete)
    screen.line('scan the code or open', { link: verificationUriComplete })
  })
  events.on('registered', ({ controllerId, epoch }, issued) =>
    screen.line('registered', {
      controllerId,
      epoch,
      dialect: simulator.dialect,
      ...(issued
        ? { credentials: state ? `kept in ${state}` : 'gone when this ends; --state FILE keeps them' }
        : {}),
    }),
  )
  events.on('request', ({ method, path }) => screen.line('request', { method, path }))
  events.on('command', (command) => screen.line('command', command))
  events.on('fault', ({ message }) => screen.line('fault', { message }))
  events.on('left', ({ code }) => screen.line('left the old tunnel', { code }))
  events.on('closed', ({ code, reason, retryInMs }) => screen.line('closed', { code, reason, retryInMs }))
}

function ended({ events }: Simulator, signal: AbortSignal): Promise<'revoked' | 'asked'> {
  const { promise, resolve } = Promise.withResolvers<'revoked' | 'asked'>()
  events.once('stopped', resolve)
  if (signal.aborted) resolve('asked')
  signal.addEventListener('abort', () => resolve('asked'), { once: true })
  return promise
}
