/** The part of a kubelet that answers `kubectl logs`: hands out the lines that a test's process logged. */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { ServerResponse } from 'node:http'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { listen } from '@wmoc/platform/listen'

/** An address of this machine that is none of loopback: the API server connects to no pod and no node there. */
export function ownAddress(): string {
  const found = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)
  if (found === undefined) throw new Error('this test needs a network interface besides loopback')
  return found.address
}

/** @param folder Of a test's API server, for its certificate. */
export async function startLogKubelet(folder: string) {
  const logs = new Map<string, { text: string; readers: Set<ServerResponse> }>()
  const logOf = (pod: string) => {
    const log = logs.get(pod) ?? { text: '', readers: new Set() }
    logs.set(pod, log)
    return log
  }
  const file = (name: string) => readFileSync(join(folder, 'pki', name))
  const server = createServer(
    { cert: file('apiserver.crt'), key: file('apiserver.key') },
    (request, response) => {
      const url = new URL(request.url!, 'https://kubelet')
      const [, call, , pod] = url.pathname.split('/')
      if (call !== 'containerLogs' || pod === undefined || url.searchParams.get('previous') === 'true') {
        response.writeHead(400).end('previous terminated container not found')
        return
      }
      const log = logOf(pod)
      response.writeHead(200, { 'content-type': 'text/plain' })
      response.write(log.text)
      if (url.searchParams.get('follow') !== 'true') {
        response.end()
        return
      }
      log.readers.add(response)
      response.on('close', () => log.readers.delete(response))
    },
  )
  const port = await listen(server, { port: 0, host: '0.0.0.0' })
  return {
    port,
    /** Where the logger of a pod's process writes. */
    streamOf(pod: string): Writable {
      return new Writable({
        write(chunk: Buffer, _encoding, done) {
          const log = logOf(pod)
          log.text += chunk.toString()
          for (const reader of log.readers) reader.write(chunk)
          done()
        },
      })
    },
    async stop() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
