/** An ordinary nginx with an ordinary site, as found on a device behind `--upstream`. */
import { spawn } from 'node:child_process'
import { createCipheriv, createHash } from 'node:crypto'
import { once } from 'node:events'
import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findProgram, leashed } from '../../scripts/start/leash.ts'
import { onExit } from './exit.ts'
import { freePort } from './free-port.ts'

export interface TestNginx {
  readonly url: string
  readonly port: number
  /** The site's files; what is written here is served. */
  readonly root: string
  /** `/download.bin`, when `downloadBytes` was given. */
  readonly download: { readonly bytes: number; readonly sha256: string } | null
  stop(): Promise<void>
}

/**
 * Starts nginx on a free port with a site of several pages, style sheet, gzip, a download of `downloadBytes`, and
 * `/app/` (a small program behind it: a form, sign-in by cookie, an upload).
 */
export async function startNginx(options: { downloadBytes?: number } = {}): Promise<TestNginx> {
  const program = findProgram('nginx')
  if (!program) throw new Error('nginx is not installed: apt-get install -y nginx-light')
  const folder = mkdtempSync(join(tmpdir(), 'wmoc-nginx-'))
  chmodSync(folder, 0o755)
  const root = join(folder, 'site')
  writeSite(root)
  const download = options.downloadBytes
    ? writeDownload(join(root, 'download.bin'), options.downloadBytes)
    : null
  const app = await startApp()
  const port = await freePort()
  const config = join(folder, 'nginx.conf')
  writeFileSync(config, nginxConfig(folder, root, port, (app.address() as AddressInfo).port))
  const [command, args] = leashed(program, ['-p', folder, '-c', config, '-e', join(folder, 'error.log')], {
    signal: 'KILL',
  })
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] })
  const remove = () => rmSync(folder, { recursive: true, force: true })
  const forget = onExit(() => {
    child.kill('SIGKILL')
    remove()
  })
  await waitForPort(port)
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    root,
    download,
    async stop() {
      forget()
      if (child.exitCode === null) {
        const exited = once(child, 'exit')
        child.kill('SIGKILL')
        await exited
      }
      app.closeAllConnections()
      await new Promise((resolve) => app.close(resolve))
      remove()
    },
  }
}

function nginxConfig(folder: string, root: string, port: number, appPort: number): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `  ${name}_temp_path ${folder}/${name};`)
    .join('\n')
  return `daemon off;
master_process off;
pid ${folder}/nginx.pid;
events { worker_connections 256; }
http {
${temporary}
  access_log off;
  types { text/html html; text/css css; application/javascript js; application/octet-stream bin; }
  gzip on;
  gzip_types text/css application/javascript;
  gzip_min_length 100;
  client_max_body_size 32m;
  server {
    listen 127.0.0.1:${port};
    root ${root};
    absolute_redirect off;
    location = /old { return 301 /about.html; }
    location /app/ { proxy_pass http://127.0.0.1:${appPort}; proxy_set_header Host $http_host; }
  }
}
`
}

function writeSite(root: string): void {
  const page = (title: string, body: string) => `<!doctype html><html lang="en"><head><meta charset="utf-8">
<title>${title}</title><link rel="stylesheet" href="/style.css"></head><body><h1>${title}</h1>
<nav><a href="/">Home</a> <a href="about.html">About</a> <a href="/docs/">Docs</a> <a href="/app/form">Form</a></nav>
${body}</body></html>\n`
  const files: Record<string, string> = {
    'index.html': page('Pump house', '<p>Relative and absolute links.</p><script src="/site.js"></script>'),
    'about.html': page('About', '<p>Set up in 2019.</p>'),
    'docs/index.html': page('Docs', '<p><a href="../about.html">Back to about</a></p>'),
    'style.css': `body { font-family: sans-serif; background: rgb(240, 248, 255) }\n${'/* padding for gzip */\n'.repeat(40)}`,
    'favicon.ico': '',
    'site.js': "document.body.dataset.script = 'ran'\n",
  }
  mkdirSync(join(root, 'docs'), { recursive: true })
  for (const [name, content] of Object.entries(files)) writeFileSync(join(root, name), content)
}

/** Bytes of a key stream: unlike zeroes, a lost or doubled piece shows in the sum. */
function writeDownload(file: string, bytes: number): { bytes: number; sha256: string } {
  const stream = createCipheriv('aes-128-ctr', Buffer.alloc(16, 1), Buffer.alloc(16, 2))
  const hash = createHash('sha256')
  const descriptor = openSync(file, 'w')
  const block = Buffer.alloc(1 << 20)
  for (let left = bytes; left > 0; left -= block.length) {
    const piece = stream.update(block).subarray(0, Math.min(left, block.length))
    hash.update(piece)
    writeSync(descriptor, piece)
  }
  closeSync(descriptor)
  return { bytes, sha256: hash.digest('hex') }
}

/** Form, cookie sign-in and upload: what nginx hands to a program behind it. */
async function startApp(): Promise<Server> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks)
      const html = (text: string, headers: Record<string, string | string[]> = {}) =>
        response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', ...headers }).end(text)
      const route = `${request.method} ${request.url?.split('?')[0]}`
      if (route === 'GET /app/form') {
        html(`<!doctype html><title>Form</title><form method="post" action="/app/sign-in">
<label>Name <input name="name"></label><button>Sign in</button></form>
<form method="post" action="/app/upload" enctype="multipart/form-data"><input type="file" name="file"><button>Send</button></form>`)
      } else if (route === 'POST /app/sign-in') {
        const name = new URLSearchParams(body.toString()).get('name') ?? ''
        response
          .writeHead(303, {
            location: '/app/welcome',
            'set-cookie': [`user=${encodeURIComponent(name)}; Path=/; HttpOnly`, 'theme=blue; Path=/app'],
          })
          .end()
      } else if (route === 'GET /app/welcome') {
        html(
          `<!doctype html><title>Welcome</title><p id="cookies">${escapeHtml(request.headers.cookie ?? '')}</p>`,
        )
      } else if (route === 'POST /app/upload') {
        html(`<!doctype html><title>Stored</title><p id="stored">${body.length} bytes</p>`)
      } else if (route === 'POST /app/echo') {
        response
          .writeHead(200, { 'content-type': request.headers['content-type'] ?? 'application/octet-stream' })
          .end(body)
      } else {
        response.writeHead(404, { 'content-type': 'text/plain' }).end('no such page\n')
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return server
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}

async function waitForPort(port: number): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const socket = connect(port, '127.0.0.1')
    const isOpen = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true))
      socket.once('error', () => resolve(false))
    })
    socket.destroy()
    if (isOpen) return
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  throw new Error('nginx did not open its port')
}
