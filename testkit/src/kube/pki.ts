/** The certificates of a test cluster, made by openssl: one authority, a month of life, ECDSA P-256. */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Pki {
  readonly folder: string
  /** The path of a file in it: `ca.crt`, `sa.pub`, `<name>.key`. */
  file(name: string): string
  /** A client certificate (and of a server, when `hosts` are given): `<name>.crt` and `<name>.key`. */
  issue(name: string, subject: string, hosts?: readonly string[]): void
  /** Writes `<name>.kubeconfig` (everything inside, so that it can be copied) and answers its path. */
  kubeconfig(name: string, server: string, fileName?: string): string
}

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'pipe'] })
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30']

/** Makes the authority, the API server's certificate for `hosts`, and those of its clients; the key of service accounts. */
export function createPki(folder: string, hosts: readonly string[]): Pki {
  const pki = openPki(folder)
  const { file } = pki
  openssl(
    'req',
    '-x509',
    ...NEW_KEY,
    '-keyout',
    file('ca.key'),
    '-out',
    file('ca.crt'),
    '-subj',
    '/CN=wmoc-test',
  )
  openssl('genrsa', '-out', file('sa.key'), '2048')
  openssl('rsa', '-in', file('sa.key'), '-pubout', '-out', file('sa.pub'))
  const service = ['', '.default', '.default.svc', '.default.svc.cluster.local'].map(
    (end) => `kubernetes${end}`,
  )
  pki.issue('apiserver', '/CN=kube-apiserver', ['localhost', ...service, ...hosts])
  pki.issue('admin', '/O=system:masters/CN=admin')
  pki.issue('controller-manager', '/CN=system:kube-controller-manager')
  pki.issue('scheduler', '/CN=system:kube-scheduler')
  pki.issue('kubelet-client', '/O=system:masters/CN=kube-apiserver-kubelet-client')
  return pki
}

/** What `createPki` made in the folder. */
export function openPki(folder: string): Pki {
  const file = (name: string) => join(folder, name)
  return {
    folder,
    file,
    issue(name, subject, servedHosts = []) {
      const names = servedHosts.map((host) => `${/^[\d.]+$/.test(host) ? 'IP' : 'DNS'}:${host}`)
      const usage = names.length > 0 ? 'clientAuth,serverAuth' : 'clientAuth'
      const extensions = [
        'basicConstraints=critical,CA:FALSE',
        `extendedKeyUsage=${usage}`,
        ...(names.length > 0 ? [`subjectAltName=${names.join(',')}`] : []),
      ].flatMap((extension) => ['-addext', extension])
      const signedBy = ['-CA', file('ca.crt'), '-CAkey', file('ca.key')]
      const out = ['-keyout', file(`${name}.key`), '-out', file(`${name}.crt`)]
      openssl('req', '-x509', ...NEW_KEY, ...signedBy, ...out, '-subj', subject, ...extensions)
    },
    kubeconfig(name, server, fileName = name) {
      const path = file(`${fileName}.kubeconfig`)
      const data = (of: string) => readFileSync(file(of)).toString('base64')
      const config = {
        apiVersion: 'v1',
        kind: 'Config',
        clusters: [{ name: 'test', cluster: { server, 'certificate-authority-data': data('ca.crt') } }],
        users: [
          {
            name,
            user: { 'client-certificate-data': data(`${name}.crt`), 'client-key-data': data(`${name}.key`) },
          },
        ],
        contexts: [{ name: 'test', context: { cluster: 'test', user: name } }],
        'current-context': 'test',
      }
      // JSON is YAML.
      writeFileSync(path, JSON.stringify(config), { mode: 0o600 })
      return path
    },
  }
}
