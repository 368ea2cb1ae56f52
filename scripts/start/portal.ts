/** The portal's built files as a web server hands them out: hashed ones for ever, the page itself never cached. */
import { createHash } from 'node:crypto'
import { existsSync, globSync, readFileSync, statSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { extname, join } from 'node:path'
import { z } from 'zod'
import { appError } from '@wmoc/platform/errors'
import { refuse } from './forward.ts'

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.webmanifest': 'application/manifest+json',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.wasm': 'application/wasm',
  '.txt': 'text/plain; charset=utf-8',
}

interface StaticFile {
  readonly bytes: Buffer
  readonly type: string
  readonly etag: string
  readonly isImmutable: boolean
}

/**
 * A handler for what is in `folder` now: kept in memory, so that building the portal anew disturbs nobody. Paths are looked up, never resolved, so nothing outside can be reached; a path
 * without a file name gets the page, which routes by itself. `headers` go on every answer.
 */
export function createPortal(
  folder: string,
  headers: Readonly<Record<string, string>>,
): (request: IncomingMessage, response: ServerResponse) => void {
  const files = new Map<string, StaticFile>()
  for (const name of globSync('**/*', { cwd: folder })) {
    const path = join(folder, name)
    if (!statSync(path).isFile()) continue
    const bytes = readFileSync(path)
    const hash = createHash('sha256').update(bytes).digest('base64url').slice(0, 22)
    files.set(`/${name.split('\\').join('/')}`, {
      bytes,
      type: TYPES[extname(name)] ?? 'application/octet-stream',
      etag: `"${hash}"`,
      isImmutable: name.startsWith('assets'),
    })
  }
  const index = files.get('/index.html')

  return (request, response) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return refuse(response, appError('method_not_allowed'), { ...headers, allow: 'GET, HEAD' })
    }
    const path = request.url!.split('?', 1)[0]!
    const isPage = !/\.[a-z0-9]+$/i.test(path) && !path.startsWith('/assets/')
    const file = files.get(path) ?? (isPage ? index : undefined)
    if (!file) return refuse(response, appError('not_found'), headers)
    const common = {
      ...headers,
      etag: file.etag,
      'cache-control': file.isImmutable ? 'public, max-age=31536000, immutable' : 'no-cache',
    }
    if (request.headers['if-none-match'] === file.etag) return void response.writeHead(304, common).end()
    response.writeHead(200, { ...common, 'content-type': file.type, 'content-length': file.bytes.length })
    response.end(request.method === 'HEAD' ? undefined : file.bytes)
  }
}

/** Whether the portal was never built, or a source is newer than the build. */
export function isPortalStale(root: string): boolean {
  const built = join(root, 'web/dist/index.html')
  if (!existsSync(built)) return true
  const builtMs = statSync(built).mtimeMs
  const sources = [
    'web/{index.html,package.json,*.ts,headers.json}',
    'web/{src,public}/**/*',
    'api/src/kernel/{contract,schemas,client}.ts',
    'api/src/modules/*/contract.ts',
  ]
  return globSync(sources, { cwd: root }).some((name) => statSync(join(root, name)).mtimeMs > builtMs)
}

/** Security headers of every portal answer, as `web/` has decided them. */
export function portalHeaders(root: string): Record<string, string> {
  return z
    .record(z.string(), z.string())
    .parse(JSON.parse(readFileSync(join(root, 'web/headers.json'), 'utf8')))
}
