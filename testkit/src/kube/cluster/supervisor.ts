/**
 * The first process inside the cluster's namespaces: starts everything, and serves `cluster.sock`, by which the test
 * reaches what has no route to it: `CONNECT host:port`, `POST /nodes/<name>/kill` and `/start`, `POST /api-server/restart`.
 */
import { execFileSync } from 'node:child_process'
import { Resolver } from 'node:dns/promises'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { connect, isIP } from 'node:net'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { startControlPlane } from '../control-plane.ts'
import { startDaemon } from '../daemon.ts'
import type { Daemon } from '../daemon.ts'
import { waitUntil } from '../execute.ts'
import { openPki } from '../pki.ts'
import { findTool } from '../tools.ts'
import { API_PORT, HUB_ADDRESS, imagesFolder, pkiFolder, readSettings, socketPath } from './settings.ts'
import type { NodeSettings } from './settings.ts'

const folder = process.argv[2]!
const { nodes } = readSettings(folder)
const pki = openPki(pkiFolder(folder))
const ip = (...args: string[]) => execFileSync('ip', args, { stdio: ['ignore', 'pipe', 'pipe'] })

ip('link', 'set', 'lo', 'up')
ip('address', 'add', `${HUB_ADDRESS}/32`, 'dev', 'lo')
// Without a route of its own the address of a Service would be unreachable from here.
ip('route', 'add', 'default', 'dev', 'lo', 'src', HUB_ADDRESS)

const running = new Map<string, Daemon>(nodes.map((node) => [node.name, startNode(node)]))
const controlPlane = await startControlPlane({
  folder,
  pki,
  address: HUB_ADDRESS,
  apiPort: API_PORT,
  etcdPorts: [2379, 2380],
  hasControllers: true,
})
startDaemon(findTool('coredns'), ['-conf', writeCorefile()], join(folder, 'coredns.log'))
await Promise.all(nodes.slice(1).map(layCable))
serve()
tell('up')

function tell(line: string): void {
  process.stdout.write(`${line}\n`)
}

function startNode(node: NodeSettings): Daemon {
  const isHub = node.address === HUB_ADDRESS
  const environment = {
    NODE_NAME: node.name,
    NODE_ADDRESS: node.address,
    POD_SUBNET: node.podSubnet,
    NODE_FOLDER: join(folder, node.name),
    PKI: pki.folder,
    DNS_ADDRESS: HUB_ADDRESS,
    KUBELET: findTool('kubelet'),
    KUBE_PROXY: findTool('kube-proxy'),
    IMAGES: imagesFolder(folder),
    UPLINK: isHub ? '' : HUB_ADDRESS,
  }
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`)
  const own = [
    '--mount',
    '--pid',
    '--fork',
    '--kill-child',
    '--mount-proc',
    '--cgroup',
    ...(isHub ? [] : ['--net']),
  ]
  const script = ['bash', join(import.meta.dirname, 'node.sh')]
  const args = [...own, '--propagation', 'private', '--', 'env', ...variables, ...script]
  const daemon = startDaemon('unshare', args, join(folder, `${node.name}.log`))
  void daemon.ended.then(() => tell(`${node.name} ended (${daemon.exit}); ${daemon.tail()}`))
  return daemon
}

/** There while a node waits for its cable. */
function waitingFile({ name }: NodeSettings): string {
  return join(folder, name, 'waiting')
}

/** A pair of virtual Ethernet ends between the hub and a node's own network, and the routes through it. */
async function layCable(node: NodeSettings): Promise<void> {
  const { pid } = running.get(node.name)!
  const waiting = waitingFile(node)
  await waitUntil(`${node.name} makes its namespaces`, () => Promise.resolve(existsSync(waiting)))
  const end = node.name
  ip('link', 'add', end, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(pid))
  ip('link', 'set', end, 'up')
  ip('route', 'add', `${node.address}/32`, 'dev', end, 'src', HUB_ADDRESS)
  ip('route', 'add', node.podSubnet, 'via', node.address, 'dev', end, 'onlink', 'src', HUB_ADDRESS)
}

function writeCorefile(): string {
  const file = join(folder, 'Corefile')
  const kubeconfig = pki.file('admin.kubeconfig')
  writeFileSync(
    file,
    `.:53 {
  bind ${HUB_ADDRESS}
  errors
  kubernetes cluster.local in-addr.arpa {
    kubeconfig ${kubeconfig}
    ttl 1
  }
  cache 1
}
`,
  )
  return file
}

function serve(): void {
  const server = createServer((request, response) => {
    const answer = (status: number, text: string) => response.writeHead(status).end(text)
    act(request.url ?? '').then(
      (isKnown) => answer(isKnown ? 200 : 404, ''),
      (error: unknown) => answer(500, String(error)),
    )
  })
  server.on('connect', (request, socket: Socket, head) => {
    socket.on('error', () => {})
    forward(request.url ?? '', socket, head).catch((error: unknown) => {
      socket.end(`HTTP/1.1 502 ${String(error).replaceAll(/[^ -~]/g, ' ')}\r\n\r\n`)
    })
  })
  server.listen(socketPath(folder))
}

async function act(url: string): Promise<boolean> {
  const [, area, name = '', verb] = url.split('/')
  if (area === 'api-server') {
    await controlPlane.restartApiServer()
    return true
  }
  const daemon = running.get(name)
  const node = nodes.find((one) => one.name === name)
  if (area !== 'nodes' || !daemon || !node) return false
  if (verb === 'kill') daemon.kill('SIGKILL')
  else if (verb !== 'start') return false
  await daemon.ended
  if (verb === 'start') await startAgain(node)
  return true
}

async function startAgain(node: NodeSettings): Promise<void> {
  // The kernel takes a moment to take the old node's network apart.
  await waitUntil(`the cable of ${node.name} is gone`, () => Promise.resolve(!hasLink(node.name)))
  rmSync(waitingFile(node), { force: true })
  running.set(node.name, startNode(node))
  await layCable(node)
}

function hasLink(name: string): boolean {
  return existsSync(join('/proc/sys/net/ipv4/conf', name))
}

const resolver = new Resolver({ timeout: 2_000, tries: 3 })
resolver.setServers([HUB_ADDRESS])

async function forward(target: string, socket: Socket, head: Buffer): Promise<void> {
  const [, name = '', port = ''] = /^(.+):(\d+)$/.exec(target) ?? []
  const host = isIP(name) ? name : (await resolver.resolve4(name))[0]!
  const upstream = connect({ host, port: Number(port), allowHalfOpen: true })
  await new Promise((resolve, reject) => {
    upstream.once('connect', resolve)
    upstream.once('error', reject)
  })
  socket.write('HTTP/1.1 200 OK\r\n\r\n')
  if (head.length > 0) upstream.write(head)
  upstream.on('error', () => socket.destroy())
  socket.on('error', () => upstream.destroy())
  socket.on('close', () => upstream.destroy())
  upstream.on('close', () => socket.destroy())
  upstream.pipe(socket)
  socket.pipe(upstream)
}
