/** Asks a device on its own origin, as a browser that has come from the portal. */
import type { Harness } from '@wmoc/tunnel-gateway/testing/harness'
import type { Feature } from '#src/case.ts'
import { httpTransport } from '#src/transports/http-transport.ts'

const NAVIGATE = {
  'sec-fetch-mode': 'navigate',
  'sec-fetch-dest': 'document',
  'sec-fetch-site': 'none',
  accept: 'text/html',
}

/** Follows the portal's redirect to the device's origin and takes its cookie. */
export async function ownOrigin(
  harness: Harness,
  controllerId: string,
  refreshToken: string,
  can: readonly Feature[],
) {
  const left = await harness.ask({
    path: `/c/${controllerId}/`,
    headers: { ...NAVIGATE, cookie: `__Host-wmoc_refresh=${refreshToken}` },
  })
  const url = new URL(left.headers.location ?? 'http://nowhere')
  const entered = await harness.ask({ host: url.host, path: url.pathname + url.search, headers: NAVIGATE })
  const cookie = entered.headers['set-cookie']?.[0]?.split(';')[0] ?? ''
  return httpTransport({
    name: 'own origin',
    host: '127.0.0.1',
    port: harness.port,
    prefix: '',
    headers: {
      host: url.host,
      cookie,
      'sec-fetch-site': 'same-origin',
      'sec-fetch-mode': 'cors',
      'sec-fetch-dest': 'empty',
    },
    can,
    maxRequestBody: 1_048_576,
  })
}
