/**
 * One controller's agent in front of the upstream, without the screen of `npm run sim`.
 * Arguments: tunnel, upstream, dialect, controller's id, its secret.
 */
import { createMemoryStore } from '../../device-sim/src/device/store.ts'
import { createSimulator } from '../../device-sim/src/simulator.ts'
import { createForward } from '../../device-sim/src/upstream/forward.ts'
import type { Dialect } from '../subjects/wmoc.ts'

const [url, upstream, dialect, controllerId, secret] = process.argv.slice(2) as [
  string,
  string,
  Dialect,
  string,
  string,
]
const { handler, socketHandler } = createForward(upstream)
const simulator = createSimulator({
  url,
  protocol: dialect,
  profile: 'agent',
  store: createMemoryStore({ current: { controller_id: controllerId, secret }, next: null }),
  handler,
  socketHandler,
  reportEveryMs: 0,
})
simulator.events.once('registered', () => console.log('online'))
simulator.start()
