import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { sha256Hex, uuidv7 } from '@wmoc/platform/ids'
import { GATEWAY_CHANNEL } from '@wmoc/protocol/control-plane'
import { verifyAuditLog } from '#src/kernel/audit.ts'
import { rows } from '#src/kernel/rows.ts'
import { MAX_SHARES } from '#src/modules/controllers/shares.ts'
import { startApi } from '#src/testing/harness.ts'
import type { TestApi, TestUser } from '#src/testing/harness.ts'
import { waitFor } from '#src/testing/wait-for.ts'
import { MAX_LINKS } from './links.ts'

const notices: Record<string, unknown>[] = []
let under: TestApi
let owner: TestUser
let id: string

before(async () => {
  under = await startApi({ worker: false })
  owner = await under.buildUser({ tier: 'premium' })
  ;({ id } = await under.buildController(owner, { name: 'Boiler' }))
  await under.api.kernel.store.subscribe(GATEWAY_CHANNEL, (text) => {
    notices.push(JSON.parse(text) as Record<string, unknown>)
  })
})
after(() => under.close())

const as = (user: TestUser) => under.client(user).sharing
const params = () => ({ id })
const mailsTo = (email: string) =>
  rows<{ subject: string; text: string }>(
    under.api.kernel.db,
    'SELECT subject, text_body AS text FROM mail_outbox WHERE recipient = $email',
    { email },
  )
const told = (notice: object) =>
  waitFor(() => notices.some((got) => JSON.stringify(got) === JSON.stringify(notice)))
const roleOf = async (user: TestUser) =>
  (await under.internal('access/check', { checks: [{ userId: user.userId, controllerId: id }] })).roles[0]

suite('sharing with people', () => {
  test('shows the controller to somebody with an account at once, as a viewer, until it is ended', async () => {
    const friend = await under.buildUser()
    const share = await as(owner).share({
      params: params(),
      body: { email: ` ${friend.email.toUpperCase()}` },
    })
    assert.equal(share.email, friend.email)
    assert.equal(await roleOf(friend), 'viewer')
    assert.equal((await under.client(friend).controllers.get({ params: params() })).role, 'viewer')
    const [mail] = await mailsTo(friend.email)
    assert.match(mail!.text, new RegExp(`${owner.email}.*Boiler.*/controllers/${id}`, 's'))
    await as(owner).unshare({ params: { id, shareId: share.id } })
    assert.equal(await roleOf(friend), null)
    await told({ type: 'access_changed', userId: friend.userId, controllerId: id })
    await assert.rejects(as(owner).unshare({ params: { id, shareId: share.id } }), { code: 'not_found' })
  })

  test('U3: answers and lists the same for an e-mail that nobody has', async () => {
    const friend = await under.buildUser()
    const nobody = `${uuidv7()}@example.test`
    const known = await as(owner).share({ params: params(), body: { email: friend.email } })
    const unknown = await as(owner).share({ params: params(), body: { email: nobody } })
    assert.deepEqual(Object.keys(unknown).toSorted(), Object.keys(known).toSorted())
    assert.equal((await mailsTo(nobody)).length, 1)
    const { items } = await as(owner).listShares({ params: params() })
    assert.deepEqual(
      items.filter(({ email }) => email === friend.email || email === nobody).map(({ email }) => email),
      [friend.email, nobody].toSorted(),
    )
  })

  test('waits for an account whose e-mail is confirmed, not only claimed', async () => {
    const email = `${uuidv7()}@example.test`
    const share = await as(owner).share({ params: params(), body: { email } })
    const { users } = under.api.modules.auth
    const { shares } = under.api.modules.controllers
    const made = await under.api.kernel.db.transaction((transaction) =>
      users.create(
        { email, passwordHash: null, name: '', locale: 'en', emailVerified: false, tier: 'free' },
        transaction,
      ),
    )
    const ask = { checks: [{ userId: made!.userId, controllerId: id }] }
    await shares.settle()
    assert.deepEqual((await under.internal('access/check', ask)).roles, [null])
    await under.api.kernel.db.query('UPDATE users SET email_verified_at = now() WHERE email = $email', {
      bind: { email },
    })
    await shares.settle()
    assert.deepEqual((await under.internal('access/check', ask)).roles, ['viewer'])
    const { items } = await as(owner).listShares({ params: params() })
    assert.deepEqual(items.find((item) => item.email === email)?.id, share.id)
  })

  test('keeps one share where a declaration gave the same person access before the e-mail was confirmed', async () => {
    const friend = await under.buildUser()
    const { db } = under.api.kernel
    await db.query('UPDATE users SET email_verified_at = NULL WHERE id = $id', {
      bind: { id: friend.userId },
    })
    await as(owner).share({ params: params(), body: { email: friend.email } })
    await db.query(
      'INSERT INTO controller_shares (controller_id, user_id, created_at) VALUES ($id, $userId, now())',
      { bind: { id, userId: friend.userId } },
    )
    await db.query('UPDATE users SET email_verified_at = now() WHERE id = $id', {
      bind: { id: friend.userId },
    })
    await under.api.modules.controllers.shares.settle()
    const { items } = await as(owner).listShares({ params: params() })
    assert.equal(items.filter(({ email }) => email === friend.email).length, 1)
    assert.equal(await roleOf(friend), 'viewer')
  })

  test('a repeat mails nobody again', async () => {
    const email = `${uuidv7()}@example.test`
    const first = await as(owner).share({ params: params(), body: { email } })
    assert.deepEqual(await as(owner).share({ params: params(), body: { email } }), first)
    assert.equal((await mailsTo(email)).length, 1)
  })

  test('again and again, fills nobody’s mailbox, and a name makes no text of its own in it', async () => {
    const email = `${uuidv7()}@example.test`
    const { id: other } = await under.buildController(owner, { name: 'Pump\n\nYou have won' })
    for (let round = 0; round < 8; round += 1) {
      const { id: shareId } = await as(owner).share({ params: { id: other }, body: { email } })
      await as(owner).unshare({ params: { id: other, shareId } })
    }
    const mails = await mailsTo(email)
    assert.equal(mails.length, 5)
    assert.ok(mails.every(({ text }) => text.includes('Pump You have won')))
  })

  test('has a limit, also for those who ask at once', async () => {
    const { id: other } = await under.buildController(owner, { name: 'Popular' })
    const { db } = under.api.kernel
    await db.query(
      `INSERT INTO controller_shares (controller_id, email, created_at)
       SELECT $other, 'p' || n || '@example.test', now() FROM generate_series(1, $count) AS n`,
      { bind: { other, count: MAX_SHARES - 2 } },
    )
    const asked = await Promise.allSettled(
      Array.from({ length: 5 }, () =>
        as(owner).share({ params: { id: other }, body: { email: `${uuidv7()}@example.test` } }),
      ),
    )
    assert.equal(asked.filter(({ status }) => status === 'fulfilled').length, 2)
  })

  test('is for owners and admins: a viewer may neither look at the list nor share on', async () => {
    const friend = await under.buildUser()
    await as(owner).share({ params: params(), body: { email: friend.email } })
    const mine = as(friend)
    await assert.rejects(mine.listShares({ params: params() }), { code: 'forbidden' })
    await assert.rejects(mine.share({ params: params(), body: { email: 'a@example.test' } }), {
      code: 'forbidden',
    })
    await assert.rejects(mine.createLink({ params: params(), body: { scope: 'use' } }), { code: 'forbidden' })
  })
})

suite('links for guests', () => {
  const make = async (scope: 'view' | 'use' = 'view', ttlSec = 3_600) => {
    const { link, url } = await as(owner).createLink({ params: params(), body: { scope, ttlSec } })
    return { link, token: new URL(url).hash.slice(1), url }
  }
  const check = async (controllerId: string, token: string) =>
    (await under.internal('page-links/check', { controllerId, tokenHash: sha256Hex(token) })).link

  test('are good for one controller, with their scope, until they run out', async () => {
    const { link, token, url } = await make('use', 60)
    assert.equal(url, `${under.config.PUBLIC_URL}/shared/${id}#${token}`)
    const { id: other } = await under.buildController(owner, { name: 'Other' })
    const good = await check(id, token)
    assert.equal(good?.id, link.id)
    assert.equal(good?.scope, 'use')
    assert.equal(good?.expiresAt, Date.parse(link.expiresAt))
    assert.equal(await check(other, token), null)
    assert.equal(await check(id, `${token}x`), null)
    const body = { controllerId: id, token }
    assert.equal((await under.client().sharing.resolveLink({ body })).name, 'Boiler')
    under.advance(61_000)
    assert.equal(await check(id, token), null)
    assert.deepEqual((await under.internal('page-links/alive', { linkIds: [link.id] })).alive, [false])
    await assert.rejects(under.client().sharing.resolveLink({ body }), { code: 'not_found' })
    assert.ok(!(await as(owner).listLinks({ params: params() })).items.some((item) => item.id === link.id))
  })

  test('end at once when they are withdrawn, and the gateway is told', async () => {
    const [{ link, token }, { link: stays }] = [await make(), await make()]
    const ids = [link.id, uuidv7(), stays.id]
    const alive = async () => (await under.internal('page-links/alive', { linkIds: ids })).alive
    assert.deepEqual(await alive(), [true, false, true])
    await as(owner).removeLink({ params: { id, linkId: link.id } })
    assert.deepEqual(await alive(), [false, false, true])
    assert.equal(await check(id, token), null)
    await told({ type: 'page_link_ended', linkIds: [link.id] })
  })

  test('end with the access that they were made under, and with the controller', async () => {
    const { id: gone } = await under.buildController(owner, { name: 'Gone' })
    const { link, url } = await as(owner).createLink({ params: { id: gone }, body: { scope: 'view' } })
    const token = new URL(url).hash.slice(1)
    const { db } = under.api.kernel
    const setEpoch = (change: string) =>
      db.query(`UPDATE controllers SET access_epoch = access_epoch ${change} WHERE id = $gone`, {
        bind: { gone },
      })
    await setEpoch('+ 1')
    assert.equal(await check(gone, token), null)
    await setEpoch('- 1')
    assert.notEqual(await check(gone, token), null)
    await under.client(owner).controllers.remove({ params: { id: gone } })
    assert.equal(await check(gone, token), null)
    assert.deepEqual((await under.internal('page-links/alive', { linkIds: [link.id] })).alive, [false])
  })

  test('are stored hashed, shown once, and told to nobody else', async () => {
    const { token } = await make()
    const { db } = under.api.kernel
    const [{ hits } = { hits: -1 }] = await rows<{ hits: number }>(
      db,
      `SELECT (SELECT count(*) FROM page_links t WHERE t::text LIKE $like)::int
         + (SELECT count(*) FROM audit_log t WHERE t::text LIKE $like)::int AS hits`,
      { like: `%${token}%` },
    )
    assert.equal(hits, 0)
    const { items } = await as(owner).listLinks({ params: params() })
    assert.ok(!JSON.stringify(items).includes(token))
  })

  test('last 30 days at most', async () => {
    const create = (ttlSec: number) =>
      as(owner).createLink({ params: params(), body: { scope: 'view', ttlSec } })
    await assert.rejects(create(2_592_001), { code: 'validation_failed' })
    await assert.rejects(create(59), { code: 'validation_failed' })
    await create(2_592_000)
  })

  test('are so many and no more, and those that ran out make room', async () => {
    const { id: other } = await under.buildController(owner, { name: 'Busy' })
    const { db } = under.api.kernel
    await db.query(
      `INSERT INTO page_links (id, controller_id, token_hash, scope, access_epoch, created_at, expires_at)
       SELECT gen_random_uuid(), $other, md5(n::text), 'view', 1, now(), now() + interval '1 day'
       FROM generate_series(1, $count) AS n`,
      { bind: { other, count: MAX_LINKS - 1 } },
    )
    const create = () => as(owner).createLink({ params: { id: other }, body: { scope: 'view' } })
    const asked = await Promise.allSettled([create(), create(), create()])
    assert.equal(asked.filter(({ status }) => status === 'fulfilled').length, 1)
    await db.query(`UPDATE page_links SET expires_at = now() - interval '1 s' WHERE controller_id = $other`, {
      bind: { other },
    })
    await create()
  })

  test('are told once to who repeats the request', async () => {
    const send = () =>
      under.request(`/api/controllers/${id}/page-links`, {
        method: 'POST',
        as: owner,
        headers: { 'content-type': 'application/json', 'idempotency-key': 'same' },
        body: JSON.stringify({ scope: 'view' }),
      })
    const [first, second] = [await (await send()).json(), await (await send()).json()]
    assert.deepEqual(second, first)
  })
})

test('what was shared and ended stands in the audit log, without a token', async () => {
  const found = await rows<{ action: string }>(
    under.api.kernel.db,
    'SELECT DISTINCT action FROM audit_log WHERE target = $target ORDER BY action',
    { target: `controller:${id}` },
  )
  const actions = found.map(({ action }) => action)
  for (const action of ['shared', 'unshared', 'link_created', 'link_withdrawn'])
    assert.ok(actions.includes(`controller.${action}`), action)
  assert.equal((await verifyAuditLog(under.api.kernel.db)).brokenAt, null)
})
