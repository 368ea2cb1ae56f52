/** What every transport is held to. */
import type { Case } from '#src/case.ts'
import type { Transport } from '#src/transports/transport.ts'
import { BODY_CASES } from './bodies.ts'
import { REQUEST_CASES } from './requests.ts'
import { SOCKET_CASES } from './sockets.ts'
import { STREAM_CASES } from './streams.ts'

export const EXCHANGE_CASES: readonly Case<Transport>[] = [
  ...REQUEST_CASES,
  ...BODY_CASES,
  ...STREAM_CASES,
  ...SOCKET_CASES,
]
