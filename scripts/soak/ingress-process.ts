/**
 * A further ingress before the same gateways, in a process of its own: one process may not hold the open files of ten
 * thousand tunnels, two each. Argument: `IngressPlan` as JSON. Prints its port.
 */
import { z } from 'zod'
import { startIngress } from '../start/ingress.ts'

const Target = z.object({ host: z.string(), port: z.int() })
const IngressPlan = z.object({
  api: Target,
  gateways: z.array(Target.extend({ shard: z.string(), adminPort: z.int() })),
})
/** Gateways that stay on their ports as long as they live. */
export type IngressPlan = z.infer<typeof IngressPlan>

const plan = IngressPlan.parse(JSON.parse(process.argv[2] ?? '{}'))
const ingress = await startIngress({
  port: 0,
  hosts: ['127.0.0.1'],
  portal: (_request, response) => response.writeHead(404).end(),
})
ingress.open({ api: plan.api, gateways: () => plan.gateways })
console.log(ingress.port)

process.once('SIGTERM', () => {
  void ingress.stop(0).then(() => process.exit(0))
})
