/** What every module is made of, and what it is given. Who knows one module knows all. */
import type { Logger } from '@wmoc/platform/log'
import type { Store } from '@wmoc/platform/store'
import type { Sequelize, Transaction } from 'sequelize'
import type { Role } from '@wmoc/protocol/control-plane'
import type { ApiConfig } from '#src/config.ts'
import type { Contract, RouteDescription, RouteInput, RouteOutput } from './contract.ts'
import type { DomainEvent, DomainEventType } from './domain-events.ts'
import type { z } from 'zod'

/** What services are made with. Time and ids come in from outside, so tests control them. */
export interface Kernel {
  readonly config: ApiConfig
  readonly db: Sequelize
  readonly store: Store
  readonly log: Logger
  readonly clock: () => Date
  readonly events: EventBus
  readonly jobs: JobQueue
  readonly audit: AuditLog
  /** Tells every gateway shard; sent after commit when a transaction is given, lost when the store is away. */
  readonly notifyGateway: (
    notice: import('@wmoc/protocol/control-plane').GatewayNotice,
    transaction?: Transaction,
  ) => void
}

/** Who asks. */
export interface Caller {
  readonly userId: string
  readonly sessionId: string
}

/** What a handler gets besides its input. */
export interface RequestContext {
  /** Null on public routes. */
  readonly caller: Caller | null
  readonly requestId: string
  /** The client's address behind the configured trusted hops. */
  readonly remoteAddress: string
  readonly userAgent: string | null
  readonly cookies: { get(name: string): string | undefined }
  setCookie(name: string, value: string, options: { maxAgeMs: number }): void
  clearCookie(name: string): void
  setHeader(name: string, value: string): void
  /** Ends with the request; a stream handler watches it. */
  readonly signal: AbortSignal
}

export type Handler<R extends RouteDescription> = (
  input: RouteInput<R>,
  context: RequestContext,
) => Promise<R extends { stream: z.ZodType } ? AsyncIterable<SseFrame> : RouteOutput<R>>

/** One server-sent event. Without `event` and `data` it is a comment that keeps the connection open. */
export interface SseFrame {
  readonly id?: string
  readonly event?: string
  readonly data?: unknown
}

export type Handlers<C extends Contract> = { readonly [K in keyof C['routes']]: Handler<C['routes'][K]> }

/**
 * Domain events: the road between modules. `emit` writes to the outbox in the transaction that causes the event;
 * the worker delivers each at least once to every subscriber, in commit order per aggregate; subscribers are idempotent.
 */
export interface EventBus {
  /** One event or many, in their order, in one statement. */
  emit(events: DomainEvent | readonly DomainEvent[], transaction: Transaction): Promise<void>
  subscribe<T extends DomainEventType>(
    /** Stable: the cursor of what this subscriber has handled is kept under it. */
    subscriber: string,
    types: readonly T[],
    handler: (
      event: Extract<DomainEvent, { type: T }> & { id: string; recordedAt: Date },
      transaction: Transaction,
    ) => Promise<void>,
  ): void
}

/** Jobs in Postgres (pg-boss): enqueued in the business transaction, done at least once. */
export interface JobQueue {
  enqueue(
    name: string,
    data: object,
    options: { transaction?: Transaction; startAfter?: Date; singletonKey?: string; retryLimit?: number },
  ): Promise<void>
  /** Registers a handler; it runs only where the process has the role `worker`. */
  handle<D extends object>(name: string, schema: z.ZodType<D>, handler: (data: D) => Promise<void>): void
  /** Registers a schedule (cron, UTC); one run at a time over all workers. */
  schedule(name: string, cron: string, handler: () => Promise<void>): void
  /** Registers what runs every few seconds, shorter than cron can say; one run at a time over all workers. */
  every(name: string, everyMs: number, handler: () => Promise<void>): void
}

/** Append-only, hash-chained. */
export interface AuditLog {
  record(
    entry: {
      workspaceId: string | null
      actorId: string | null
      action: string
      target: string
      before?: unknown
      after?: unknown
      remoteAddress?: string | null
    },
    transaction: Transaction,
  ): Promise<void>
}

export interface InternalCall {
  readonly name: import('@wmoc/protocol/control-plane').ControlPlaneCall
}

/** A module as the composition root sees it. */
export interface Module {
  readonly name: string
  readonly routes: readonly {
    readonly contract: Contract
    readonly handlers: Record<string, Handler<never>>
  }[]
  /** Handlers of the internal listener, by the name in CONTROL_PLANE. */
  readonly internal?: Partial<
    Record<import('@wmoc/protocol/control-plane').ControlPlaneCall, (input: never) => Promise<unknown>>
  >
  /** Subscriptions and jobs are registered on the kernel here, once, before the process starts. */
  readonly register?: () => void
}

/**
 * Answers "may this person do this there", one query. The controllers module implements it; the route binding and
 * every service ask it. Null: not visible to the person, answered 404.
 */
export interface AccessChecker {
  roleInWorkspace(userId: string, workspaceId: string): Promise<Role | null>
  roleOnController(userId: string, controllerId: string): Promise<Role | null>
  /** Workspaces of a person, the oldest membership first. */
  memberships(userId: string, transaction?: Transaction): Promise<Membership[]>
}

export interface Membership {
  readonly workspaceId: string
  readonly role: Role
}
