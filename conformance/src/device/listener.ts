/** The gateway that the kit plays for a device under test: a WebSocket listener that takes whoever comes. */
import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { WebSocketServer, type WebSocket } from 'ws'
import { parseClientMessage } from '@wmoc/protocol/v1-codec'
import { parseDeviceControl } from '@wmoc/protocol/v2/control-codec'
import { decodeFrames } from '@wmoc/protocol/v2/frame-codec'
import { Mismatch } from '#src/case.ts'
import { connectionV1, connectionV2, type DeviceConnection, type Greeting } from './connection.ts'

export type DialectName = 'v1' | 'v2'

/** What a case may ask of the next greeting. */
export type Wish = Partial<Pick<Greeting, 'window' | 'budget' | 'credentials' | 'surplus' | 'resumes'>>

export interface DeviceBench {
  readonly dialect: DialectName
  readonly url: string
  /** How long the device may take to come back. */
  readonly patienceMs: number
  /** The connection in use; waits for one. */
  connection(): Promise<DeviceConnection>
  /** Cuts the connection, if there is one, and greets the next. */
  fresh(wish?: Wish): Promise<DeviceConnection>
  /** Greets the next connection, which the device opens by itself. */
  next(wish?: Wish): Promise<DeviceConnection>
  /** Messages that were no greeting. */
  readonly faults: readonly string[]
  stop(): Promise<void>
}

const GREETING = { window: 262_144, budget: 1_048_576 }

export async function startDeviceBench({
  host = '127.0.0.1',
  port = 0,
  dialect,
  patienceMs = 60_000,
}: {
  host?: string
  port?: number
  dialect: DialectName
  patienceMs?: number
}): Promise<DeviceBench> {
  const server = new WebSocketServer({
    host,
    port,
    perMessageDeflate: false,
    handleProtocols: (offered) => (offered.has(`wmoc.${dialect}`) ? `wmoc.${dialect}` : false),
  })
  await once(server, 'listening')
  const controllerId = randomUUID()
  const faults: string[] = []
  let current: DeviceConnection | null = null
  let wish: Wish = {}
  let epoch = 0
  const waiting: ((connection: DeviceConnection) => void)[] = []

  server.on('connection', (socket: WebSocket) => {
    socket.on('error', () => undefined)
    socket.once('message', (data: Buffer, isBinary) => greet(socket, data, isBinary))
  })

  function greet(socket: WebSocket, data: Buffer, isBinary: boolean): void {
    const read = isBinary ? readHello(data) : readRegister(data)
    if (typeof read === 'string') {
      faults.push(read)
      return socket.close(4400, 'malformed')
    }
    const isKnown = read.credentials?.secret !== undefined
    const { resumes, ...rest } = wish
    wish = {}
    const greeting: Greeting = {
      ...GREETING,
      controllerId,
      epoch: (epoch += 1),
      ...(isKnown ? {} : { credentials: newSecret(controllerId) }),
      ...rest,
      ...(resumes && 'resume' in read && read.resume ? { resumes } : {}),
    }
    const connection = isBinary ? connectionV2(socket, read, greeting) : connectionV1(socket, read, greeting)
    current = connection
    void connection.closed.then(() => {
      if (current === connection) current = null
    })
    for (const tell of waiting.splice(0)) tell(connection)
  }

  function next(wanted: Wish = {}): Promise<DeviceConnection> {
    wish = wanted
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Mismatch('the device', `comes back within ${patienceMs / 1_000} s`, 'did not'))
      }, patienceMs)
      waiting.push((connection) => {
        clearTimeout(timer)
        resolve(connection)
      })
    })
  }

  return {
    dialect,
    url: `ws://${host}:${(server.address() as AddressInfo).port}/tunnel`,
    patienceMs,
    faults,
    next,
    connection: () => (current ? Promise.resolve(current) : next(wish)),
    fresh(wanted) {
      const coming = next(wanted)
      current?.socket.terminate()
      return coming
    },
    async stop() {
      for (const client of server.clients) client.terminate()
      await new Promise((resolve) => {
        server.close(resolve)
      })
    },
  }
}

export function newSecret(controllerId: string) {
  return { controller_id: controllerId, secret: randomBytes(24).toString('base64url') }
}

function readRegister(data: Buffer) {
  const parsed = parseClientMessage(data)
  if (!parsed.ok) return parsed.detail
  return parsed.message.type === 'register' ? parsed.message : `${parsed.message.type} before register`
}

function readHello(data: Buffer) {
  const frames = decodeFrames(data)
  if (typeof frames === 'string') return frames
  const [first] = frames
  if (!first) return 'an empty message'
  const parsed = parseDeviceControl(first.type, first.payload)
  if (!parsed.ok) return parsed.detail
  return parsed.message.type === 'hello' ? parsed.message : `${parsed.message.type} before HELLO`
}
