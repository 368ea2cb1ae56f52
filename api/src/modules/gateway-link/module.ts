/** The calls of the gateway and of the operator on the internal listener, each a service of the module that owns the rows. */
import type { ControlPlaneCall, ControlPlaneInput, ControlPlaneOutput } from '@wmoc/protocol/control-plane'
import type { Module } from '#src/kernel/module.ts'
import type { CommandsModule } from '#src/modules/commands/module.ts'
import type { ControllersModule } from '#src/modules/controllers/module.ts'

type Calls = {
  readonly [C in ControlPlaneCall]: (input: ControlPlaneInput<C>) => Promise<ControlPlaneOutput<C>>
}

/** The others belong to modules of their own: telemetry, auth, sharing, sign-ins to pages. */
type OwnCalls = Omit<
  Calls,
  | 'ingest'
  | 'page-figures/report'
  | 'sessions/identify'
  | 'sessions/alive'
  | `page-links/${string}`
  | `page-credentials/${string}`
>

/** Binds the calls to the services. */
export function createGatewayLinkModule(controllers: ControllersModule, commands: CommandsModule): Module {
  const { tokens, codes, records, connections, enrolments, access, service } = controllers
  const internal: OwnCalls = {
    'activations/redeem': (input) => tokens.redeem(input),
    'activations/open': (input) => codes.open(input),
    'activations/collect': (input) => codes.collect(input),
    'controllers/lookup': (input) => records.lookup(input),
    'controllers/away': ({ controllerId }) => service.away(controllerId),
    'credentials/issue': ({ controllerId }) => records.issue(controllerId),
    'credentials/promote': ({ controllerId, verifier }) => records.promote(controllerId, verifier),
    'access/check': async ({ checks }) => ({ roles: await access.rolesOnControllers(checks) }),
    events: (input) => connections.accept(input),
    'enrolments/declare': (input) => enrolments.declare(input),
    'enrolments/withdraw': (input) => enrolments.withdraw(input),
    'commands/take': (input) => commands.service.take(input),
    'commands/results': (input) => commands.service.results(input),
  }
  return { name: 'gateway-link', routes: [], internal }
}
