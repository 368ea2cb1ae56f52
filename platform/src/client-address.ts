/** Whose request is it: the client's address behind the proxies that we run ourselves. */
import { isIP, isIPv6 } from 'node:net'

/**
 * The client's address.
 * @param socketAddress Peer of the TCP connection.
 * @param forwardedFor The `X-Forwarded-For` header as received, joined by commas if it came more than once.
 * @param trustedHops How many proxies of ours stand in front; each appended the address it saw. What a client wrote to the
 *   left of those is not believed. With 0 the header is ignored.
 */
export function clientAddress(
  socketAddress: string | undefined,
  forwardedFor: string | string[] | undefined,
  trustedHops: number,
): string {
  const peer = plainAddress(socketAddress ?? '')
  if (trustedHops <= 0 || forwardedFor === undefined) return peer
  const hops = (Array.isArray(forwardedFor) ? forwardedFor.join(',') : forwardedFor)
    .split(',')
    .map((hop) => hop.trim())
  const claimed = plainAddress(hops.at(-trustedHops) ?? '')
  return isIP(claimed) === 0 ? peer : claimed
}

/** What limits count by: an IPv4 address, or the /64 of an IPv6 one, since a single customer has at least that. */
export function limitKeyOfAddress(address: string): string {
  const plain = plainAddress(address)
  if (!isIPv6(plain)) return plain
  return `${expandIpv6(plain).slice(0, 4).join(':')}::/64`
}

/** `::ffff:192.0.2.1` is 192.0.2.1; this machine is 127.0.0.1 by either protocol; zone ids and letter case don't count. */
function plainAddress(address: string): string {
  const zoneAt = address.indexOf('%')
  const lower = (zoneAt < 0 ? address : address.slice(0, zoneAt)).toLowerCase()
  if (lower === '::1') return '127.0.0.1'
  return lower.startsWith('::ffff:') && lower.includes('.') ? lower.slice(7) : lower
}

function expandIpv6(address: string): string[] {
  const [left = '', right] = address.split('::', 2)
  const head = left === '' ? [] : left.split(':')
  const tail = right === undefined || right === '' ? [] : right.split(':')
  const missing = right === undefined ? 0 : Math.max(0, 8 - head.length - tail.length)
  return [...head, ...Array<string>(missing).fill('0'), ...tail].map((part) => part.replace(/^0+(?=.)/, ''))
}
