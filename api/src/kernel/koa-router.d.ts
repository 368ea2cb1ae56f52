/** The part of koa-router 14 that we use; the package carries no types. */
declare module 'koa-router' {
  import type { Context, Middleware } from 'koa'

  export default class Router {
    register(path: string, methods: string[], middleware: (context: Context) => Promise<void>): unknown
    routes(): Middleware
    match(path: string, method: string): { path: { methods: string[] }[]; route: boolean }
  }
}
