/** One simulated controller in front of the upstream, without the screen of `npm run sim`. Arguments: tunnel, upstream. */
import { V1_LIMITS } from '@wmoc/protocol/messages'
import { createSimulator } from '../../device-sim/src/simulator.ts'
import { createForward } from '../../device-sim/src/upstream/forward.ts'

const [url, upstream] = process.argv.slice(2) as [string, string]
const simulator = createSimulator({
  url,
  token: 'bench',
  handler: createForward(upstream, V1_LIMITS.maxStreams).handler,
  maxStreams: V1_LIMITS.maxStreams,
  reportEveryMs: 0,
})
simulator.events.once('registered', () => console.log('online'))
simulator.start()
