/**
 * Objects of every kind that nobody would write by hand, and the operator's own process: each is refused by the API
 * server in words, or stored and then answered by a condition; the process goes on, and comes to rest.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { freePort } from '@wmoc/testkit/free-port'
import { crdManifest } from './crds/definition.ts'
import type { CrdDefinition } from './crds/definition.ts'
import { structuralSchema } from './crds/structural.ts'
import { KINDS } from './kinds.ts'
import type { KubeClient } from './runtime/client.ts'
import type { Condition } from './runtime/conditions.ts'
import { KubeError } from './runtime/errors.ts'
import { resource } from './runtime/objects.ts'
import { eventually, startServerWithWidgets } from './testing/api-server.ts'
import { valueOf } from './testing/specs.ts'

const OBJECTS = 300
const SEED = 20_261_121

let server: Awaited<ReturnType<typeof startServerWithWidgets>>
let client: KubeClient
let operator: Awaited<ReturnType<typeof startOperatorProcess>>

async function startOperatorProcess(kubeconfig: string) {
  const port = await freePort()
  const child = spawn(process.execPath, [join(import.meta.dirname, 'main.ts')], {
    env: {
      PATH: process.env['PATH'],
      KUBECONFIG: kubeconfig,
      ADMIN_PORT: String(port),
      API_REQUESTS_PER_SECOND: '500',
      LOG_LEVEL: 'error',
      LOG_FORMAT: 'json',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => (output = (output + chunk).slice(-20_000)))
  }
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  await eventually('the operator is ready', () =>
    fetch(`http://127.0.0.1:${port}/readyz`).then(
      ({ status }) => status === 200,
      () => false,
    ),
  )
  return {
    output: () => output,
    isRunning: () => child.exitCode === null && child.signalCode === null,
    /** The sum of a metric's values. */
    async metric(name: string, labels = ''): Promise<number> {
      const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
      const lines = text.split('\n').filter((line) => line.startsWith(name) && line.includes(labels))
      return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
    },
    async stop() {
      child.kill('SIGTERM')
      return ended
    },
  }
}

before(async () => {
  server = await startServerWithWidgets()
  client = server.connect({ requestsPerSecond: 1_000 })
  for (const { crd } of KINDS) await server.apply(crdManifest(crd))
  await server.kubectl('wait', '--for=condition=Established', 'crd', '--all')
  operator = await startOperatorProcess(server.kubeconfig)
})
after(async () => {
  await operator?.stop()
  await server?.stop()
})

interface Answered {
  readonly status?: { readonly observedGeneration?: number; readonly conditions?: readonly Condition[] }
}

const resourceOf = (crd: CrdDefinition) =>
  resource<Answered>(`${crd.group}/${crd.version}`, crd.kind, crd.plural)

/** True: stored; else the API server's words. */
async function create(crd: CrdDefinition, name: string, spec: unknown): Promise<true | string> {
  const apiVersion = `${crd.group}/${crd.version}`
  try {
    await client.raw({
      method: 'POST',
      path: `/apis/${apiVersion}/namespaces/default/${crd.plural}`,
      body: { apiVersion, kind: crd.kind, metadata: { name, namespace: 'default' }, spec },
    })
    return true
  } catch (error) {
    if (!(error instanceof KubeError) || error.status < 400 || error.status >= 500) throw error
    return error.message
  }
}

async function unanswered(): Promise<string[]> {
  const lists = await Promise.all(KINDS.map(({ crd }) => client.list(resourceOf(crd))))
  return lists.flatMap(({ items }) =>
    items
      .filter(
        ({ metadata, status }) =>
          status?.observedGeneration !== metadata.generation || (status?.conditions ?? []).length === 0,
      )
      .map(({ kind, metadata }) => `${kind} ${metadata.name}`),
  )
}

test('odd objects of every kind: refused in words or answered by a condition, and then there is rest', async () => {
  let stored = 0
  for (const { crd } of KINDS) {
    const specs = fc.sample(valueOf(structuralSchema(crd.spec)), {
      numRuns: Math.ceil(OBJECTS / KINDS.length),
      seed: SEED,
    })
    for (const [at, spec] of specs.entries()) {
      const verdict = await create(crd, `odd-${at}`, spec)
      if (verdict === true) stored += 1
      else assert.ok(verdict.length > 20, `${crd.kind}: ${verdict}`)
    }
  }
  assert.ok(stored >= OBJECTS / 10, `only ${stored} of ${OBJECTS} were good enough to be stored`)

  let left: string[] = []
  await eventually(
    'every stored object is answered',
    async () => {
      assert.ok(operator.isRunning(), operator.output())
      left = await unanswered()
      return left.length === 0
    },
    90_000,
  ).catch((error: Error) => {
    throw new Error(`${error.message}: ${left.slice(0, 20).join(', ')}\n${operator.output()}`)
  })

  // At rest an object is looked at from time to time; one that keeps failing, less and less often.
  const windowMs = 10_000
  await eventually(
    'the queue is empty',
    async () => (await operator.metric('wmoc_operator_queue_depth')) === 0,
  )
  const [requests, reconciles] = await figures()
  await new Promise((resolve) => setTimeout(resolve, windowMs))
  const [requestsThen, reconcilesThen] = await figures()
  const perObject = (count: number) => count / stored
  assert.ok(
    perObject(reconcilesThen - reconciles) <= 6 && perObject(requestsThen - requests) <= 6,
    `${requestsThen - requests} requests and ${reconcilesThen - reconciles} reconciliations of ${stored} objects in ${windowMs} ms`,
  )
  assert.equal(await operator.metric('wmoc_operator_reconcile_total', 'result="timeout"'), 0)
  assert.ok(operator.isRunning(), operator.output())
})

const figures = () =>
  Promise.all([
    operator.metric('wmoc_operator_api_requests_total'),
    operator.metric('wmoc_operator_reconcile_total'),
  ])
