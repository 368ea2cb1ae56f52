import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, before, suite, test } from 'node:test'
import { startHarness } from '#src/testing/harness.ts'
import type { Harness } from '#src/testing/harness.ts'
import {
  brokenRequest,
  createRandom,
  mutatedRequest,
  refusedRequest,
  soundRequest,
} from '#src/testing/http-generator.ts'
import type { Generated, Random, Target } from '#src/testing/http-generator.ts'

const SEEDS = [20_261_121, 7, 424_242, 99_991, 5_318_008, 65_537]
const REQUESTS = 300_000
const PER_CONNECTION = 60
const SOUND_AT_ONCE = 24

interface Response {
  readonly status: number
  readonly body: string
  readonly bytes: number
}

/**
 * Reads responses as strictly as it can: whatever is not exactly one after the other is an error.
 * @param mayBeCut The connection may have ended inside the last one.
 */
function readResponses(text: string, mayBeCut: boolean, isHead: (index: number) => boolean): Response[] {
  const responses: Response[] = []
  let at = 0
  while (at < text.length) {
    const end = text.indexOf('\r\n\r\n', at)
    if (end < 0) break
    const head = text.slice(at, end)
    const status = /^HTTP\/1\.1 (\d{3}) [^\r\n]*(?:\r\n|$)/.exec(head)?.[1]
    assert.ok(status !== undefined, `no response: ${JSON.stringify(text.slice(at, at + 80))}`)
    const length = /\r\ncontent-length: (\d+)(?:\r\n|$)/i.exec(head)?.[1]
    const isClosing = /\r\nconnection: close(?:\r\n|$)/i.test(head)
    const isBodiless = isHead(responses.length)
    assert.ok(length !== undefined || isClosing || isBodiless, head)
    // Node's own refusals have no body in one chunk that says so.
    const isChunked = /\r\ntransfer-encoding: chunked(?:\r\n|$)/i.test(head)
    if (isChunked) assert.equal(text.slice(end + 4, end + 9), '0\r\n\r\n')
    const size = isBodiless ? 0 : isChunked ? 5 : Number(length ?? 0)
    if (end + 4 + size > text.length) break
    const body = text.slice(end + 4, end + 4 + size)
    responses.push({ status: Number(status), body, bytes: end + 4 + size - at })
    at = end + 4 + size
  }
  const isCut = mayBeCut && text.startsWith('HTTP/1.1 ', at)
  assert.ok(
    isCut || at === text.length,
    `bytes beyond the last response: ${JSON.stringify(text.slice(at, at + 80))}`,
  )
  return responses
}

/**
 * Sends the requests and reads until all that must come has come and the connection is closed or quiet.
 * @param isAtOnce The last one too, which then may cut the answers that are under way: else it waits for them.
 */
async function converse(port: number, requests: readonly Generated[], isAtOnce: boolean): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  const last = requests.at(-1)!
  const head = Buffer.concat(requests.slice(0, -1).map(({ bytes }) => bytes))
  let text = ''
  let heads = 0
  let isLastSent = isAtOnce
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  socket.on('error', () => undefined)
  socket.on('data', (chunk: Buffer) => {
    const piece = chunk.toString('latin1')
    heads += (text.slice(-8) + piece).split('HTTP/1.1 ').length - 1
    text += piece
    if (heads < requests.length - 1) return
    if (!isLastSent) socket.write(last.bytes)
    isLastSent = true
    // What was changed at random may wait for more for ever.
    if (last.isUncertain) setTimeout(() => socket.destroy(), 15)
  })
  socket.write(isAtOnce ? Buffer.concat([head, last.bytes]) : head)
  await closed
  return text
}

suite('generated HTTP', () => {
  let harness: Harness
  const targets: Target[] = []
  /** Paths that reached a device and should not have. */
  const strays: string[] = []
  let sound = 0
  before(async () => {
    harness = await startHarness()
    for (let index = 0; index < 3; index += 1) {
      const known = harness.controlPlane.addController({ requestsPerMinute: 1_000_000_000 })
      const foreign = harness.controlPlane.addController()
      const person = await harness.controlPlane.addPerson()
      const { controllerId, pageLabel } = known.record
      harness.controlPlane.grant(person, controllerId)
      const device = await harness.online(known, { max_streams: 256, max_req_header: 8_192 })
      targets.push({
        controllerId,
        token: person.accessToken,
        foreignId: foreign.record.controllerId,
        ownHost: `${pageLabel}.localhost:8080`,
      })
      // A device that reads no more than it needs: there are many requests.
      device.socket.removeAllListeners('message')
      device.socket.on('message', (data: Buffer) => {
        const { id, path } = JSON.parse(data.toString()) as { id: string; path?: string }
        if (path === undefined) return
        const marker = /^\/m\/([0-9a-z-]+)/.exec(path)?.[1]
        const owner = /\/m\/d(\d)-/.exec(path)?.[1] ?? String(index)
        if (path.includes('smuggled') || owner !== String(index)) strays.push(path)
        device.socket.send(
          `{"type":"http_response","id":"${id}","status":200,"headers":{},"body":"${marker ?? 'stray'}"}`,
        )
      })
    }
  })
  after(() => harness.stop())

  function batchOf(random: Random, name: string): Generated[] {
    const index = random.below(targets.length)
    const target = targets[index]!
    const batch: Generated[] = []
    let soundLeft = SOUND_AT_ONCE
    for (let at = 0; at < PER_CONNECTION - 1; at += 1) {
      const isSound = soundLeft > 0 && random.below(3) === 0
      if (isSound) soundLeft -= 1
      batch.push(
        isSound ? soundRequest(random, target, `d${index}-${name}-${at}`) : refusedRequest(random, target),
      )
    }
    if (random.below(3) === 0) batch.push(mutatedRequest(random, target, `d${index}-${name}-last`))
    else batch.push(brokenRequest(random, target))
    return batch
  }

  interface Sizes {
    readonly refusedIn: number
    readonly refusedOut: number
  }

  function judge(batch: readonly Generated[], text: string, isAtOnce: boolean): Sizes {
    const responses = readResponses(
      text,
      isAtOnce || batch.at(-1)!.isUncertain,
      (index) => batch[index]?.isHead ?? false,
    )
    const last = batch.at(-1)!
    // One that was changed at random may have become two.
    assert.ok(responses.length <= batch.length + (last.isUncertain ? 1 : 0), `${responses.length} answers`)
    if (!isAtOnce) assert.ok(responses.length >= batch.length - 1, `${responses.length} answers`)
    const sizes = { refusedIn: 0, refusedOut: 0 }
    for (const [index, { status, body, bytes }] of responses.entries()) {
      const request = batch[index]
      if (request === undefined || request.isUncertain) break
      const shown = request.bytes.toString('latin1').slice(0, 300)
      assert.ok(request.statuses.includes(status), `${status} for ${shown}`)
      if (request.marker === null) {
        sizes.refusedIn += request.bytes.length
        sizes.refusedOut += bytes
      } else {
        sound += 1
        if (!request.isHead) assert.equal(body, request.marker)
      }
    }
    return sizes
  }

  test(
    `P1–P4, P7: ${REQUESTS.toLocaleString('en')} sound, refused and broken requests: each is answered once, by whom it was meant for, and a refusal is small`,
    { timeout: 600_000 },
    async (context) => {
      let done = 0
      let refusedIn = 0
      let refusedOut = 0
      await Promise.all(
        SEEDS.map(async (seed, lane) => {
          const random = createRandom(seed)
          for (let round = 0; done < REQUESTS; round += 1) {
            const batch = batchOf(random, `${lane}-${round}`)
            done += batch.length
            const isAtOnce = random.below(4) === 0
            const measured = judge(batch, await converse(harness.port, batch, isAtOnce), isAtOnce)
            refusedIn += measured.refusedIn
            refusedOut += measured.refusedOut
          }
        }),
      )
      const ratio = refusedOut / refusedIn
      context.diagnostic(
        `seeds ${SEEDS.join(', ')}: ${done} requests, ${sound} reached a device, ${ratio.toFixed(2)} bytes out for each refused byte in`,
      )
      assert.deepEqual(strays, [])
      assert.ok(ratio <= 10, `amplification ${ratio}`)
      assert.deepEqual((await harness.status())['invariants'], [])
    },
  )
})
