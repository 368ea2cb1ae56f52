import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { createMux } from './create-mux.ts'
import type { Mux, MuxOptions, MuxStream, StreamHandler } from './mux.ts'

/** What one end of a WebSocket sent, and what the other end put together. */
interface Way {
  readonly sent: string[]
  readonly heard: string[]
  closed: number | null
}

const way = (): Way => ({ sent: [], heard: [], closed: null })
const describe = (bytes: Uint8Array, isBinary: boolean) =>
  `${isBinary ? 'binary' : 'text'} ${Buffer.from(bytes).toString('base64')}`

function listener(to: Way, stream: () => MuxStream): StreamHandler {
  let pieces: Uint8Array[] = []
  return {
    data: () => assert.fail('data'),
    end: () => assert.fail('end'),
    reset: (code, words) => assert.fail(`reset ${code} ${words}`),
    writable() {},
    message(bytes, isBinary, isLast) {
      pieces.push(bytes)
      stream().consumed(bytes.length)
      if (!isLast) return
      to.heard.push(describe(Buffer.concat(pieces), isBinary))
      pieces = []
    },
    closed: (code) => void (to.closed = code),
  }
}

function pair(window: number, maxChunk: number) {
  const shared: Omit<MuxOptions, 'role'> = {
    maxStreams: 1,
    maxChunk,
    sendWindow: { stream: window, connection: 2 * window },
    receiveWindow: { stream: window, connection: 2 * window },
    isResumable: true,
    wake() {},
    control() {},
  }
  const [up, down] = [way(), way()]
  let device: MuxStream | null = null
  const opener = createMux({ ...shared, role: 'opener' })
  const acceptor = createMux({
    ...shared,
    role: 'acceptor',
    accept(_request, stream) {
      device = stream
      stream.respond({ status: 101, headers: [] }, false)
      return listener(up, () => stream)
    },
  })
  const head = { method: 'GET', path: '/', headers: [] }
  const user: MuxStream = opener.open(
    head,
    'websocket',
    false,
    listener(down, () => user),
  )!
  return { opener, acceptor, up, down, user, device: () => device }
}

const steps = fc.array(fc.tuple(fc.nat(6), fc.nat(2_500), fc.boolean()), {
  minLength: 20,
  maxLength: 200,
  size: 'max',
})

suite('WebSockets between two muxes, any schedule', () => {
  test('every message arrives once, whole, in order and of its kind, over losses too', () => {
    const shape = fc.tuple(fc.constantFrom(256, 1_000, 16_384), fc.constantFrom(256, 1_024, 65_535))
    const holds = fc.property(shape, steps, ([window, maxChunk], schedule) => {
      const { opener, acceptor, up, down, user, device } = pair(window, maxChunk)
      const channels: [Uint8Array[], Uint8Array[]] = [[], []]
      const send = (stream: MuxStream | null, to: Way, size: number, isBinary: boolean) => {
        if (!stream) return
        const bytes = Buffer.alloc(size, to.sent.length)
        to.sent.push(describe(bytes, isBinary))
        stream.message(bytes, isBinary)
      }
      const pull = (from: Mux, channel: Uint8Array[], limit: number) => {
        const message = from.pull(limit)
        if (message) channel.push(Buffer.from(message))
      }
      const deliver = (channel: Uint8Array[], to: Mux) => {
        const message = channel.shift()
        if (message) assert.equal(to.receive(message), null)
      }
      const lose = () => {
        channels[0].length = channels[1].length = 0
        opener.suspend()
        acceptor.suspend()
        assert.ok(opener.resume(acceptor.lastSeq) && acceptor.resume(opener.lastSeq))
      }
      const act = (action: number, amount: number, isBinary: boolean) => {
        if (action === 0) send(user, up, amount, isBinary)
        else if (action === 1) send(device(), down, amount, isBinary)
        else if (action === 2) pull(opener, channels[0], 64 + amount)
        else if (action === 3) pull(acceptor, channels[1], 64 + amount)
        else if (action === 4) deliver(channels[0], acceptor)
        else if (action === 5) deliver(channels[1], opener)
        else if (amount % 4 === 0) lose()
        assert.deepEqual([...opener.invariants(), ...acceptor.invariants()], [])
      }
      for (const [action, amount, isBinary] of schedule) act(action, amount, isBinary)
      user.close(1000, 'done')
      for (let round = 0; round < 3_000 && opener.size + acceptor.size > 0; round += 1) {
        for (const action of [2, 4, 3, 5]) act(action, 4_000, false)
        if (up.closed !== null) device()?.close(1001, '')
      }
      assert.deepEqual([up.heard, down.heard], [up.sent, down.sent])
      assert.deepEqual([up.closed, down.closed, opener.size, acceptor.size], [1000, 1001, 0, 0])
    })
    fc.assert(holds, { numRuns: 500, seed: 73 })
  })
})
