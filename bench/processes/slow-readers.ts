/**
 * N people with a download each on a bad line. Arguments: target as JSON, readers, bytes of each, bytes a second of each.
 * Prints `reading` when all have their first bytes, and `lost` for each that is cut before its end.
 */
import { connect } from 'node:net'
import type { Target } from '../plan.ts'

const [targetText, readers, bytes, bytesPerSecond] = process.argv.slice(2) as [string, string, string, string]
const { host, port, prefix, headers } = JSON.parse(targetText) as Target
const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
const request = `GET ${prefix}/bytes/${bytes} HTTP/1.1\r\n${head.join('')}\r\n`
let waiting = Number(readers)

for (let i = 0; i < Number(readers); i++) {
  const socket = connect({ host, port })
  let isFirst = true
  socket.on('connect', () => socket.write(request))
  socket.on('data', (chunk) => {
    if (isFirst && --waiting === 0) console.log('reading')
    isFirst = false
    socket.pause()
    setTimeout(() => socket.resume(), (chunk.length / Number(bytesPerSecond)) * 1_000)
  })
  socket.on('error', () => undefined)
  socket.on('close', () => console.log('lost'))
}
