import type { Sequelize } from 'sequelize'

/**
 * Controllers, the codes that devices show to be claimed, and the history of connections. A deleted controller keeps
 * its row only until the purge job has removed what hangs on it; its MAC, label and secrets are gone at once.
 */
export async function up({ context: db }: { context: Sequelize }): Promise<void> {
  await db.query(`
    CREATE TABLE controllers (
      id uuid PRIMARY KEY,
      user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
      workspace_id uuid NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
      mac_address varchar(17) UNIQUE,
      firmware_version varchar(50),
      activation_token varchar(255) UNIQUE,
      activation_expires_at timestamptz,
      is_active boolean NOT NULL DEFAULT false,
      activated_at timestamptz,
      last_seen_at timestamptz,
      name varchar(100) NOT NULL,
      tags text[] NOT NULL DEFAULT '{}',
      metadata jsonb NOT NULL DEFAULT '{}',
      device_metadata jsonb NOT NULL DEFAULT '{}',
      model varchar(100),
      status varchar(10) NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'online', 'offline')),
      status_since timestamptz,
      session_epoch bigint NOT NULL DEFAULT 0,
      page_label varchar(16) NOT NULL UNIQUE,
      access_epoch integer NOT NULL DEFAULT 1,
      verifier_current varchar(64),
      verifier_next varchar(64),
      rotation_pending boolean NOT NULL DEFAULT false,
      rotation_nonce varchar(64),
      version integer NOT NULL DEFAULT 1,
      deleted_at timestamptz,
      created_at timestamptz NOT NULL,
      updated_at timestamptz NOT NULL
    );
    CREATE INDEX controllers_by_name ON controllers (workspace_id, lower(name), id) WHERE deleted_at IS NULL;
    CREATE INDEX controllers_by_age ON controllers (workspace_id, created_at, id) WHERE deleted_at IS NULL;
    CREATE INDEX controllers_by_tag ON controllers USING gin (tags) WHERE deleted_at IS NULL;
    CREATE INDEX controllers_online ON controllers (id) WHERE status = 'online';
    CREATE INDEX controllers_waiting ON controllers (activation_expires_at) WHERE NOT is_active;
    CREATE INDEX controllers_deleted ON controllers (deleted_at) WHERE deleted_at IS NOT NULL;

    CREATE TABLE device_claims (
      id uuid PRIMARY KEY,
      code_hash varchar(64) NOT NULL UNIQUE,
      claim_secret_hash varchar(64) NOT NULL,
      mac_address varchar(17),
      firmware_version varchar(50),
      model varchar(100),
      device_metadata jsonb NOT NULL DEFAULT '{}',
      remote_address varchar(64) NOT NULL,
      tries integer NOT NULL DEFAULT 0,
      last_tried_by uuid REFERENCES users (id) ON DELETE SET NULL,
      expires_at timestamptz NOT NULL,
      confirmed_by uuid REFERENCES users (id) ON DELETE CASCADE,
      confirmed_at timestamptz,
      controller_id uuid REFERENCES controllers (id) ON DELETE CASCADE,
      collected_at timestamptz,
      created_at timestamptz NOT NULL
    );
    CREATE INDEX device_claims_expiry ON device_claims (expires_at);

    CREATE TABLE controller_sessions (
      id uuid PRIMARY KEY,
      controller_id uuid NOT NULL REFERENCES controllers (id) ON DELETE CASCADE,
      websocket_id varchar(255) NOT NULL UNIQUE,
      connected_at timestamptz NOT NULL,
      disconnected_at timestamptz,
      epoch bigint NOT NULL,
      shard varchar(100) NOT NULL,
      remote_address varchar(64),
      firmware_version varchar(50),
      reason varchar(100)
    );
    CREATE INDEX controller_sessions_newest ON controller_sessions (controller_id, connected_at DESC);
    CREATE INDEX controller_sessions_open ON controller_sessions (controller_id, epoch) WHERE disconnected_at IS NULL;
    CREATE INDEX controller_sessions_age ON controller_sessions (disconnected_at);
  `)
}

export async function down({ context: db }: { context: Sequelize }): Promise<void> {
  await db.query('DROP TABLE controller_sessions, device_claims, controllers')
}
