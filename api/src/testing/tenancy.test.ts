/** U9, generated from the contracts: what belongs to one person is, for another, not there. */
import { after, before, suite, test } from 'node:test'
import assert from 'node:assert/strict'
import { uuidv7 } from '@wmoc/platform/ids'
import type { RouteDescription } from '#src/kernel/contract.ts'
import { urlOf } from '#src/kernel/client.ts'
import { roleAllows } from '#src/kernel/permissions.ts'
import { rows } from '#src/kernel/rows.ts'
import { CONTRACTS } from '#src/modules.ts'
import { insertMember } from './plain-rows.ts'
import { startApi } from './harness.ts'
import type { TestApi, TestUser } from './harness.ts'

const ROUTES: readonly { id: string; route: RouteDescription }[] = Object.values(CONTRACTS).flatMap(
  (contract) =>
    Object.entries(contract.routes).map(([name, route]) => ({ id: `${contract.name}.${name}`, route })),
)
const SCOPED = ROUTES.filter(({ route }) => route.path.includes('/:'))
const OWN = ROUTES.filter(({ route }) => !route.path.includes('/:') && route.access !== 'public')

/** A body that the owner could send; a scoped route with a body and without a line here fails the suite. */
const BODIES: Readonly<Record<string, object>> = {
  'controllers.update': { name: 'Mine now', tags: ['stolen'] },
  'commands.send': { name: 'reboot', params: {} },
  'sharing.share': { email: 'thief@example.test' },
  'sharing.createLink': { scope: 'use' },
}

/** Queries of routes that name controllers outside their path. */
const QUERIES: Readonly<Record<string, (owned: Owned) => object>> = {
  'events.stream': ({ controllerId }) => ({ logs: controllerId, metrics: controllerId }),
}

interface Owned {
  readonly controllerId: string
  readonly commandId: string
  readonly notificationId: string
  readonly sessionId: string
  readonly viewId: string
  readonly shareId: string
  readonly linkId: string
}

suite('U9: a second person', () => {
  let under: TestApi
  let stranger: TestUser
  let viewer: TestUser
  let owned: Owned

  before(async () => {
    under = await startApi({ worker: false })
    const owner = await under.buildUser()
    stranger = await under.buildUser()
    owned = await build(under, owner)
    viewer = await under.buildUser()
    await insertMember(under.api.kernel.db, owner.workspaceId, viewer.userId, 'viewer')
  })
  after(() => under.close())

  for (const { id, route } of SCOPED) {
    test(`gets 404 from ${route.method} ${route.path}, the same as for an id of nobody, and changes no row`, async () => {
      if (route.body) assert.ok(BODIES[id], `no body is known for ${id}`)
      const prints = await fingerprint(under)
      const foreign = await call(under, stranger, id, route, paramsOf(route, owned))
      const unknown = await call(under, stranger, id, route, paramsOf(route, null))
      assert.equal(foreign.status, 404)
      assert.deepEqual(foreign, unknown)
      assert.deepEqual(await fingerprint(under), prints)
    })
  }

  for (const { id, route } of OWN) {
    if (route.method !== 'GET') continue
    test(`sees nothing of the first in ${route.path}`, async () => {
      const query = QUERIES[id]?.(owned) ?? {}
      const abort = new AbortController()
      const response = await under.request(urlOf(route.path, { query }), {
        as: stranger,
        signal: abort.signal,
      })
      const text = route.stream && response.ok ? await firstBytes(response, abort) : await response.text()
      for (const secret of Object.values(owned))
        assert.ok(!text.includes(String(secret)), `${id} shows ${secret}`)
      if (QUERIES[id]) assert.equal(response.status, 404)
    })
  }

  for (const { id, route } of SCOPED) {
    const { access } = route
    if (access === 'public' || access === 'user') continue
    test(`as a viewer of the workspace may ${roleAllows('viewer', access) ? '' : 'not '}${route.method} ${route.path}`, async () => {
      const prints = await fingerprint(under)
      const { status } = await call(under, viewer, id, route, paramsOf(route, owned))
      if (roleAllows('viewer', access)) assert.equal(status, route.status)
      else {
        assert.equal(status, 403)
        assert.deepEqual(await fingerprint(under), prints)
      }
    })
  }

  test('without a token gets 401 from every route that is not public', async () => {
    const prints = await fingerprint(under)
    for (const { id, route } of [...SCOPED, ...OWN]) {
      const answer = await call(under, undefined, id, route, paramsOf(route, owned))
      assert.equal(answer.status, 401, id)
    }
    assert.deepEqual(await fingerprint(under), prints)
  })
})

async function build(under: TestApi, owner: TestUser): Promise<Owned> {
  const { id: controllerId } = await under.buildController(owner, { name: 'Boiler' })
  const client = under.client(owner)
  const command = await client.commands.send({ params: { id: controllerId }, body: { name: 'reboot' } })
  const view = await client.controllers.createView({
    body: { name: 'Mine', filters: { q: 'Boiler', status: null, tags: [], sort: 'name' } },
  })
  const notificationId = uuidv7()
  await rows(
    under.api.kernel.db,
    `INSERT INTO notifications (id, user_id, workspace_id, type, title, message, dedupe_key, created_at)
     VALUES ($id, $userId, $workspaceId, 'controller_claimed', 'T', 'M', 'test', now())`,
    { id: notificationId, userId: owner.userId, workspaceId: owner.workspaceId },
  )
  const params = { id: controllerId }
  const share = await client.sharing.share({ params, body: { email: 'friend@example.test' } })
  const { link } = await client.sharing.createLink({ params, body: { scope: 'view' } })
  return {
    controllerId,
    commandId: command.id,
    notificationId,
    sessionId: owner.sessionId,
    viewId: view.id,
    shareId: share.id,
    linkId: link.id,
  }
}

/** The owner's ids in the places of the path, or ids of nobody. */
function paramsOf(route: RouteDescription, owned: Owned | null): Record<string, string> {
  const kind = route.path.split('/')[2] ?? ''
  const byKind: Record<string, string | undefined> = {
    controllers: owned?.controllerId,
    notifications: owned?.notificationId,
    auth: owned?.sessionId,
  }
  const byName: Record<string, string | undefined> = {
    commandId: owned?.commandId,
    viewId: owned?.viewId,
    shareId: owned?.shareId,
    linkId: owned?.linkId,
  }
  const names = [...route.path.matchAll(/:([A-Za-z]+)/g)].map(([, name]) => name ?? '')
  return Object.fromEntries(
    names.map((name) => {
      const value = name === 'id' ? byKind[kind] : name in byName ? byName[name] : null
      assert.notEqual(value, null, `no fixture for :${name} of ${route.path}`)
      if (owned === null) return [name, uuidv7()]
      assert.ok(value, `no fixture for ${route.path}`)
      return [name, value]
    }),
  )
}

async function call(
  under: TestApi,
  as: TestUser | undefined,
  id: string,
  route: RouteDescription,
  params: object,
): Promise<{ status: number; body: unknown }> {
  const body = BODIES[id]
  const response = await under.request(urlOf(route.path, { params }), {
    method: route.method,
    ...(as ? { as } : {}),
    ...(body ? { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } } : {}),
  })
  const text = await response.text()
  const { requestId: _, ...problem } = JSON.parse(text === '' ? '{}' : text) as Record<string, unknown>
  return { status: response.status, body: problem }
}

/** Count and hash of every table. */
async function fingerprint(under: TestApi): Promise<Record<string, string>> {
  const { db } = under.api.kernel
  const tables = await rows<{ name: string }>(
    db,
    `SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname IN ('public', 'pgboss') AND c.relkind IN ('r', 'p') AND c.relname NOT IN ('queue', 'version')
     ORDER BY 1`,
    {},
  )
  const entries = tables.map(async ({ name }) => {
    const [row] = await rows<{ print: string }>(
      db,
      `SELECT count(*) || ' ' || coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), '') AS print FROM ${name} t`,
      {},
    )
    return [name, row?.print ?? ''] as const
  })
  return Object.fromEntries(await Promise.all(entries))
}

/** What a stream says at once. */
async function firstBytes(response: Response, abort: AbortController): Promise<string> {
  setTimeout(() => abort.abort(), 500)
  let text = ''
  try {
    for await (const chunk of response.body ?? []) text += Buffer.from(chunk).toString()
  } catch {
    // The abort.
  }
  return text
}
