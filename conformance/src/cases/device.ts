/** What a device owes its gateway beside answers: greeting, comings and goings, commands, events. */
import { expect, expectThat, NotApplicable, within, type Case } from '#src/case.ts'
import type { DeviceConnection } from '#src/device/connection.ts'
import { newSecret, type DeviceBench } from '#src/device/listener.ts'
import { expectPattern } from '#src/pattern.ts'
import { Broken, collect } from '#src/transports/transport.ts'
import { page, whole } from './requests.ts'

const SOON_MS = 10_000

/** The device still answers, on whatever connection it has now. */
export async function answers(bench: DeviceBench): Promise<void> {
  const { transport } = await bench.connection()
  const { status } = await whole(transport, { path: '/' })
  expectThat('status of GET /', status >= 200 && status <= 599, '200 to 599', status)
}

async function kept(connection: DeviceConnection): Promise<void> {
  expect('faults of the device', connection.faults, [])
}

export const DEVICE_CASES: readonly Case<DeviceBench>[] = [
  {
    id: 'greeting',
    title: 'the first message introduces the device',
    spec: 'protocol: register, HELLO',
    needs: [],
    async run(bench) {
      const connection = await bench.connection()
      const { token, credentials } = connection.introduction
      expectThat(
        'introduction',
        token !== undefined || credentials !== undefined,
        'a token or credentials',
        'neither',
      )
      expect('dialect', connection.dialect, bench.dialect)
      expect('faults', bench.faults, [])
      await kept(connection)
    },
  },
  {
    id: 'credentials-kept',
    title: 'the device comes back with the credentials it was given',
    spec: 'protocol: registered.credentials exactly once',
    needs: [],
    async run(bench) {
      const credentials = newSecret(
        (await bench.connection()).introduction.credentials?.controller_id ?? crypto.randomUUID(),
      )
      await bench.fresh({ credentials })
      const { introduction } = await bench.fresh()
      expect('secret', introduction.credentials?.secret, credentials.secret)
      expect('controller_id', introduction.credentials?.controller_id, credentials.controller_id)
    },
  },
  {
    id: 'socket-ping',
    title: 'a ping of the WebSocket is answered',
    spec: 'RFC 6455 section 5.5.2',
    needs: [],
    async run(bench) {
      const { socket } = await bench.connection()
      const pong = new Promise<string>((resolve) =>
        socket.once('pong', (data: Buffer) => resolve(data.toString())),
      )
      socket.ping('kit')
      expect('payload', await within('a pong', SOON_MS, pong), 'kit')
    },
  },
  {
    id: 'restart',
    title: 'a tunnel closed with 1012 is opened again',
    spec: 'protocol: close codes',
    needs: [],
    async run(bench) {
      const { socket } = await bench.connection()
      const coming = bench.next()
      socket.close(1012, 'service_restart')
      await coming
      await answers(bench)
    },
  },
  {
    id: 'goaway',
    title: 'goaway brings the device back on a new connection',
    spec: 'protocol: goaway',
    needs: [],
    async run(bench) {
      const connection = await bench.connection()
      const coming = bench.next()
      connection.say({ type: 'goaway', reason: 'draining', reconnectAfterMs: 100 })
      setTimeout(() => connection.socket.close(1012, 'service_restart'), 3_000).unref()
      const came = await coming
      expectThat('connection', came !== connection, 'a new one', 'the old one')
      await answers(bench)
    },
  },
  {
    id: 'goaway-overlap',
    title: 'what is in flight at goaway is finished on the old connection while the new one works',
    spec: 'protocol: the feature overlap',
    needs: ['page', 'overlap'],
    async run(bench) {
      const connection = await bench.connection()
      const slow = whole(connection.transport, { path: page('slow?ms=1500') })
      const coming = bench.next()
      connection.say({ type: 'goaway', reason: 'draining', reconnectAfterMs: 50 })
      const came = await coming
      expectThat(
        'old connection',
        connection.socket.readyState === connection.socket.OPEN,
        'still open',
        'closed',
      )
      expect('on the new one', (await whole(came.transport, { path: page('') })).status, 200)
      expect('on the old one', (await slow).bytes.toString(), 'slow')
      connection.socket.close(1012, 'service_restart')
    },
  },
  {
    id: 'command-unknown',
    title: 'a command that it does not know is refused, and a repeat gets the same result',
    spec: 'protocol: command, command_result',
    needs: [],
    async run(bench) {
      const connection = await bench.connection()
      const id = crypto.randomUUID()
      const command = {
        type: 'command',
        id,
        name: 'conformance.unknown',
        params: {},
        expiresAt: Date.now() + 60_000,
      } as const
      connection.say(command)
      const result = await within(
        'command_result',
        SOON_MS,
        connection.event('command_result', (event) => event.id === id),
      )
      expect('ok', result.ok, false)
      connection.events.splice(connection.events.indexOf(result), 1)
      connection.say(command)
      const again = await within(
        'a second command_result',
        SOON_MS,
        connection.event('command_result', (event) => event.id === id),
      )
      expect('the repeat', { ...again }, { ...result })
    },
  },
  {
    id: 'events-repeated',
    title: 'a batch that was not acknowledged comes again after a reconnect, with the same seq and boot_id',
    spec: 'protocol: metrics, log, ack',
    needs: [],
    async run(bench) {
      const connection = await bench.connection()
      const batch = await Promise.race([connection.event('metrics'), connection.event('log'), later(SOON_MS)])
      if (!batch) throw new NotApplicable('the device sent neither metrics nor log in 10 s')
      if (batch.seq === undefined) throw new NotApplicable('the device numbers no batches')
      const { seq } = batch
      const next = await bench.fresh()
      const repeat = next.event(batch.type, (event) => event.seq === seq)
      expect('items of the repeat', (await within('the batch again', SOON_MS, repeat)).items, batch.items)
      expect('boot_id', next.introduction.credentials?.boot_id, connection.introduction.credentials?.boot_id)
      next.say({ type: 'ack', seq })
    },
  },
  {
    id: 'many-reconnects',
    title: 'ten connections that are cut one after the other leave it well',
    spec: 'protocol: reconnect',
    needs: [],
    async run(bench) {
      for (let at = 0; at < 10; at += 1) await bench.fresh()
      await answers(bench)
    },
  },
  {
    id: 'cut-while-answering',
    title: 'a connection that is cut in mid-answer leaves nothing behind',
    spec: 'protocol: streams end with their connection',
    needs: ['page'],
    async run(bench) {
      const { transport, hello } = await bench.connection()
      if (hello?.credentials?.features?.includes('resume')) throw new NotApplicable('this device resumes')
      const asked = Promise.allSettled(
        [1, 2, 3].map(() => whole(transport, { path: page('chunks/200?size=100&every=10') })),
      )
      await later(200)
      await bench.fresh()
      for (const { status } of await asked) expect('a request on the old connection', status, 'rejected')
      await answers(bench)
    },
  },
  {
    id: 'resume',
    title: 'a download goes on over the next connection where it stopped',
    spec: 'protocol: resume',
    needs: ['page', 'resume'],
    async run(bench) {
      const connection = await bench.fresh({ window: 8_192, budget: 65_536 })
      const reply = await connection.transport.ask({ path: page('chunks/300?size=1000&every=5') })
      const reading = collect(reply.body)
      await later(200)
      connection.mux?.suspend()
      await bench.fresh({ resumes: connection })
      const bytes = await within('the rest', 20_000, reading)
      expectPattern('body', bytes, 300_000)
    },
  },
  {
    id: 'resume-refused',
    title: 'streams of a session that is not resumed are over, and new ones work',
    spec: 'protocol: resume',
    needs: ['page', 'resume'],
    async run(bench) {
      const connection = await bench.connection()
      const reply = await connection.transport.ask({ path: page('chunks/500?size=100&every=10') })
      const reading = collect(reply.body).catch((error: unknown) => error)
      await bench.fresh()
      connection.mux?.closeAll(10)
      expectThat('the old stream', (await reading) instanceof Broken, 'broken', 'whole')
      await answers(bench)
    },
  },
]

function later(ms: number): Promise<null> {
  return new Promise((resolve) => {
    setTimeout(() => resolve(null), ms)
  })
}
