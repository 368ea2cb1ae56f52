/** The operator process. */
await import('./run.ts')
