/** A real gateway in this process, between a real Redis, a control plane in memory, and whatever the test connects. */
import { request as httpRequest } from 'node:http'
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http'
import { createLogger } from '@wmoc/platform/log'
import type { Logger } from '@wmoc/platform/log'
import { testRedis } from '@wmoc/testkit/redis'
import type { TestRedis } from '@wmoc/testkit/redis'
import { composeGateway } from '#src/compose.ts'
import { config } from '#src/config.ts'
import { CREDENTIAL_KEY, INTERNAL_TOKEN, startControlPlane } from './control-plane-server.ts'
import type { KnownController, Person, TestControlPlane } from './control-plane-server.ts'
import { connectDevice } from './raw-device.ts'
import type { RawDevice } from './raw-device.ts'

export { until } from '@wmoc/testkit/until'

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly rawHeaders: readonly string[]
  readonly body: Buffer
  readonly text: string
  /** The connection was cut before the answer was whole. */
  readonly isCut: boolean
}

export interface Ask {
  readonly method?: string
  readonly path: string
  readonly host?: string
  readonly headers?: OutgoingHttpHeaders
  readonly body?: string | Uint8Array
}

export type Harness = Awaited<ReturnType<typeof startHarness>>

export const PORTAL_HOST = 'localhost:8080'

/** What gateways of one cluster share. */
export interface Surroundings {
  readonly redis: Pick<TestRedis, 'url' | 'port' | 'stop'>
  readonly controlPlane: TestControlPlane
}

/** What every gateway needs, in this process or in its own, to reach its surroundings. */
export function environmentIn({ redis, controlPlane }: Surroundings): Record<string, string> {
  return {
    PORT: '0',
    ADMIN_PORT: '0',
    REDIS_URL: redis.url,
    CONTROL_PLANE_URL: controlPlane.url,
    INTERNAL_TOKEN,
    DEVICE_CREDENTIAL_KEY: CREDENTIAL_KEY,
    PAGE_COOKIE_KEY: 'page-cookie-key-for-tests-0123456789',
  }
}

/** @param shared Stays when the harness stops. */
export async function startHarness(
  environment: Record<string, string> = {},
  log: Logger = createLogger({ process: 'gateway', level: 'silent' }),
  shared?: Surroundings,
) {
  const { redis, controlPlane } = shared ?? {
    redis: await testRedis(),
    controlPlane: await startControlPlane(),
  }
  const settings = config.load({
    ...environmentIn({ redis, controlPlane }),
    PUBLIC_URL: `http://${PORTAL_HOST}`,
    DEVICE_DOMAIN: PORTAL_HOST,
    DRAIN_WINDOW_MS: '100',
    DRAIN_DEADLINE_MS: '5000',
    ...environment,
  })
  const gateway = composeGateway(settings, log)
  await gateway.lifecycle.start()
  const devices: RawDevice[] = []

  async function connect(
    ...args: Parameters<typeof connectDevice> extends [number, ...infer Rest] ? Rest : never
  ) {
    const device = await connectDevice(gateway.port, ...args)
    devices.push(device)
    return device
  }

  /** A connected, registered device. */
  async function online({ record, secret }: KnownController, extra: Record<string, unknown> = {}) {
    const device = await connect()
    device.send({ type: 'register', credentials: { controller_id: record.controllerId, secret, ...extra } })
    const registered = await device.next('registered')
    return Object.assign(device, { registered })
  }

  function ask({ method = 'GET', path, host = PORTAL_HOST, headers = {}, body }: Ask): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const request = httpRequest(
        {
          host: '127.0.0.1',
          port: gateway.port,
          method,
          path,
          headers: { host, ...lengthOf(body, headers), ...headers },
          agent: false,
        },
        (response) => {
          const chunks: Buffer[] = []
          response.on('data', (chunk: Buffer) => chunks.push(chunk))
          const finish = (isCut: boolean) => {
            const whole = Buffer.concat(chunks)
            const { statusCode, headers: given, rawHeaders } = response
            resolve({
              status: statusCode!,
              headers: given,
              rawHeaders,
              body: whole,
              text: whole.toString(),
              isCut,
            })
          }
          response.on('end', () => finish(false))
          response.on('error', () => finish(true))
        },
      )
      request.on('error', reject)
      request.end(body)
    })
  }

  return {
    gateway,
    controlPlane,
    redis,
    connect,
    online,
    ask,
    get port() {
      return gateway.port
    },
    /** As an API client of this person. */
    api: (person: Person, controllerId: string, given: Omit<Ask, 'path'> & { path?: string } = {}) =>
      ask({
        ...given,
        path: `/c/${controllerId}${given.path ?? '/'}`,
        headers: { authorization: `Bearer ${person.accessToken}`, ...given.headers },
      }),
    async status(): Promise<Record<string, unknown>> {
      const response = await fetch(`http://127.0.0.1:${gateway.adminPort}/status`)
      return (await response.json()) as Record<string, unknown>
    },
    async metrics(): Promise<string> {
      return (await fetch(`http://127.0.0.1:${gateway.adminPort}/metrics`)).text()
    },
    async stop() {
      for (const device of devices) device.stop()
      await gateway.lifecycle.stop()
      if (shared !== undefined) return
      await controlPlane.stop()
      await redis.stop()
    },
  }
}

/** Node's client frames no body of a GET or DELETE by itself. */
function lengthOf(body: Ask['body'], headers: OutgoingHttpHeaders): OutgoingHttpHeaders {
  if (body === undefined || headers['transfer-encoding'] !== undefined) return {}
  return { 'content-length': Buffer.byteLength(body) }
}
