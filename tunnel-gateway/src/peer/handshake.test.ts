import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import { after, before, suite, test } from 'node:test'
import { answerPeer, greetPeer, HandshakeError, MAX_GREETING_BYTES, peerKey } from './handshake.ts'

const key = peerKey('the-internal-token-of-this-test-0123456789')
const acceptor = { key, instance: 'gateway-1@bbbbbb' }
const dialler = { key, instance: 'gateway-0@aaaaaa' }

suite('two shards that meet', () => {
  let server: Server
  let port: number
  let answering: (socket: Socket) => void = () => undefined
  const sockets = new Set<Socket>()

  before(async () => {
    server = createServer((socket) => {
      sockets.add(socket)
      socket.on('error', () => undefined)
      answering(socket)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    ;({ port } = server.address() as AddressInfo)
  })
  after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })

  /** What both sides of one handshake came to. */
  async function meet(
    dials: { key: Buffer; instance: string; timeoutMs?: number } = dialler,
    accepts: { key: Buffer; instance: string; timeoutMs?: number } = acceptor,
    expected = acceptor.instance,
  ) {
    const answered = new Promise<string>((resolve) => {
      answering = (socket) => resolve(answerPeer(socket, accepts).catch(reasonOf))
    })
    const socket = open()
    const greeted = await greetPeer(socket, dials, expected).then(() => 'proved', reasonOf)
    return { greeted, answered: await answered, socket }
  }

  function open(): Socket {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => undefined)
    sockets.add(socket)
    return socket
  }

  test('P9, K6: know each other by name once both have proved the key', async () => {
    const { greeted, answered } = await meet()
    assert.deepEqual([greeted, answered], ['proved', dialler.instance])
  })

  test('P9: a wrong key ends it, and neither side sees the key or serves a byte', async () => {
    const { greeted, answered, socket } = await meet({ ...dialler, key: peerKey('another token') })
    assert.equal(greeted, 'wrong_key')
    assert.equal(answered, 'closed')
    assert.ok(socket.destroyed)
  })

  test('P9: a dialler that does not check the other side proves nothing by itself', async () => {
    const answered = new Promise<string>((resolve) => {
      answering = (socket) => resolve(answerPeer(socket, acceptor).catch(reasonOf))
    })
    const socket = open()
    socket.write(hello(dialler.instance, acceptor.instance))
    await once(socket, 'data')
    socket.write(Buffer.alloc(32, 7))
    assert.equal(await answered, 'wrong_key')
  })

  test('P9: what one side said is of no use as the answer of the other, nor a second time', async () => {
    // Records what an honest pair says.
    const said: Buffer[] = []
    const heard: Buffer[] = []
    const met = new Promise<string>((resolve) => {
      answering = (socket) => resolve(answerPeer(socket, acceptor).catch(reasonOf))
    })
    const relay = createServer((from) => {
      const to = open()
      from.on('error', () => undefined)
      from.on('data', (bytes: Buffer) => {
        said.push(bytes)
        to.write(bytes)
      })
      to.on('data', (bytes: Buffer) => {
        heard.push(bytes)
        from.write(bytes)
      })
      from.on('close', () => to.destroy())
    }).listen(0, '127.0.0.1')
    await once(relay, 'listening')
    const honest = connect((relay.address() as AddressInfo).port, '127.0.0.1')
    await greetPeer(honest, dialler, acceptor.instance)
    assert.equal(await met, dialler.instance)
    honest.destroy()
    relay.close()
    const [greeting, proof] = split(Buffer.concat(said))

    // Replays them to an acceptor, which has a new nonce now.
    const replayed = new Promise<string>((resolve) => {
      answering = (socket) => resolve(answerPeer(socket, acceptor).catch(reasonOf))
    })
    const socket = open()
    socket.write(greeting)
    const [reply] = (await once(socket, 'data')) as [Buffer]
    socket.write(proof)
    assert.equal(await replayed, 'wrong_key')

    // Gives the acceptor's own proof back to it.
    const reflected = new Promise<string>((resolve) => {
      answering = (mirror) => resolve(answerPeer(mirror, acceptor).catch(reasonOf))
    })
    const mirror = open()
    mirror.write(greeting)
    const [fresh] = (await once(mirror, 'data')) as [Buffer]
    mirror.write(fresh.subarray(-32))
    assert.equal(await reflected, 'wrong_key')

    // Replays the acceptor's reply to a dialler.
    answering = (impostor) => impostor.write(reply)
    assert.equal(await greetPeer(open(), dialler, acceptor.instance).catch(reasonOf), 'wrong_key')
  })

  test('P9: an instance that is not the one that was meant is refused', async () => {
    const { greeted } = await meet(dialler, acceptor, 'gateway-1@cccccc')
    assert.equal(greeted, 'closed')
    // The acceptor's word counts, whatever it was asked for.
    answering = (socket) =>
      void answerPeer(socket, { key, instance: 'gateway-1@cccccc' }).catch(() => undefined)
    assert.equal(await greetPeer(open(), dialler, 'gateway-1@dddddd').catch(reasonOf), 'closed')
  })

  test('P9: another version, other bytes, too many of them and none at all end it', async () => {
    const first = async (bytes: Buffer, timeoutMs = 2_000) => {
      const answered = new Promise<string>((resolve) => {
        answering = (socket) => resolve(answerPeer(socket, { ...acceptor, timeoutMs }).catch(reasonOf))
      })
      const socket = open()
      socket.write(bytes)
      return answered
    }
    const good = hello(dialler.instance, acceptor.instance)
    const newer = Buffer.from(good)
    newer[11] = 2
    assert.equal(await first(newer), 'version')
    assert.equal(await first(Buffer.from('GET / HTTP/1.1\r\n\r\n')), 'malformed')
    const huge = Buffer.alloc(MAX_GREETING_BYTES + 2)
    huge.writeUInt16BE(MAX_GREETING_BYTES)
    assert.equal(await first(huge), 'malformed')
    assert.equal(await first(Buffer.concat([Buffer.from([0, 0]), good])), 'malformed')
    assert.equal(await first(good.subarray(0, good.length - 1), 200), 'timeout')
    assert.equal(await first(Buffer.alloc(0), 200), 'timeout')
    for (let length = 1; length < good.length - 2; length += 7) {
      const cut = Buffer.from(good.subarray(0, 2 + length))
      cut.writeUInt16BE(length)
      assert.match(await first(cut), /^(malformed|version|wrong_instance)$/)
    }
  })
})

/** The first message of a dialler. */
function hello(own: string, wanted: string): Buffer {
  const name = (text: string) => Buffer.concat([Buffer.from([text.length]), Buffer.from(text)])
  const body = Buffer.concat([
    Buffer.from('WMOC-PEER'),
    Buffer.from([1]),
    Buffer.alloc(32, 1),
    name(own),
    name(wanted),
  ])
  return Buffer.concat([Buffer.from([body.length >> 8, body.length & 0xff]), body])
}

/** The greeting and what follows it. */
function split(bytes: Buffer): [Buffer, Buffer] {
  const end = 2 + bytes.readUInt16BE()
  return [bytes.subarray(0, end), bytes.subarray(end)]
}

function reasonOf(error: unknown): string {
  return error instanceof HandshakeError ? error.reason : String(error)
}
