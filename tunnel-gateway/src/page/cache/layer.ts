/**
 * Keeps what devices say may be kept, and asks them once for what several people want at the same time. It sits next to
 * the device, so that it holds the device's own bytes. A private cache per person and controller; shared by all who may
 * see the page where the owner says `public`.
 */
import { createByteBudget } from '#src/core/byte-budget.ts'
import { isReading } from '#src/core/access-rules.ts'
import { watchedBy } from '#src/page/layers.ts'
import type { Next, PageLayer } from '#src/page/layers.ts'
import type { LiveRequests } from '#src/user/live.ts'
import { headersOf } from '#src/user/outgoing.ts'
import { announcedBody } from '#src/user/body.ts'
import { holderOf } from '#src/user/principal.ts'
import { sendError, sendProblem } from '#src/user/problem.ts'
import type { ProxyRequest } from '#src/user/proxy.ts'
import { headerOf, parseDirectives } from './core/directives.ts'
import { judge } from './core/freshness.ts'
import { kindOf, mayShare } from './core/sharing.ts'
import type { RequestKind } from './core/sharing.ts'
import type { Figures, Tally } from './figures.ts'
import { Flight } from './flight.ts'
import type { FlightPorts } from './flight.ts'
import { keepBody, land } from './landing.ts'
import type { Asking } from './landing.ts'
import type { KeptAnswer, KeptPages } from './kept-pages.ts'
import type { CacheMetrics, CacheResult } from './metrics.ts'
import { PassingAnswer } from './passing.ts'
import { addressOf, askingFor, companyOf, fingerprint, matchesVary, placesOf, wantedOf } from './question.ts'
import { Reader } from './reader.ts'

export interface CacheDeps {
  readonly kept: KeptPages
  readonly live: LiveRequests
  readonly figures: Figures
  readonly metrics: CacheMetrics
  /** The device's present registration, as far as it is at hand. */
  epochOf(controllerId: string): number | null
  /** Of one answer, and of all that are on their way. */
  readonly objectBytes: number
  readonly flightBytes: number
  now(): number
}

export function createCacheLayer(deps: CacheDeps): PageLayer {
  const { kept, live, figures, metrics, now } = deps
  const budget = createByteBudget(deps.flightBytes)
  const flights = new Map<string, Flight>()
  const byController = new Map<string, Map<Flight, Asking>>()

  function count(controllerId: string, name: keyof Tally, by: number): void {
    figures.count(controllerId, name, by)
    if (name === 'bytesToUsers') metrics.bytes('to_users', by)
    if (name === 'bytesFromDevice') metrics.bytes('from_device', by)
  }

  function tell(controllerId: string, result: CacheResult): void {
    metrics.answered(result)
    if (result === 'hit' || result === 'stale' || result === 'revalidated')
      figures.count(controllerId, 'fromCache')
    if (result === 'coalesced') figures.count(controllerId, 'coalesced')
  }

  const readerOf = (proxied: ProxyRequest) =>
    new Reader(proxied, (bytes) => count(proxied.record.controllerId, 'bytesToUsers', bytes))

  function handle(proxied: ProxyRequest, next: Next): void | Promise<void> {
    const { request, record } = proxied
    const { controllerId } = record
    figures.count(controllerId, 'requests')
    // HTTP/1.0 knows no chunks: there only the proxy itself can show that something is missing.
    if (record.pageCache === 'off' || request.httpVersion === '1.0') return pass(proxied, next)
    if (!isReading(request.method!)) return change(proxied, next)
    if (request.method === 'OPTIONS' || announcedBody(request).hasBody) return pass(proxied, next)
    return read(proxied, next)
  }

  /** To the device and back, whatever it is. */
  function pass(
    proxied: ProxyRequest,
    next: Next,
    onAnswer: (status: number) => void = () => undefined,
  ): void | Promise<void> {
    const { controllerId } = proxied.record
    tell(controllerId, 'passed')
    const onBytes = (bytes: number, isDevices: boolean) => {
      count(controllerId, 'bytesToUsers', bytes)
      if (isDevices) count(controllerId, 'bytesFromDevice', bytes)
    }
    const response = new PassingAnswer(proxied.response, onBytes, onAnswer)
    return next({ ...proxied, response, watcher: watchedBy(response, proxied) })
  }

  /** What is under way may be older than the change, and what is kept at its address is (RFC 9111 section 4.4). */
  function change(proxied: ProxyRequest, next: Next): void | Promise<void> {
    const { controllerId } = proxied.record
    const outdate = () =>
      seal(controllerId, (asking) => {
        asking.isOutdated = true
        return true
      })
    outdate()
    return pass(proxied, next, (status) => {
      outdate()
      if (status >= 400) return
      for (const surface of ['own_origin', 'frame'] as const)
        kept.forgetAddress(controllerId, addressOf({ ...proxied, surface }))
    })
  }

  /** Nobody joins these any more. */
  function seal(controllerId: string, test: (asking: Asking) => boolean): void {
    for (const [flight, asking] of byController.get(controllerId) ?? [])
      if (test(asking)) flight.isSealed = true
  }

  function read(proxied: ProxyRequest, next: Next): void | Promise<void> {
    const { request, response, path, record } = proxied
    // The person left while it was found out who that is, and nothing would tell it any more.
    if (response.destroyed) return
    const wanted = wantedOf(proxied)
    const isKeepable = !parseDirectives(wanted).has('no-store')
    const found = isKeepable ? find(proxied) : null
    const reader = readerOf(proxied)
    if (found !== null) {
      const verdict = judge(found.answer, wanted, deps.epochOf(record.controllerId), now())
      if (verdict !== 'ask') {
        if (!live.enter(reader)) return sendProblem(response, 'rate_limited', { retryAfterMs: 1_000 })
        response.once('close', () => live.left(reader))
        kept.use(found.place, found.answer)
        tell(record.controllerId, verdict === 'fresh' ? 'hit' : 'stale')
        reader.serve(found.answer, verdict === 'fresh' ? 'hit' : 'stale', now())
        // The answer to a HEAD is no page that could be kept.
        if (verdict === 'fresh' || request.method === 'HEAD') return
        return ask(reader, next, found, 'background')
      }
    }
    const hasRange = headerOf(headersOf(proxied), 'range') !== null
    if (!isKeepable || request.method === 'HEAD' || (hasRange && found === null)) return pass(proxied, next)
    return ask(reader, next, found, mayShare(kindOfRequest(proxied), path, wanted) ? 'shared' : 'alone')
  }

  function find(proxied: ProxyRequest): Asking['found'] {
    for (const place of placesOf(proxied)) {
      for (const answer of kept.find(place)) {
        // Another firmware has other pages, whatever their names say.
        if (answer.firmwareVersion !== proxied.record.firmwareVersion) kept.drop(place, answer)
        else if (matchesVary(proxied, answer)) return { place, answer }
      }
    }
    return null
  }

  /** Joins who asks the same already, or asks the device. */
  function ask(
    reader: Reader,
    next: Next,
    found: Asking['found'],
    how: 'shared' | 'alone' | 'background',
  ): void | Promise<void> {
    const { proxied } = reader
    const { controllerId } = proxied.record
    const requestHeaders = found === null ? headersOf(proxied) : askingFor(proxied, found.answer)
    // A 304 hands what is kept to all who wait.
    const company = found === null || found.answer.isForAll ? companyOf(proxied) : null
    const holder = company ?? holderOf(reader.principal)
    const key = `${controllerId} ${holder} ${fingerprint(proxied, requestHeaders)}`
    const present = how === 'alone' ? undefined : flights.get(key)
    if (present !== undefined && how === 'background') return
    if (present !== undefined && joins(present, reader)) return tell(controllerId, 'coalesced')
    const asking: Asking = {
      reader,
      found,
      kind: kindOfRequest(proxied),
      isForAll: company !== null,
      isOutdated: false,
      plan: null,
    }
    const flight = new Flight(portsOf(asking, key, next), reader, how === 'background')
    if (how !== 'alone') flights.set(key, flight)
    const own = byController.get(controllerId) ?? new Map<Flight, Asking>()
    byController.set(controllerId, own.set(flight, asking))
    return go(flight, { ...proxied, requestHeaders }, next)
  }

  /** Who joins is counted, and ended, as the proxy does it with who asks. */
  function joins(flight: Flight, reader: Reader): boolean {
    if (reader.isGone || !live.enter(reader)) return false
    const isJoined = flight.join(reader)
    if (!isJoined) live.left(reader)
    return isJoined
  }

  /** What goes wrong on the way is told to all who wait. */
  async function go(flight: Flight, proxied: ProxyRequest, next: Next): Promise<void> {
    try {
      await next({ ...proxied, response: flight, watcher: watchedBy(flight, proxied), extraHeaders: [] })
    } catch (error) {
      sendError(flight, error)
    }
  }

  function portsOf(asking: Asking, key: string, next: Next): FlightPorts {
    const leader = asking.reader
    const { controllerId } = leader
    return {
      limitBytes: deps.objectBytes,
      budget,
      land(flight, status, headers) {
        // A script that has its answer must not be given, for its next question, what was asked before.
        if (flight.head !== null && asking.kind === 'script')
          seal(controllerId, (other) => other !== asking && other.kind === 'script')
        const landed = land(flight, asking, status, headers, { kept, now: now() })
        if (landed.answer !== null) replace(flight, landed.answer, leader)
        else if (flight.head !== null) metrics.answered('miss')
        if (landed.isOtherPage) kept.forgetBefore(controllerId, flight.epoch)
        return landed.landing
      },
      keep: (flight, headers, body) => keepBody(flight, asking, headers, body, { kept, now: now() }),
      // Not at once: it may be the device's stream that is calling.
      alone: (reader) => process.nextTick(() => alone(reader, next)),
      bytesFromDevice: (bytes) => count(controllerId, 'bytesFromDevice', bytes),
      left: (reader) => live.left(reader),
      over(flight) {
        if (flights.get(key) === flight) flights.delete(key)
        const own = byController.get(controllerId)!
        own.delete(flight)
        if (own.size === 0) byController.delete(controllerId)
      },
    }
  }

  function replace(flight: Flight, answer: KeptAnswer, leader: Reader): void {
    const how = flight.head?.status === 304 ? 'revalidated' : 'stale'
    for (const reader of flight.readers) {
      if (reader === leader) tell(reader.controllerId, how)
      reader.serve(answer, how, now())
    }
  }

  async function alone(reader: Reader, next: Next): Promise<void> {
    if (reader.isGone) return
    try {
      await pass(reader.proxied, next)
    } catch (error) {
      sendError(reader.proxied.response, error)
    }
  }

  return { handle }
}

function kindOfRequest(proxied: ProxyRequest): RequestKind {
  return kindOf(headerOf(headersOf(proxied), 'sec-fetch-dest'))
}
