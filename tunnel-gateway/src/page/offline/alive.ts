/** `GET {prefix}/_wmoc/alive`: 204 when the device is there, else 503. */
import type { Router } from '#src/core/upstream.ts'
import { sendAway, withOwnHeaders } from '#src/user/problem.ts'
import type { OwnPath } from '../own-paths.ts'

export const ALIVE_PATH = '/_wmoc/alive'

export function createAlivePath(router: Pick<Router, 'locate'>): OwnPath {
  return {
    methods: ['GET', 'HEAD'],
    async handle({ record, response }) {
      const upstream = await router.locate(record.controllerId)
      if (upstream === undefined) return sendAway(response)
      response.writeHead(204, withOwnHeaders(response, ['Referrer-Policy', 'no-referrer']))
      response.end()
    },
  }
}
