/** How many connections this process can hold: each takes a file descriptor, and the system gives it only so many. */
import { readFileSync } from 'node:fs'

/** For the store, the API, other shards, files: never given to connections from outside. */
const RESERVED = 256

/** `wanted`, or what the system's limit leaves. @param limits As in /proc/self/limits; empty where there is none. */
export function connectionLimit(wanted: number, limits: string = readLimits()): number {
  const [, soft] = /^Max open files\s+(\d+)/m.exec(limits) ?? []
  return soft === undefined ? wanted : Math.max(1, Math.min(wanted, Number(soft) - RESERVED))
}

function readLimits(): string {
  try {
    return readFileSync('/proc/self/limits', 'utf8')
  } catch {
    return ''
  }
}
