import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { loadClusterAccess } from './kubeconfig.ts'

/** Files in a folder that goes with the test. */
function files(t: TestContext, contents: Readonly<Record<string, string>>) {
  const folder = mkdtempSync(join(tmpdir(), 'wmoc-kubeconfig-'))
  t.after(() => rmSync(folder, { recursive: true }))
  for (const [name, content] of Object.entries(contents)) writeFileSync(join(folder, name), content)
  return (name: string) => join(folder, name)
}

const kubeconfig = (user: string) => `
apiVersion: v1
kind: Config
current-context: here
clusters:
  - name: c
    cluster: { server: 'https://example.org:6443/', certificate-authority: ca.pem, tls-server-name: inner }
users:
  - name: u
    user: ${user}
contexts:
  - name: here
    context: { cluster: c, user: u, namespace: team }
  - name: there
    context: { cluster: missing, user: u }
`

test('paths in a file are beside the file, and the context says the namespace', async (t) => {
  const path = files(t, { config: kubeconfig('{ tokenFile: token }'), 'ca.pem': 'AUTHORITY', token: 'abc\n' })
  const access = await loadClusterAccess({ KUBECONFIG: path('config') })
  assert.equal(access.server, 'https://example.org:6443')
  assert.equal(access.ca, 'AUTHORITY')
  assert.equal(access.serverName, 'inner')
  assert.equal(access.namespace, 'team')
  assert.equal(await access.token(), 'abc')
})

test('certificates may be inside of the file', async (t) => {
  const data = (text: string) => Buffer.from(text).toString('base64')
  const user = `{ client-certificate-data: ${data('CERT')}, client-key-data: ${data('KEY')} }`
  const path = files(t, { config: kubeconfig(user), 'ca.pem': 'AUTHORITY' })
  const access = await loadClusterAccess({ KUBECONFIG: path('config') })
  assert.deepEqual([access.cert, access.key, await access.token()], ['CERT', 'KEY', null])
})

test('a command that signs in is run again when its token has ended', async (t) => {
  const path = files(t, {
    config: kubeconfig(
      '{ exec: { apiVersion: client.authentication.k8s.io/v1, command: ./sign-in, env: [{ name: WHO, value: me }] } }',
    ),
    'ca.pem': 'AUTHORITY',
    'sign-in': `#!/bin/sh
dir=$(dirname "$0")
echo x >> "$dir/runs"
n=$(wc -l < "$dir/runs" | tr -d ' ')
case "$KUBERNETES_EXEC_INFO" in *ExecCredential*) ;; *) exit 1 ;; esac
echo '{"status":{"token":"'$WHO'-'$n'","expirationTimestamp":"2020-01-01T00:00:00Z"}}'
`,
  })
  chmodSync(path('sign-in'), 0o755)
  const access = await loadClusterAccess({ KUBECONFIG: path('config') })
  assert.equal(await access.token(), 'me-2')
  assert.equal(await access.token(), 'me-3')
})

test('several files are read as one, and of two entries the first counts', async (t) => {
  const path = files(t, {
    first: 'users: [{ name: u, user: { token: first } }]\ncurrent-context: here\n',
    second: kubeconfig('{ token: second }'),
    'ca.pem': 'AUTHORITY',
  })
  const access = await loadClusterAccess({
    KUBECONFIG: `${path('first')}:${path('absent')}:${path('second')}`,
  })
  assert.equal(await access.token(), 'first')
})

test('what is missing is named', async (t) => {
  const path = files(t, { config: kubeconfig('{ token: x }'), broken: 'clusters: 7', 'ca.pem': 'AUTHORITY' })
  const load = (file: string, context?: string) => loadClusterAccess({ KUBECONFIG: path(file) }, { context })
  await assert.rejects(load('config', 'nowhere'), /no context "nowhere"/)
  await assert.rejects(load('config', 'there'), /no cluster "missing"/)
  await assert.rejects(load('absent'), /set KUBECONFIG/)
  await assert.rejects(load('broken'), /is no kubeconfig/)
  const inside = { KUBERNETES_SERVICE_HOST: '10.0.0.1', KUBERNETES_SERVICE_PORT: '443' }
  await assert.rejects(loadClusterAccess(inside), /automountServiceAccountToken/)
})
