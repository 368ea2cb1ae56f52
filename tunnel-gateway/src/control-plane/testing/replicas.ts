/**
 * Replicas of an API behind one address, as a Service of a cluster has them: the kernel gives each new connection to one
 * of them (SO_REUSEPORT). The lost one is a process that was stopped: its connections open as long as there is room in
 * its backlog, and nobody ever answers; afterwards not even connecting is answered.
 */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

const LOST = `
  const [port, backlog] = process.argv.slice(1).map(Number)
  require('node:net').createServer().listen({ port, backlog, host: '127.0.0.1', reusePort: true }, () => {
    process.stdout.write('listens')
    process.kill(process.pid, 'SIGSTOP')
  })`

/** A replica that answers every call with `answer(path)` as JSON, and counts what it was asked. */
export async function startReplica(answer: (path: string) => unknown) {
  const asked: string[] = []
  const server = createServer((request: IncomingMessage, response) => {
    asked.push(request.url!)
    request.resume().on('end', () => {
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify(answer(request.url!)))
    })
  })
  server.listen({ port: 0, host: '127.0.0.1', reusePort: true })
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    asked,
    async stop() {
      server.close()
      server.closeAllConnections()
      if (server.listening) await once(server, 'close')
    },
  }
}

/** A lost replica on the same port. @param backlog Connections that open all the same. */
export async function startLostReplica(port: number, backlog: number) {
  const child: ChildProcess = spawn(process.execPath, ['-e', LOST, String(port), String(backlog)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout!, 'data')
  return {
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}
