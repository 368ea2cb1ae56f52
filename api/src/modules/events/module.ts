import { AppError } from '@wmoc/platform/errors'
import type { Sequelize } from 'sequelize'
import type { AccessChecker, Kernel, Module } from '#src/kernel/module.ts'
import { rows } from '#src/kernel/rows.ts'
import type { Command } from '../commands/contract.ts'
import type { Notification } from '../notifications/contract.ts'
import { events } from './contract.ts'
import { createGuard } from './guard.ts'
import { createHub } from './hub.ts'
import { createPresenter } from './present.ts'
import { eventsRoutes } from './routes.ts'
import { createEventsService } from './service.ts'

/** What the stream needs of other modules. */
export interface EventsModuleDeps {
  readonly access: Pick<AccessChecker, 'roleOnController'> & {
    rolesOnControllers(
      pairs: readonly { readonly userId: string; readonly controllerId: string }[],
    ): Promise<readonly unknown[]>
  }
  readonly sessionsAlive: (sessionIds: readonly string[]) => Promise<readonly boolean[]>
  readonly commands: { get(userId: string, controllerId: string, commandId: string): Promise<Command> }
  readonly notifications: { get(userId: string, id: string): Promise<Notification> }
  readonly live: {
    subscribe: (id: string, listener: (message: string) => void) => Promise<() => Promise<void>>
  }
}

/** The one stream of everything that changes. */
export function createEventsModule(kernel: Kernel, deps: EventsModuleDeps): Module {
  const { db, store, log, clock } = kernel
  const workspacesOf = (userIds: readonly string[]) => readWorkspaces(db, userIds)
  const service = createEventsService({
    db,
    log,
    clock,
    access: deps.access,
    hub: createHub({ db, store, log }),
    guard: createGuard({
      store,
      log,
      sessionsAlive: deps.sessionsAlive,
      workspacesOf,
      rolesOf: deps.access.rolesOnControllers,
    }),
    present: createPresenter({
      command: (userId, controllerId, id) => orNull(deps.commands.get(userId, controllerId, id)),
      notification: (userId, id) => orNull(deps.notifications.get(userId, id)),
    }),
    subscribeLive: deps.live.subscribe,
    workspacesOf,
  })
  return { name: events.name, routes: [{ contract: events, handlers: eventsRoutes(service) }] }
}

async function readWorkspaces(db: Sequelize, userIds: readonly string[]): Promise<Map<string, string[]>> {
  const found = await rows<{ userId: string; workspaceIds: string[] }>(
    db,
    `SELECT user_id AS "userId", array_agg(workspace_id) AS "workspaceIds" FROM memberships
     WHERE user_id = ANY($userIds::uuid[]) GROUP BY 1`,
    { userIds },
  )
  return new Map(found.map(({ userId, workspaceIds }) => [userId, workspaceIds]))
}

/** What was deleted since the event is no error of the stream. */
async function orNull<T>(found: Promise<T>): Promise<T | null> {
  try {
    return await found
  } catch (error) {
    if (error instanceof AppError && error.code === 'not_found') return null
    throw error
  }
}
