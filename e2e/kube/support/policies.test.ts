import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { isAllowed, mayCall } from './policies.ts'
import type { Peer, Policy } from './policies.ts'
import { connectionsIn } from './sockets.ts'

const pod = (app: string, namespace = 'shop', ports: Peer['ports'] = {}): Peer => ({
  name: app,
  namespace,
  labels: { app },
  ports,
})
const policy = (app: string, spec: Partial<Policy['spec']>): Policy => ({
  metadata: { name: app, namespace: 'shop' },
  spec: { podSelector: { matchLabels: { app } }, ...spec },
})
const cluster = (...policies: Policy[]) => ({
  policies,
  namespaces: { shop: { team: 'a' }, other: { team: 'b' } },
})

suite('network policies', () => {
  const db = pod('db', 'shop', { sql: 5432 })
  const from = (...peers: NonNullable<NonNullable<Policy['spec']['ingress']>[number]['from']>) =>
    cluster(policy('db', { ingress: [{ from: peers, ports: [{ port: 'sql' }] }] }))

  test('let everybody in where none selects the pod, and nobody where one has no rules', () => {
    assert.ok(isAllowed(cluster(), pod('web'), db, 5432))
    assert.ok(isAllowed(cluster(policy('api', { ingress: [] })), pod('web'), db, 5432))
    assert.ok(!isAllowed(cluster(policy('db', { ingress: [] })), pod('web'), db, 5432))
  })
  test('name peers by pods of their own namespace, or of others, and ports by name or number', () => {
    const api = { podSelector: { matchLabels: { app: 'api' } } }
    assert.ok(isAllowed(from(api), pod('api'), db, 5432))
    assert.ok(!isAllowed(from(api), pod('api'), db, 5433))
    assert.ok(!isAllowed(from(api), pod('web'), db, 5432))
    assert.ok(!isAllowed(from(api), pod('api', 'other'), db, 5432))
    assert.ok(isAllowed(from({ namespaceSelector: {}, ...api }), pod('api', 'other'), db, 5432))
    const b = { namespaceSelector: { matchLabels: { team: 'b' } } }
    assert.ok(isAllowed(from(b), pod('web', 'other'), db, 5432))
    assert.ok(!isAllowed(from(b), pod('web'), db, 5432))
    const oneOf = { podSelector: { matchExpressions: [{ key: 'app', operator: 'In', values: ['api'] }] } }
    assert.ok(isAllowed(from(oneOf), pod('api'), db, 5432))
    assert.ok(!isAllowed(from(oneOf), pod('web'), db, 5432))
  })
  test('add up: what one lets through no other takes back', () => {
    const open = policy('db', { ingress: [{}] })
    assert.ok(isAllowed(cluster(policy('db', { ingress: [] }), open), pod('web'), db, 5432))
  })
  test('ask the caller, too, where one is about what it may call', () => {
    const closed = cluster(policy('web', { policyTypes: ['Ingress', 'Egress'], egress: [] }))
    assert.ok(!isAllowed(closed, pod('web'), db, 5432))
    assert.ok(!mayCall(closed, pod('web')))
    assert.ok(mayCall(closed, db))
  })
})

test('connections are read as the kernel lists them, and who listens was called', () => {
  const text = `  sl  local_address rem_address   st tx_queue rx_queue
   0: 00000000:1F90 00000000:0000 0A 00000000:00000000
   1: 0A01640A:1F90 0B01640A:C350 01 00000000:00000000
   2: 0A01640A:C351 0100600A:01BB 01 00000000:00000000
   3: 0000000000000000FFFF00000A01640A:1F90 0000000000000000FFFF00000C01640A:C352 06 00000000:00000000
   4: 00000000000000000000000001000000:1F90 00000000000000000000000001000000:C352 01 00000000:00000000
`
  assert.deepEqual(connectionsIn(text), [
    { local: '10.100.1.10', localPort: 8080, remote: '10.100.1.11', remotePort: 50_000, isServer: true },
    { local: '10.100.1.10', localPort: 50_001, remote: '10.96.0.1', remotePort: 443, isServer: false },
    { local: '10.100.1.10', localPort: 8080, remote: '10.100.1.12', remotePort: 50_002, isServer: true },
  ])
})
