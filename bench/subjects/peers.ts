/** Other tunnels found on the PATH, each with a server and a client on loopback, as their documents set them up. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findProgram } from '../../scripts/start/leash.ts'
import { freePorts } from '../../scripts/start/ports.ts'
import { type BenchChild, eventually, startChild } from '../children.ts'
import type { Running, Target } from '../plan.ts'

export interface Peer {
  readonly name: string
  readonly note: string
  /** All of them must be on the PATH. */
  readonly programs: readonly string[]
  readonly start: (setup: Setup) => Promise<{ target: Target; server: BenchChild; client: BenchChild }>
}

interface Setup {
  readonly upstream: URL
  readonly ports: readonly [number, number, number, number, number]
  /** Writes a file into a folder of its own and answers its path. */
  readonly file: (name: string, text: string) => string
  readonly program: (name: string) => string
}

const HOST = '127.0.0.1'
const TCP_NOTE = 'a TCP port, no HTTP: it reads nothing of a request and can allow or limit nothing'
/** Of a peer that serves one port, or chooses the tunnel by host. */
const web = (port: number): Target => ({ host: HOST, port, prefix: '', headers: { Host: 'bench.test' } })

const piko: Peer = {
  name: 'piko',
  note: 'HTTP endpoint chosen by a header; no authentication',
  programs: ['piko'],
  async start({ upstream, ports: [proxy, agents, admin, gossip, agentAdmin], program }) {
    const server = startChild(program('piko'), [
      'server',
      `--proxy.bind-addr=${HOST}:${proxy}`,
      `--upstream.bind-addr=${HOST}:${agents}`,
      `--admin.bind-addr=${HOST}:${admin}`,
      `--cluster.gossip.bind-addr=${HOST}:${gossip}`,
      '--proxy.access-log.disable',
    ])
    await eventually('piko', async () => (await fetch(`http://${HOST}:${admin}/health`)).status < 500)
    const client = startChild(program('piko'), [
      'agent',
      'http',
      'bench',
      upstream.host,
      `--connect.url=http://${HOST}:${agents}`,
      `--server.bind-addr=${HOST}:${agentAdmin}`,
      '--access-log.disable',
    ])
    const headers = { Host: 'bench.test', 'x-piko-endpoint': 'bench' }
    return { server, client, target: { ...web(proxy), headers } }
  },
}

const frp: Peer = {
  name: 'frp',
  note: 'HTTP proxy chosen by host; token',
  programs: ['frps', 'frpc'],
  async start({ upstream, ports: [port, bind], file, program }) {
    const serverFile = file(
      'frps.toml',
      `bindAddr = "${HOST}"\nbindPort = ${bind}\nproxyBindAddr = "${HOST}"\nvhostHTTPPort = ${port}\nauth.token = "bench"\nlog.level = "warn"\n`,
    )
    const clientFile = file(
      'frpc.toml',
      `serverAddr = "${HOST}"\nserverPort = ${bind}\nauth.token = "bench"\nlog.level = "warn"\nloginFailExit = false\n` +
        `[[proxies]]\nname = "bench"\ntype = "http"\nlocalIP = "${upstream.hostname}"\nlocalPort = ${upstream.port}\ncustomDomains = ["bench.test"]\n`,
    )
    const server = startChild(program('frps'), ['-c', serverFile])
    const client = startChild(program('frpc'), ['-c', clientFile])
    return { server, client, target: web(port) }
  },
}

const rathole: Peer = {
  name: 'rathole',
  note: `${TCP_NOTE}; token`,
  programs: ['rathole'],
  async start({ upstream, ports: [port, bind], file, program }) {
    const serverFile = file(
      'server.toml',
      `[server]\nbind_addr = "${HOST}:${bind}"\ndefault_token = "bench"\n[server.services.bench]\nbind_addr = "${HOST}:${port}"\n`,
    )
    const clientFile = file(
      'client.toml',
      `[client]\nremote_addr = "${HOST}:${bind}"\ndefault_token = "bench"\n[client.services.bench]\nlocal_addr = "${upstream.host}"\n`,
    )
    const server = startChild(program('rathole'), ['--server', serverFile])
    const client = startChild(program('rathole'), ['--client', clientFile])
    return { server, client, target: web(port) }
  },
}

const bore: Peer = {
  name: 'bore',
  note: `${TCP_NOTE}; secret; a connection between server and client for each of a user`,
  programs: ['bore'],
  async start({ upstream, ports: [port], program }) {
    const server = startChild(program('bore'), ['server', '--bind-addr', HOST, '--secret', 'bench'])
    await server.waitFor(/listening/)
    const to = ['--local-host', upstream.hostname, '--to', HOST, '--port', String(port), '--secret', 'bench']
    const client = startChild(program('bore'), ['local', upstream.port, ...to])
    return { server, client, target: web(port) }
  },
}

const chisel: Peer = {
  name: 'chisel',
  note: `${TCP_NOTE}; SSH over WebSocket, so it encrypts; user and password`,
  programs: ['chisel'],
  start({ upstream, ports: [port, control], program }) {
    const auth = ['--auth', 'bench:bench']
    const listener = ['--host', HOST, '--port', String(control), '--reverse']
    const server = startChild(program('chisel'), ['server', ...listener, ...auth])
    const remote = `R:${HOST}:${port}:${upstream.host}`
    const client = startChild(program('chisel'), ['client', ...auth, `http://${HOST}:${control}`, remote])
    return Promise.resolve({ server, client, target: web(port) })
  },
}

const wstunnel: Peer = {
  name: 'wstunnel',
  note: `${TCP_NOTE}; a WebSocket for each connection of a user; no authentication`,
  programs: ['wstunnel'],
  start({ upstream, ports: [port, control], program }) {
    const address = `ws://${HOST}:${control}`
    const server = startChild(program('wstunnel'), ['server', address])
    const client = startChild(program('wstunnel'), [
      'client',
      '-R',
      `tcp://${HOST}:${port}:${upstream.host}`,
      address,
    ])
    return Promise.resolve({ server, client, target: web(port) })
  },
}

const PEERS: readonly Peer[] = [piko, frp, rathole, bore, chisel, wstunnel]

export interface RunningPeers extends Running {
  /** Names of those whose programs were not found. */
  readonly skipped: readonly string[]
}

/** Starts every peer whose programs are in one of the folders of `path`, and waits for its first answer. */
export async function startPeers(upstream: string, path: string): Promise<RunningPeers> {
  const running: Running[] = []
  const skipped: string[] = []
  const stop = async () => {
    for (const peer of running) await peer.stop()
  }
  for (const peer of PEERS) {
    const programs = new Map(peer.programs.map((name) => [name, findProgram(name, path)]))
    if ([...programs.values()].includes(null)) {
      skipped.push(peer.name)
      continue
    }
    try {
      running.push(await startPeer(peer, upstream, (name) => programs.get(name)!))
    } catch (error) {
      await stop()
      throw error
    }
  }
  return { subjects: running.flatMap(({ subjects }) => subjects), skipped, stop }
}

async function startPeer(peer: Peer, upstream: string, program: (name: string) => string): Promise<Running> {
  const folder = mkdtempSync(join(tmpdir(), 'wmoc-bench-'))
  const { target, server, client } = await peer.start({
    upstream: new URL(upstream),
    ports: (await freePorts(5)) as [number, number, number, number, number],
    program,
    file(name, text) {
      const path = join(folder, name)
      writeFileSync(path, text)
      return path
    },
  })
  const stop = async () => {
    await client.stop()
    await server.stop()
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    await eventually(peer.name, () => answers(target))
  } catch (error) {
    await stop()
    throw error
  }
  return { subjects: [{ name: peer.name, note: peer.note, target, serverPids: [server.pid] }], stop }
}

/** `fetch` sets no Host of our choosing. */
function answers({ host, port, prefix, headers }: Target): Promise<boolean> {
  return new Promise((resolve, reject) => {
    request({ host, port, path: `${prefix}/data`, headers, timeout: 1_000 }, (response) => {
      response.resume()
      resolve(response.statusCode === 200)
    })
      .once('error', reject)
      .end()
  })
}
