/** Other tunnels found on the PATH, each with a server and a client on loopback, as their documents set them up. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findProgram } from '../../scripts/start/leash.ts'
import { freePorts } from '../../scripts/start/ports.ts'
import { type BenchChild, eventually, startChild } from '../children.ts'
import type { Subject, Target } from '../plan.ts'

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
    return { server, client, target: { host: HOST, port: proxy, path: '/data', headers } }
  },
}

const frp: Peer = {
  name: 'frp',
  note: 'HTTP proxy chosen by host; token',
  programs: ['frps', 'frpc'],
  async start({ upstream, ports: [web, bind], file, program }) {
    const serverFile = file(
      'frps.toml',
      `bindAddr = "${HOST}"\nbindPort = ${bind}\nproxyBindAddr = "${HOST}"\nvhostHTTPPort = ${web}\nauth.token = "bench"\nlog.level = "warn"\n`,
    )
    const clientFile = file(
      'frpc.toml',
      `serverAddr = "${HOST}"\nserverPort = ${bind}\nauth.token = "bench"\nlog.level = "warn"\nloginFailExit = false\n` +
        `[[proxies]]\nname = "bench"\ntype = "http"\nlocalIP = "${upstream.hostname}"\nlocalPort = ${upstream.port}\ncustomDomains = ["bench.test"]\n`,
    )
    const server = startChild(program('frps'), ['-c', serverFile])
    const client = startChild(program('frpc'), ['-c', clientFile])
    return {
      server,
      client,
      target: { host: HOST, port: web, path: '/data', headers: { Host: 'bench.test' } },
    }
  },
}

const rathole: Peer = {
  name: 'rathole',
  note: 'a TCP port, no HTTP: it reads nothing of the request; token',
  programs: ['rathole'],
  async start({ upstream, ports: [web, bind], file, program }) {
    const serverFile = file(
      'server.toml',
      `[server]\nbind_addr = "${HOST}:${bind}"\ndefault_token = "bench"\n[server.services.bench]\nbind_addr = "${HOST}:${web}"\n`,
    )
    const clientFile = file(
      'client.toml',
      `[client]\nremote_addr = "${HOST}:${bind}"\ndefault_token = "bench"\n[client.services.bench]\nlocal_addr = "${upstream.host}"\n`,
    )
    const server = startChild(program('rathole'), ['--server', serverFile])
    const client = startChild(program('rathole'), ['--client', clientFile])
    return {
      server,
      client,
      target: { host: HOST, port: web, path: '/data', headers: { Host: 'bench.test' } },
    }
  },
}

export const PEERS: readonly Peer[] = [piko, frp, rathole]

/** Starts a peer and waits for its first answer; null where its programs are not on the PATH. */
export async function startPeer(peer: Peer, upstream: string): Promise<Subject | null> {
  const paths = new Map(peer.programs.map((name) => [name, findProgram(name)]))
  if ([...paths.values()].includes(null)) return null
  const folder = mkdtempSync(join(tmpdir(), 'wmoc-bench-'))
  const { target, server, client } = await peer.start({
    upstream: new URL(upstream),
    ports: (await freePorts(5)) as [number, number, number, number, number],
    program: (name) => paths.get(name)!,
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
  return { name: peer.name, note: peer.note, target, serverPid: server.pid, stop }
}

/** `fetch` sets no Host of our choosing. */
function answers(target: Target): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const { host, port, path, headers } = target
    request({ host, port, path, headers, timeout: 1_000 }, (response) => {
      response.resume()
      resolve(response.statusCode === 200)
    })
      .once('error', reject)
      .end()
  })
}
