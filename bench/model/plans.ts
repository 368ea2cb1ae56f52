/** The crowds that are simulated: with the settings that a gateway has by default. */
import { config } from '../../tunnel-gateway/src/config.ts'
import type { AdmissionRules } from '../../tunnel-gateway/src/core/admission.ts'
import type { StormPlan } from './storm.ts'

const defaultOf = (name: keyof typeof config.variables) =>
  config.variables[name].schema.parse(undefined) as number

const perSecond = (count: number, burstFactor: number) => ({
  burst: count * burstFactor,
  count,
  periodMs: 1_000,
})

export const RULES: AdmissionRules = {
  maxTunnels: defaultOf('MAX_TUNNELS'),
  maxUnregistered: defaultOf('MAX_UNREGISTERED'),
  maxUnregisteredPerAddress: defaultOf('MAX_UNREGISTERED_PER_ADDRESS'),
  perAddress: perSecond(defaultOf('CONNECTS_PER_ADDRESS_PER_SECOND'), 5),
  registrations: perSecond(defaultOf('REGISTRATIONS_PER_SECOND'), 4),
}
export const LEASE_RENEW_MS = defaultOf('LEASE_RENEW_MS')
export const DRAIN_WINDOW_MS = defaultOf('DRAIN_WINDOW_MS')
const REGISTER_MS = 100

export const STORMS: readonly StormPlan[] = [
  {
    name: 'one of 64 shards with 1,000,000 controllers is killed',
    devices: 15_625,
    shards: 63,
    tunnelsBefore: 15_625,
    rules: RULES,
    registerMs: REGISTER_MS,
  },
  {
    name: 'one of 5 shards with 10,000 tunnels each is killed',
    devices: 10_000,
    shards: 4,
    tunnelsBefore: 10_000,
    rules: RULES,
    registerMs: REGISTER_MS,
  },
  {
    name: 'all 1,000,000 controllers of 64 shards come at once',
    devices: 1_000_000,
    shards: 64,
    tunnelsBefore: 0,
    rules: RULES,
    registerMs: REGISTER_MS,
  },
]
