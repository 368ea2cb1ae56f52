/** The ingress before several gateways: who gets a request, and what happens where one of them is gone. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import { connect, createServer as createTcpServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { after, before, suite, test } from 'node:test'
import { freePort } from '@wmoc/testkit/free-port'
import { sendRaw } from '@wmoc/testkit/http-raw'
import type { GatewayTarget } from './gateway-pool.ts'
import { startIngress } from './ingress.ts'
import type { Ingress } from './ingress.ts'

interface Gateway extends GatewayTarget {
  readonly server: Server
  isReady: boolean
}

/** Answers with its name, and as the path asks; its readiness is asked for on the same port. */
async function startGateway(shard: string): Promise<Gateway> {
  const server = createServer((request, response) => {
    if (request.url === '/readyz') {
      response.writeHead(gateway.isReady ? 200 : 503).end()
      return
    }
    if (request.url === '/c/trailers') {
      response.writeHead(200, { trailer: 'x-sum' }).write('body')
      response.addTrailers({ 'X-Sum': '7' })
      response.end()
      return
    }
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () =>
      response.end(`${shard} ${request.method} ${body} ${request.rawTrailers.join('=')}`.trim()),
    )
  })
  server.on('checkContinue', (request, response) => {
    if (request.url === '/c/refused') response.writeHead(413).end('too much')
    else {
      response.writeContinue()
      server.emit('request', request, response)
    }
  })
  server.on('upgrade', (request, socket) => {
    if (request.url === '/c/no') {
      socket.write('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n')
      socket.on('data', (chunk: Buffer) => socket.write(`smuggled ${chunk.toString()}`))
      socket.on('end', () => socket.end())
    } else {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
      if (request.url === '/tunnel?stay') {
        socket.write(shard)
        socket.on('end', () => socket.end())
        socket.on('error', () => socket.destroy())
      } else socket.end(shard)
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const gateway: Gateway = { server, isReady: true, shard, host: '127.0.0.1', port, adminPort: port }
  return gateway
}

suite('the ingress before three gateways', () => {
  let gateways: Gateway[]
  let ingress: Ingress

  before(async () => {
    gateways = await Promise.all(['gateway-0', 'gateway-1', 'gateway-2'].map(startGateway))
    ingress = await startIngress({
      port: 0,
      hosts: ['127.0.0.1'],
      portal: (_request, response) => response.end(),
    })
    ingress.open({ api: gateways[0]!, gateways: () => gateways })
  })
  after(async () => {
    await ingress.stop(100)
    for (const { server } of gateways) {
      server.closeAllConnections()
      server.close()
    }
  })

  const ask = async (path = '/c/x', init?: RequestInit) =>
    (await fetch(`http://127.0.0.1:${ingress.port}${path}`, init)).text()
  const raw = (lines: string[], body = '') =>
    sendRaw(ingress.port, `${lines.join('\r\n')}\r\n\r\n${body}`, { timeoutMs: 3_000 })
  const openTunnel = async (query: string) => {
    const { text } = await raw([
      `GET /tunnel${query} HTTP/1.1`,
      'Host: localhost',
      'Connection: Upgrade',
      'Upgrade: websocket',
    ])
    return text.slice(-'gateway-0'.length)
  }

  test('takes them in turn', async () => {
    const counts: Record<string, number> = {}
    for (let n = 0; n < 9; n += 1) {
      const name = (await ask()).split(' ')[0]!
      counts[name] = (counts[name] ?? 0) + 1
    }
    assert.deepEqual(counts, { 'gateway-0': 3, 'gateway-1': 3, 'gateway-2': 3 })
  })

  test('brings a tunnel to the shard that it was told to go to, and to any where that one is not known', async () => {
    for (const name of ['gateway-2', 'gateway-0', 'gateway-2'])
      assert.equal(await openTunnel(`?shard=${name}`), name)
    assert.match(await openTunnel('?shard=gateway-9'), /^gateway-[012]$/)
    assert.match(await openTunnel('?shard=%E0%A4%A'), /^gateway-[012]$/)
  })

  test('brings a tunnel that follows nobody to where the fewest are, and counts those that ended no more', async () => {
    const open: Socket[] = []
    const arrivals = async () => {
      const socket = connect(ingress.port, '127.0.0.1')
      open.push(socket)
      socket.write(
        'GET /tunnel?stay HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
      )
      const [answer] = (await once(socket, 'data')) as [Buffer]
      return answer.toString().slice(-'gateway-0'.length)
    }
    const first = [await arrivals(), await arrivals(), await arrivals()]
    assert.deepEqual(first.toSorted(), ['gateway-0', 'gateway-1', 'gateway-2'])
    for (let n = 0; n < 3; n += 1) await ask()
    const closed = once(open[1]!, 'close')
    open[1]!.destroy()
    await closed
    await new Promise((resolve) => setTimeout(resolve, 100))
    assert.equal(await arrivals(), first[1])
    for (const socket of open) socket.destroy()
  })

  test('sends nothing to a gateway that is not ready, and again when it is', async () => {
    gateways[1]!.isReady = false
    const names = async () => {
      const found = new Set<string>()
      for (let n = 0; n < 6; n += 1) found.add((await ask()).split(' ')[0]!)
      return [...found].toSorted()
    }
    const until = async (wanted: string[]) => {
      for (let n = 0; n < 100 && (await names()).join() !== wanted.join(); n += 1)
        await new Promise((resolve) => setTimeout(resolve, 50))
      assert.deepEqual(await names(), wanted)
    }
    await until(['gateway-0', 'gateway-2'])
    assert.match(await openTunnel('?shard=gateway-1'), /^gateway-[02]$/)
    gateways[1]!.isReady = true
    await until(['gateway-0', 'gateway-1', 'gateway-2'])
  })

  test('tries the next where a connection is refused: the request arrives once, with its body', async () => {
    const dead = await freePort()
    const [, , alive] = gateways
    const around = await startIngress({
      port: 0,
      hosts: ['127.0.0.1'],
      portal: (_request, response) => response.end(),
    })
    const nobody = { host: '127.0.0.1', port: dead, adminPort: dead }
    around.open({
      api: alive!,
      gateways: () => [{ ...nobody, shard: 'gateway-0' }, { ...nobody, shard: 'gateway-1' }, alive!],
    })
    try {
      const body = 'b'.repeat(200_000)
      for (let n = 0; n < 4; n += 1) {
        const answer = await fetch(`http://127.0.0.1:${around.port}/c/x`, { method: 'POST', body })
        assert.equal(await answer.text(), `gateway-2 POST ${body}`)
      }
      const { text } = await sendRaw(
        around.port,
        'GET /tunnel?shard=gateway-0 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
      )
      assert.ok(text.endsWith('gateway-2'))
    } finally {
      await around.stop(100)
    }
  })

  test('T19: repeats nothing once a connection was open', async (t) => {
    let taken = 0
    const rude = createTcpServer((socket) => {
      socket.once('data', () => {
        taken += 1
        socket.destroy()
      })
    })
    rude.listen(0, '127.0.0.1')
    await once(rude, 'listening')
    t.after(() => rude.close())
    const { port } = rude.address() as AddressInfo
    const around = await startIngress({
      port: 0,
      hosts: ['127.0.0.1'],
      portal: (_request, response) => response.end(),
    })
    const target = { host: '127.0.0.1', port, adminPort: port }
    around.open({
      api: target,
      gateways: () => [
        { ...target, shard: 'gateway-0' },
        { ...target, shard: 'gateway-1' },
      ],
    })
    const answer = await fetch(`http://127.0.0.1:${around.port}/c/x`, { method: 'POST', body: 'once' })
    assert.equal(answer.status, 502)
    assert.equal(taken, 1)
    await around.stop(100)
  })

  test('asks for a body only when the gateway does', async () => {
    const head = (path: string) => [
      `POST ${path} HTTP/1.1`,
      'Host: localhost',
      'Content-Length: 4',
      'Expect: 100-continue',
    ]
    const refused = await raw(head('/c/refused'))
    assert.deepEqual(refused.statuses, [413])
    assert.ok(refused.isClosed)
    const taken = await sendRaw(ingress.port, [`${head('/c/x').join('\r\n')}\r\n\r\n`, 'body'], {
      timeoutMs: 3_000,
      pauseMs: 100,
      responses: 2,
    })
    assert.deepEqual(taken.statuses, [100, 200])
    assert.match(taken.text, /POST body/)
  })

  test('passes trailers in both directions', async () => {
    const answer = await raw(['GET /c/trailers HTTP/1.1', 'Host: localhost', 'Connection: close'])
    assert.match(answer.text, /\r\n0\r\nX-Sum: 7\r\n\r\n$/i)
    const asked = await raw(
      ['POST /c/x HTTP/1.1', 'Host: localhost', 'Transfer-Encoding: chunked', 'Connection: close'],
      '4\r\nbody\r\n0\r\nX-Sum: 7\r\n\r\n',
    )
    assert.match(asked.text, /POST body X-Sum=7/i)
  })

  test('P11: lets nothing through a pipe that the gateway refused to open', async () => {
    const second = 'GET /c/second HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n'
    const answer = await raw(
      ['GET /c/no HTTP/1.1', 'Host: localhost', 'Connection: Upgrade', 'Upgrade: websocket'],
      second,
    )
    assert.deepEqual(answer.statuses, [404])
    assert.doesNotMatch(answer.text, /smuggled/)
    assert.ok(answer.isClosed)
  })
})
