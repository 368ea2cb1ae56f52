import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import { testRedis } from './redis.ts'

async function ask(port: number, command: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.write(`${command}\r\n`)
  const [answer] = (await once(socket, 'data')) as [Buffer]
  socket.destroy()
  return answer.toString().trim()
}

test('starts separate servers, and an empty one in the place of a stopped one', async () => {
  const [one, two] = await Promise.all([testRedis(), testRedis()])
  assert.equal(await ask(one.port, 'SET a 1'), '+OK')
  assert.equal(await ask(two.port, 'GET a'), '$-1')
  await one.stop()
  await assert.rejects(ask(one.port, 'GET a'), { code: 'ECONNREFUSED' })
  const again = await testRedis({ port: one.port })
  assert.equal(await ask(again.port, 'GET a'), '$-1')
  await again.stop()
  await two.stop()
})
