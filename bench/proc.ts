/** What Linux tells of processes (proc(5)). */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'

const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))

/** CPU time of all threads of these processes so far, user and system, in microseconds; counted in ticks of 10,000. */
export function cpuTimeUs(pids: readonly number[]): number {
  let ticks = 0
  for (const pid of pids) {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name, in parentheses, may hold anything; utime and stime are the 12th and 13th fields after it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    ticks += Number(fields[11]) + Number(fields[12])
  }
  return (ticks / ticksPerSecond) * 1_000_000
}

/** Resident memory of these processes in bytes. */
export function residentBytes(pids: readonly number[]): number {
  return sum(pids, 'VmRSS')
}

/** The highest resident memory since `resetPeak`, in bytes. */
export function peakBytes(pids: readonly number[]): number {
  return sum(pids, 'VmHWM')
}

export function resetPeak(pids: readonly number[]): void {
  for (const pid of pids) writeFileSync(`/proc/${pid}/clear_refs`, '5')
}

function sum(pids: readonly number[], field: string): number {
  let bytes = 0
  for (const pid of pids) {
    const line = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
    bytes += Number(line![1]) * 1_024
  }
  return bytes
}
