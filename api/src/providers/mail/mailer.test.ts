import { after, before, suite, test } from 'node:test'
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import { firstRow } from '#src/kernel/rows.ts'
import { startApi } from '#src/testing/harness.ts'
import type { TestApi } from '#src/testing/harness.ts'
import { waitFor } from '#src/testing/wait-for.ts'

/** A mail server that says no to the first mail (451) and takes the others; strict about the order of commands. */
function startSmtp(): { server: Server; mails: string[] } {
  const mails: string[] = []
  let refused = false
  const talk = (socket: Socket): void => {
    let input = ''
    let mail: string | null = null
    const say = (line: string) => socket.write(`${line}\r\n`)
    say('220 test')
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      input += chunk.toString()
      for (let end = input.indexOf('\r\n'); end >= 0; end = input.indexOf('\r\n')) {
        const line = input.slice(0, end)
        input = input.slice(end + 2)
        if (mail !== null && line !== '.') mail += `${line}\n`
        else if (mail !== null) {
          mails.push(mail)
          mail = null
          say('250 taken')
        } else if (/^(EHLO|HELO)/.test(line)) say('250 test')
        else if (line.startsWith('RCPT') && !refused) {
          refused = true
          say('451 come back later')
        } else if (/^(MAIL|RCPT|RSET)/.test(line)) say('250 fine')
        else if (line === 'DATA') {
          mail = ''
          say('354 go on')
        } else if (line === 'QUIT') socket.end('221 bye\r\n')
        else say('500 what')
      }
    })
  }
  return { server: createServer(talk), mails }
}

suite('mail', () => {
  const { server, mails } = startSmtp()
  let under: TestApi
  before(async () => {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    under = await startApi({
      env: { SMTP_URL: `smtp://127.0.0.1:${port}`, MAIL_FROM: 'WMOC <from@example.test>' },
    })
  })
  after(async () => {
    await under.close()
    server.close()
  })

  test('goes out through SMTP, again after a temporary no, once', async () => {
    await under
      .client()
      .auth.register({ body: { email: 'anna@example.test', password: 'long enough password' } })
    await waitFor(() => mails.length > 0, 30_000)
    const [mail] = mails
    assert.match(mail ?? '', /^To: .*anna@example\.test/m)
    assert.match(mail ?? '', /^From: WMOC <from@example\.test>$/m)
    assert.match(mail ?? '', /^Subject: Confirm your e-mail$/m)
    await waitFor(async () => {
      const row = await firstRow(
        under.api.kernel.db,
        `SELECT 1 AS n FROM mail_outbox WHERE state = 'sent'`,
        {},
      )
      return row !== null
    })
    assert.equal(mails.length, 1)
  })

  test('shows no outbox where there is a server', async () => {
    assert.equal((await under.request('/api/dev/mail')).status, 404)
  })
})
