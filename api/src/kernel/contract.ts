/**
 * One description of a route, many uses: the Koa binding validates input and output by it, the permission check reads
 * it, OpenAPI is made from it, and the portal's typed client is derived from it. Pure: the portal imports this file.
 */
import type { z } from 'zod'

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** What a caller must be allowed to do; roles are mapped to these in one table (`kernel/permissions.ts`). */
export type Permission =
  | 'controllers.read'
  | 'controllers.write'
  | 'controllers.delete'
  | 'controllers.claim'
  | 'controllers.command'
  | 'workspace.read'
  | 'workspace.manage'

/** Named rate limits; figures stand in one table (`kernel/rate-limit.ts`). */
export type RateLimitName = 'default' | 'login' | 'register' | 'mail' | 'claim' | 'write'

export interface RouteDescription {
  readonly method: Method
  /** Path template as in koa-router and OpenAPI: `/api/controllers/:id`. */
  readonly path: string
  readonly summary: string
  /** Longer help for the reference; Markdown. */
  readonly description?: string
  /** `public`: no sign-in; `user`: a valid access token; a permission: in the workspace the row belongs to. */
  readonly access: 'public' | 'user' | Permission
  readonly rateLimit?: RateLimitName
  readonly params?: z.ZodObject
  readonly query?: z.ZodObject
  readonly body?: z.ZodType
  /** Request headers the route reads, lower case. */
  readonly headers?: z.ZodObject
  readonly status: 200 | 201 | 202 | 204
  /** Left out with 204 and with `stream`. */
  readonly response?: z.ZodType
  /** Response headers the route sets, lower case. */
  readonly responseHeaders?: readonly string[]
  /** Server-sent events instead of a JSON body: the schema of one event's data. */
  readonly stream?: z.ZodType
  /** POST that creates: takes `Idempotency-Key`; a repeat gets the first answer, another body 422. */
  readonly idempotent?: boolean
  /** Stable codes this route may answer with besides the common ones. */
  readonly errors?: readonly string[]
}

/** Identity helper that keeps the literal types of the description. */
export function route<const R extends RouteDescription>(description: R): R {
  return description
}

/** The routes of one module under its name. */
export interface Contract {
  readonly name: string
  readonly routes: Readonly<Record<string, RouteDescription>>
}

/** Ties a module's name to its route table. */
export function contract<const N extends string, const R extends Readonly<Record<string, RouteDescription>>>(
  name: N,
  routes: R,
): { readonly name: N; readonly routes: R } {
  return { name, routes }
}

type Out<S> = S extends z.ZodType ? z.output<S> : undefined
type In<S> = S extends z.ZodType ? z.input<S> : undefined
type Field<R, K extends string> = R extends { readonly [P in K]: infer S } ? S : undefined

/** What a handler receives: parsed and defaulted. */
export interface RouteInput<R extends RouteDescription> {
  readonly params: Out<Field<R, 'params'>>
  readonly query: Out<Field<R, 'query'>>
  readonly body: Out<Field<R, 'body'>>
  readonly headers: Out<Field<R, 'headers'>>
}

/** What a handler returns: validated against the response schema before it leaves. */
export type RouteOutput<R extends RouteDescription> = In<Field<R, 'response'>>

type OptionalIfUndefined<T> = {
  [K in keyof T as undefined extends T[K] ? never : K]: T[K]
} & { [K in keyof T as undefined extends T[K] ? K : never]?: T[K] }

/** What a client passes: before parsing, defaults may be left out. */
export type ClientInput<R extends RouteDescription> = OptionalIfUndefined<{
  readonly params: In<Field<R, 'params'>>
  readonly query: Field<R, 'query'> extends z.ZodType ? In<Field<R, 'query'>> | undefined : undefined
  readonly body: In<Field<R, 'body'>>
}> & { readonly signal?: AbortSignal; readonly headers?: Readonly<Record<string, string>> }

/** What a client gets back. */
export type ClientOutput<R extends RouteDescription> = Out<Field<R, 'response'>>
