/** Controllers that are somebody's already, without the steps that a person takes for each: for demonstrations and load. */
import { randomBytes } from 'node:crypto'
import { Client } from 'pg'
import { pageLabelFrom } from '../../api/src/modules/controllers/core/user-code.ts'
import { createDeviceSecrets } from '../../api/src/modules/controllers/secrets.ts'
import { uuidv7 } from '@wmoc/platform/ids'

export interface DeviceCredential {
  readonly controller_id: string
  readonly secret: string
}

/**
 * Adds `count` active controllers to the workspace of the person with this address, who must be there.
 * @param credentialKey `DEVICE_CREDENTIAL_KEY` of the platform.
 */
export async function provision(options: {
  databaseUrl: string
  credentialKey: string
  email: string
  count: number
  /** Of the controllers, with a number after it, all of one length: lists sort by name. */
  name: string
}): Promise<DeviceCredential[]> {
  const secrets = createDeviceSecrets(options.credentialKey)
  const made = Array.from({ length: options.count }, () => ({
    id: uuidv7(),
    label: pageLabelFrom(randomBytes(16)),
    ...secrets.issue(),
  }))
  const client = new Client({ connectionString: options.databaseUrl })
  await client.connect()
  try {
    const { rowCount } = await client.query(
      `INSERT INTO controllers (id, user_id, workspace_id, name, is_active, activated_at, status, status_since, page_label,
         verifier_current, created_at, updated_at)
       SELECT d.id, u.id, w.id, d.name, true, now(), 'offline', now(), d.label, d.verifier, now(), now()
       FROM unnest($1::uuid[], $2::text[], $3::text[], $5::text[]) AS d (id, label, verifier, name),
         users u JOIN workspaces w ON w.owner_id = u.id
       WHERE u.email = $4`,
      [
        made.map(({ id }) => id),
        made.map(({ label }) => label),
        made.map(({ verifier }) => verifier),
        options.email,
        made.map(
          (_, index) => `${options.name} ${String(index + 1).padStart(String(options.count).length, '0')}`,
        ),
      ],
    )
    if (rowCount !== options.count) throw new Error(`${options.email} has no workspace, or more than one`)
  } finally {
    await client.end()
  }
  return made.map(({ id, secret }) => ({ controller_id: id, secret }))
}
