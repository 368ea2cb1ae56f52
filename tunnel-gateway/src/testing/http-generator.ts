/** Requests to throw at the public listener: sound, refused and broken ones, from a seed, each with what may come of it. */

export interface Target {
  readonly controllerId: string
  readonly token: string
  /** A controller that the token gives no access to. */
  readonly foreignId: string
  /** Of a host that is a device's own origin. */
  readonly ownHost: string
}

export interface Generated {
  readonly bytes: Buffer
  /** What its answer carries; null: it is refused before a device sees it. */
  readonly marker: string | null
  readonly isHead: boolean
  /** Statuses that are right. */
  readonly statuses: readonly number[]
  /** The connection ends with its answer: nothing after it may be answered. */
  readonly isLast: boolean
  /** Nobody can say what it is: it may be answered, refused or waited for. */
  readonly isUncertain: boolean
}

export interface Random {
  below(limit: number): number
  pick<T>(list: readonly T[]): T
}

/** Mulberry32: the same numbers for the same seed, everywhere. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
  const below = (limit: number) => Math.floor(next() * limit)
  return { below, pick: (list) => list[below(list.length)]! }
}

const HOST = 'Host: localhost:8080\r\n'
/** What a smuggler would like to be taken for a request of its own. */
const BAIT = '/smuggled'

/** A request that a device answers. @param marker Comes back as the answer's body. */
export function soundRequest(random: Random, target: Target, marker: string): Generated {
  const method = random.pick(['GET', 'GET', 'GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'])
  const path = `/c/${target.controllerId}/m/${marker}${random.pick(['', '?a=b', '/..%2f..', '//', '/%00', ';x=1'])}`
  const extras = random.pick([
    '',
    'X-Forwarded-For: 6.6.6.6\r\n',
    'Connection: keep-alive, x-secret\r\nX-Secret: 1\r\n',
    'X-WMOC-User: root\r\nForwarded: for=evil\r\n',
    'Cookie: __Host-wmoc_page=x\r\n',
    'TE: trailers\r\n',
  ])
  const head = `${method} ${path} HTTP/1.1\r\n${HOST}Authorization: Bearer ${target.token}\r\n${extras}`
  const hasBody = method === 'POST' || method === 'PUT' || method === 'PATCH'
  return {
    bytes: Buffer.from(head + (hasBody ? bodyOf(random) : '\r\n'), 'latin1'),
    marker,
    isHead: method === 'HEAD',
    statuses: [200],
    isLast: false,
    isUncertain: false,
  }
}

/** Bodies that look like requests, in either framing. */
function bodyOf(random: Random): string {
  const inner = `GET ${BAIT} HTTP/1.1\r\nHost: x\r\n\r\n`.slice(0, random.below(40))
  if (random.below(2) === 0) return `Content-Length: ${inner.length}\r\n\r\n${inner}`
  const chunk = inner === '' ? '' : `${inner.length.toString(16)}${random.pick(['', ';x=y'])}\r\n${inner}\r\n`
  const trailer = random.pick(['', 'X-Trailer: 1\r\n', 'Authorization: x\r\n'])
  return `Transfer-Encoding: chunked\r\n\r\n${chunk}0\r\n${trailer}\r\n`
}

/** A sound request that is refused without a device, and keeps the connection. */
export function refusedRequest(random: Random, target: Target): Generated {
  const auth = `Authorization: Bearer ${target.token}\r\n`
  const own = `/c/${target.controllerId}`
  const common = 'User-Agent: generated/1.0\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n'
  const [line, headers, status] = random.pick<readonly [string, string, number]>([
    [`GET ${own}/x`, HOST, 401],
    [`GET ${own}/x`, `${HOST}Authorization: Bearer ${'x'.repeat(40)}\r\n`, 401],
    [`GET ${own}/x`, `${HOST}Authorization: Basic eDp5\r\n`, 401],
    [`GET /c/${target.foreignId}/x`, HOST + auth, 404],
    [`GET /c/${target.controllerId.toUpperCase()}/x`, HOST + auth, 404],
    [`GET /c/..%2f${target.controllerId}/x`, HOST + auth, 404],
    [`GET //c/${target.controllerId}/x`, HOST + auth, 404],
    [`GET ${own}/_wmoc/x`, HOST + auth, 404],
    [`GET ${own}/%5fwmoc/x`, HOST + auth, 404],
    ['GET /metrics', HOST + auth, 404],
    [`GET ${own}/x`, `Host: evil.example\r\n${auth}`, 421],
    ['GET /x', `Host: ${target.ownHost}\r\n${auth}`, 401],
    [`GET ${own}`, HOST + auth, 308],
  ])
  return {
    bytes: Buffer.from(`${line} HTTP/1.1\r\n${headers}${common}\r\n`, 'latin1'),
    marker: null,
    isHead: false,
    statuses: [status],
    isLast: false,
    isUncertain: false,
  }
}

/** A request that is refused with the connection, and bytes after it that would be another one. */
export function brokenRequest(random: Random, target: Target): Generated {
  const auth = `Authorization: Bearer ${target.token}\r\n`
  const own = `/c/${target.controllerId}/broken`
  const bait = `GET /c/${target.controllerId}${BAIT} HTTP/1.1\r\n${HOST}${auth}\r\n`
  const lengths = [
    'Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n',
    'Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde',
    'Content-Length: 4, 4\r\n\r\nabcd',
    `Content-Length: ${random.pick(['+4', '-4', '0x4', '4 4', '', '4e0', '9'.repeat(30)])}\r\n\r\nabcd`,
    `Transfer-Encoding: ${random.pick(['xchunked', 'identity', 'gzip, chunked', 'chunked, identity', '\x0bchunked', 'chunked, chunked'])}\r\n\r\n0\r\n\r\n`,
    'Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n',
    `Transfer-Encoding: chunked\r\n\r\n${random.pick(['-1', 'zz', 'f'.repeat(17), '0x3', ' 3', '3\n'])}\r\nabc\r\n0\r\n\r\n`,
  ]
  const heads = [
    'X-A: a\r\n b\r\n\r\n',
    `X-A: a${String.fromCharCode(random.pick([0, 1, 7, 11, 12, 13, 27, 127]))}b\r\n\r\n`,
    'X A: b\r\n\r\n',
    ': b\r\n\r\n',
    'Host: other\r\n\r\n',
    `X-A: ${'a'.repeat(17_000)}\r\n\r\n`,
  ]
  const lines = [
    `GET ${own} HTTP/2.0\r\n${HOST}\r\n`,
    `GET ${own} HTTP/1.2\r\n${HOST}\r\n`,
    `GET ${own}\r\n${HOST}\r\n`,
    `FROB ${own} HTTP/1.1\r\n${HOST}\r\n`,
    `TRACE ${own} HTTP/1.1\r\n${HOST}\r\n`,
    `CONNECT evil.example:443 HTTP/1.1\r\n${HOST}\r\n`,
    `GET http://evil.example${own} HTTP/1.1\r\n${HOST}\r\n`,
    `GET ${own} HTTP/1.1\r\n\r\n`,
    `\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03${'x'.repeat(20)}\r\n\r\n`,
    `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n`,
  ]
  const text =
    random.below(2) === 0
      ? random.pick(lines)
      : `POST ${own} HTTP/1.1\r\n${HOST}${auth}${random.pick(random.below(2) === 0 ? lengths : heads)}`
  return {
    bytes: Buffer.from(text + bait, 'latin1'),
    marker: null,
    isHead: false,
    statuses: [400, 405, 413, 431],
    isLast: true,
    isUncertain: false,
  }
}

/** A sound request in which something was changed at random. Its marker stays what it was, or it is refused. */
export function mutatedRequest(random: Random, target: Target, marker: string): Generated {
  const sound = soundRequest(random, target, marker)
  const { bytes } = sound
  const at = random.below(bytes.length)
  const noise = Buffer.from(
    random.pick(['\r', '\n', '\0', ' ', ':', '\t', '%', '\x80', '0', '\r\n', '\r\n\r\n', 'é']),
    'latin1',
  )
  const changed = random.pick([
    () => Buffer.concat([bytes.subarray(0, at), noise, bytes.subarray(at)]),
    () => Buffer.concat([bytes.subarray(0, at), noise, bytes.subarray(at + 1)]),
    () => Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random.below(8))]),
    () => Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.max(0, at - random.below(60)))]),
    () => bytes.subarray(0, at),
  ])()
  return { ...sound, bytes: changed, marker: null, statuses: [], isLast: true, isUncertain: true }
}
