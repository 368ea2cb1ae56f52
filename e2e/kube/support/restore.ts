/** Backup and restore with the commands of docs/kubernetes/backup.md. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../../../scripts/start/root.ts'
import { NAMESPACE, readSecret, secret } from './installation.ts'
import type { Installation } from './installation.ts'

const MANIFEST = join(ROOT, 'docs/kubernetes/restore-job.yaml')
const SERVER = 'restored-postgres'
const IMAGE = 'docker.io/library/postgres:18-bookworm'
/** How long a Job may take on a busy machine. */
const JOB_TIMEOUT = '--timeout=180s'
/** Secret with the address of the restored database. */
export const RESTORED = 'wmoc-restored'

/** Runs the chart's CronJob now, to its end. */
export async function backUp({ kubectl }: Installation): Promise<void> {
  await kubectl('create', 'job', '--from=cronjob/wmoc-backup', 'wmoc-backup-now')
  await finish(kubectl, 'wmoc-backup-now')
}

/** Starts a database server with nothing in it and brings the newest backup back there; the secret `RESTORED` has its address. */
export async function restoreElsewhere({ cluster, kubectl }: Installation): Promise<void> {
  const own = new URL((await readSecret(kubectl, 'wmoc-secrets'))['DATABASE_URL']!)
  const address = new URL(own)
  address.hostname = SERVER
  await cluster.apply([...server(own.password), secret(RESTORED, { DATABASE_URL: address.href })])
  await kubectl('wait', `pod/${SERVER}`, '--for=condition=Ready', JOB_TIMEOUT)
  const job = readFileSync(MANIFEST, 'utf8').replaceAll(
    '{ name: wmoc-secrets, key: DATABASE_URL }',
    `{ name: ${RESTORED}, key: DATABASE_URL }`,
  )
  await cluster.apply(job)
  await finish(kubectl, 'wmoc-restore')
}

async function finish(kubectl: Installation['kubectl'], job: string): Promise<void> {
  try {
    await kubectl('wait', `job/${job}`, '--for=condition=Complete', JOB_TIMEOUT)
  } catch (error) {
    const logs = await kubectl('logs', `job/${job}`, '--all-containers', '--ignore-errors').catch(String)
    throw new Error(`${(error as Error).message}\n${logs}`, { cause: error })
  }
}

function server(password: string): object[] {
  const metadata = { name: SERVER, namespace: NAMESPACE, labels: { app: SERVER } }
  const variables = {
    POSTGRES_USER: 'wmoc',
    POSTGRES_DB: 'wmoc',
    POSTGRES_PASSWORD: password,
    PGDATA: '/var/lib/postgresql/18/docker',
  }
  const folders = { data: '/var/lib/postgresql', run: '/var/run/postgresql', tmp: '/tmp' }
  const restricted = {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  }
  const container = {
    name: 'postgres',
    image: IMAGE,
    env: Object.entries(variables).map(([name, value]) => ({ name, value })),
    readinessProbe: { exec: { command: ['pg_isready', '-h', '127.0.0.1', '-U', 'wmoc'] }, periodSeconds: 1 },
    securityContext: restricted,
    volumeMounts: Object.entries(folders).map(([name, mountPath]) => ({ name, mountPath })),
  }
  const ids = { runAsNonRoot: true, runAsUser: 999, runAsGroup: 999, fsGroup: 999 }
  const spec = {
    securityContext: { ...ids, seccompProfile: { type: 'RuntimeDefault' } },
    automountServiceAccountToken: false,
    containers: [container],
    volumes: Object.keys(folders).map((name) => ({ name, emptyDir: {} })),
  }
  const service = { clusterIP: 'None', selector: { app: SERVER }, ports: [{ port: 5432 }] }
  return [
    { apiVersion: 'v1', kind: 'Pod', metadata, spec },
    { apiVersion: 'v1', kind: 'Service', metadata, spec: service },
  ]
}
