import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { errors, request } from 'undici'
import { createConnections } from './connections.ts'
import { loadClusterAccess } from './kubeconfig.ts'
import type { ClusterAccess } from './kubeconfig.ts'

/** Files in a folder that goes with the test. */
function files(t: TestContext, contents: Readonly<Record<string, string>>) {
  const folder = mkdtempSync(join(tmpdir(), 'wmoc-kubeconfig-'))
  t.after(() => rmSync(folder, { recursive: true }))
  for (const [name, content] of Object.entries(contents)) writeFileSync(join(folder, name), content)
  return (name: string) => join(folder, name)
}

const tokenOf = async (access: ClusterAccess) => (await access.credentials()).headers['authorization']

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
  assert.equal(access.namespace, 'team')
  const { headers, tls } = await access.credentials()
  assert.equal(tls.ca, 'AUTHORITY')
  assert.equal(tls.servername, 'inner')
  assert.deepEqual(headers, { authorization: 'Bearer abc' })
})

test('certificates may be inside of the file', async (t) => {
  const data = (text: string) => Buffer.from(text).toString('base64')
  const user = `{ client-certificate-data: ${data('CERT')}, client-key-data: ${data('KEY')} }`
  const path = files(t, { config: kubeconfig(user), 'ca.pem': 'AUTHORITY' })
  const access = await loadClusterAccess({ KUBECONFIG: path('config') })
  const { headers, tls } = await access.credentials()
  assert.deepEqual([tls.cert, tls.key, headers], ['CERT', 'KEY', {}])
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
  assert.equal(await tokenOf(access), 'Bearer me-2')
  assert.equal(await tokenOf(access), 'Bearer me-3')
})

test('many requests at once sign in once', async (t) => {
  const path = files(t, {
    config: kubeconfig('{ exec: { apiVersion: client.authentication.k8s.io/v1, command: ./sign-in } }'),
    'ca.pem': 'AUTHORITY',
    'sign-in': `#!/bin/sh
echo x >> "$(dirname "$0")/runs"
echo '{"status":{"token":"t","expirationTimestamp":"2020-01-01T00:00:00Z"}}'
`,
  })
  chmodSync(path('sign-in'), 0o755)
  const access = await loadClusterAccess({ KUBECONFIG: path('config') })
  await Promise.all([tokenOf(access), tokenOf(access), tokenOf(access)])
  assert.equal(readFileSync(path('runs'), 'utf8'), 'x\nx\n')
})

test('a command that can not sign in is named with its own words', async (t) => {
  const path = files(t, {
    config: kubeconfig('{ exec: { apiVersion: client.authentication.k8s.io/v1, command: ./sign-in } }'),
    'ca.pem': 'AUTHORITY',
    'sign-in': '#!/bin/sh\necho "log in to your cloud first" >&2\nexit 1\n',
  })
  chmodSync(path('sign-in'), 0o755)
  await assert.rejects(
    loadClusterAccess({ KUBECONFIG: path('config') }),
    (error: Error) =>
      error.name === 'KubeconfigError' && /cannot sign in .*log in to your/.test(error.message),
  )
})

test('a certificate that is written anew is used from then on', async (t) => {
  const path = files(t, {
    config: kubeconfig('{ client-certificate: cert.pem, client-key: key.pem }'),
    'ca.pem': 'AUTHORITY',
    'cert.pem': 'FIRST',
    'key.pem': 'KEY',
  })
  const access = await loadClusterAccess({ KUBECONFIG: path('config') })
  const connections = createConnections(1_000)
  t.after(() => connections.close())
  const used = async () => connections.current((await access.credentials()).tls)
  const first = await used()
  assert.equal(await used(), first)
  writeFileSync(path('cert.pem'), 'SECOND')
  assert.equal((await access.credentials()).tls.cert, 'SECOND')
  assert.notEqual(await used(), first)
})

test('a password, and whom to act for, go along', async (t) => {
  const path = files(t, { config: kubeconfig('{ username: me, password: pw, as: other }'), 'ca.pem': 'X' })
  const { headers } = await (await loadClusterAccess({ KUBECONFIG: path('config') })).credentials()
  assert.deepEqual(headers, { authorization: `Basic ${btoa('me:pw')}`, 'impersonate-user': 'other' })
})

test('connections that are ended may be ended again, and are not used any more', async () => {
  const connections = createConnections(1_000)
  const agent = connections.current({})
  connections.failed(agent, new errors.HeadersTimeoutError())
  connections.current({ ca: 'other' })
  await Promise.all([connections.close(), connections.close()])
  await connections.close()
  const late = connections.current({ ca: 'late' })
  connections.failed(late, new errors.BodyTimeoutError())
  await assert.rejects(request('http://127.0.0.1:9', { dispatcher: late }), /destroyed|closed/)
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
  assert.equal(await tokenOf(access), 'Bearer first')
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
