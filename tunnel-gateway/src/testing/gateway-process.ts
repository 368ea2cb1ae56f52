/** A gateway in a process of its own, for tests that end, pause or mislead one. */
import { fileURLToPath } from 'node:url'
import { run } from '@wmoc/testkit/process'
import type { TestProcess } from '@wmoc/testkit/process'
import { environmentIn } from './harness.ts'
import type { Surroundings } from './harness.ts'

export interface GatewayProcess extends TestProcess {
  /** Of its public listener, once that listens. */
  readonly port: Promise<number>
}

/** @param environment Besides what it needs to reach its surroundings. */
export function runGateway(
  surroundings: Surroundings,
  environment: Readonly<Record<string, string>> = {},
): GatewayProcess {
  const child = run(fileURLToPath(new URL('../main.ts', import.meta.url)), {
    env: {
      ...environmentIn(surroundings),
      LOG_FORMAT: 'json',
      DRAIN_DEADLINE_MS: '500',
      ...environment,
    },
  })
  const port = child.waitFor(/"port":\d+/).then((line) => Number(/"port":(\d+)/.exec(line)![1]))
  // A test that never asks is told by what it does with the process.
  port.catch(() => undefined)
  return { ...child, port }
}
