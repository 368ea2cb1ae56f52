/** A real S3-compatible store that checks signatures: Versity's gateway over a folder. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onExit } from './exit.ts'
import { freePort } from './free-port.ts'
import { ensureTools, findTool } from './kube/tools.ts'
import { run } from './process.ts'

export interface ObjectStore {
  /** What an S3 client reads from its environment. */
  readonly env: Readonly<Record<string, string>>
  readonly bucket: string
  /** The bucket's objects as files. */
  readonly folder: string
  stop(): Promise<void>
}

/** Starts a store on 127.0.0.1 with one empty bucket. */
export async function startObjectStore(): Promise<ObjectStore> {
  await ensureTools('versitygw')
  const root = mkdtempSync(join(tmpdir(), 'wmoc-s3-'))
  const bucket = 'backups'
  const data = join(root, 'data')
  for (const folder of [join(data, bucket), join(root, 'metadata')]) mkdirSync(folder, { recursive: true })
  const remove = onExit(() => rmSync(root, { recursive: true, force: true }))
  const port = await freePort()
  const env = {
    AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${port}`,
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'wmoc-test',
    AWS_SECRET_ACCESS_KEY: 'secret-of-the-test',
  }
  const gateway = run('--port', {
    program: findTool('versitygw'),
    args: [
      `127.0.0.1:${port}`,
      '--region',
      env.AWS_REGION,
      'posix',
      '--sidecar',
      join(root, 'metadata'),
      data,
    ],
    env: { ROOT_ACCESS_KEY: env.AWS_ACCESS_KEY_ID, ROOT_SECRET_KEY: env.AWS_SECRET_ACCESS_KEY },
  })
  await gateway.waitFor(/http:\/\/127\.0\.0\.1:\d+/)
  return {
    env,
    bucket,
    folder: join(data, bucket),
    async stop() {
      await gateway.stop()
      remove()
      rmSync(root, { recursive: true, force: true })
    },
  }
}
