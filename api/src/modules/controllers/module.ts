import type { Kernel, Module } from '#src/kernel/module.ts'
import { createControllerAccess } from './access.ts'
import type { ControllerAccess } from './access.ts'
import { createBinding } from './binding.ts'
import { createCodeActivation } from './claims.ts'
import type { CodeActivation } from './claims.ts'
import { createConnections } from './connections.ts'
import type { Connections } from './connections.ts'
import { controllers } from './contract.ts'
import { createRecords } from './credentials.ts'
import type { Records } from './credentials.ts'
import { createEnrolments } from './enrolments.ts'
import type { Enrolments } from './enrolments.ts'
import { createControllerUpkeep, registerControllerJobs } from './jobs.ts'
import type { ControllerUpkeep } from './jobs.ts'
import { defineControllerModels } from './model.ts'
import { controllerHandlers } from './routes.ts'
import { createDeviceSecrets } from './secrets.ts'
import { createControllersService } from './service.ts'
import type { ControllersService, CountQueued } from './service.ts'
import { createShares } from './shares.ts'
import type { Shares } from './shares.ts'
import { createWorkspaceLimits } from './tier-limits.ts'
import { createTokenActivation } from './tokens.ts'
import type { TokenActivation } from './tokens.ts'
import { createControllerViews } from './views.ts'

export type { ShareRow, Shares } from './shares.ts'

/** What other modules and the gateway's calls rest on. */
export interface ControllersModule extends Module {
  readonly access: ControllerAccess
  readonly service: ControllersService
  readonly tokens: TokenActivation
  readonly codes: CodeActivation
  readonly records: Records
  readonly connections: Connections
  readonly enrolments: Enrolments
  readonly shares: Shares
  readonly upkeep: ControllerUpkeep
}

/** Controllers: activation, the list, credentials, who is connected. */
export function createControllersModule(
  kernel: Kernel,
  { countQueued }: { countQueued: CountQueued },
): ControllersModule {
  const { db } = kernel
  const { Controller, DeviceClaim } = defineControllerModels(db)
  const access = createControllerAccess(db)
  const secrets = createDeviceSecrets(kernel.config.DEVICE_CREDENTIAL_KEY)
  const limits = createWorkspaceLimits(db, kernel.clock)
  const binding = createBinding({ db, Controller, limits, clock: kernel.clock })
  const records = createRecords({ kernel, Controller, secrets, limits })
  const tokens = createTokenActivation({ kernel, Controller, access, binding, secrets, records })
  const codes = createCodeActivation({
    kernel,
    Controller,
    DeviceClaim,
    access,
    binding,
    secrets,
    records,
  })
  const service = createControllersService({ kernel, Controller, records, countQueued })
  const enrolments = createEnrolments({ kernel, Controller, binding, secrets, erase: service.erase })
  const views = createControllerViews(kernel)
  const shares = createShares(kernel)
  const connections = createConnections(kernel)
  const upkeep = createControllerUpkeep(kernel)
  return {
    name: 'controllers',
    routes: [{ contract: controllers, handlers: controllerHandlers({ service, tokens, codes, views }) }],
    register: () => registerControllerJobs(kernel, upkeep, connections),
    access,
    service,
    tokens,
    codes,
    records,
    connections,
    enrolments,
    shares,
    upkeep,
  }
}
