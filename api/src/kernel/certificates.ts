/** When the certificates end that people and devices meet, looked up the way they do. */
import { connect } from 'node:tls'
import type { Metrics } from '@wmoc/platform/metrics'
import { readOnScrape } from '@wmoc/platform/scrape'

const EVERY_MS = 60 * 60 * 1_000
const TIMEOUT_MS = 1_500

interface Addresses {
  readonly publicUrl: string
  readonly deviceDomain: string | null
}

/** Without https at `publicUrl` there is nothing to look at, and no metric. */
export function watchCertificates(metrics: Metrics, { publicUrl, deviceDomain }: Addresses): void {
  const { protocol, hostname, port } = new URL(publicUrl)
  if (protocol !== 'https:') return
  const host = hostname.replace(/^\[|\]$/g, '')
  const at = (serverName: string) => certificateEnd({ host, port: Number(port || 443), serverName })
  const names = [['portal', host] as const]
  if (deviceDomain !== null) names.push(['devices', `any.${deviceDomain.replace(/:\d+$/, '')}`] as never)
  const expiry = metrics.gauge(
    'wmoc_api_certificate_expiry_timestamp_seconds',
    'When the certificate ends that is shown at the public address, by what it is for.',
    ['name'],
  )
  const read = async () => {
    const seen = await Promise.allSettled(names.map(([, serverName]) => at(serverName)))
    const found = names.flatMap(([name], index) => {
      const end = seen[index]!
      return end.status === 'fulfilled' ? [{ labels: { name }, value: end.value / 1_000 }] : []
    })
    if (found.length === 0) throw new Error('no certificate could be looked at')
    return found
  }
  readOnScrape(expiry, read, { everyMs: EVERY_MS })
}

/**
 * The end of the certificate that a server shows for a name, in ms since 1970. It is not judged otherwise: one that has
 * ended, or that nobody trusts, has an end too.
 */
export function certificateEnd(options: {
  readonly host: string
  readonly port: number
  readonly serverName: string
}): Promise<number> {
  const { host, port, serverName } = options
  return new Promise((resolve, reject) => {
    // An address is no name that can be asked for (RFC 6066 section 3).
    const servername = /^[\d.]+$|:/.test(serverName) ? '' : serverName
    const socket = connect({ host, port, servername, rejectUnauthorized: false, timeout: TIMEOUT_MS })
    socket.once('secureConnect', () => {
      const end = Date.parse(socket.getPeerCertificate().valid_to)
      socket.destroy()
      if (Number.isNaN(end)) reject(new Error(`${host} shows no certificate`))
      else resolve(end)
    })
    socket.once('timeout', () => socket.destroy(new Error(`${host} does not answer`)))
    socket.once('error', reject)
  })
}
