import type { Sequelize } from 'sequelize'

/** People, their workspaces and what they may do there. Every other row of the platform belongs to a workspace. */
export async function up({ context: db }: { context: Sequelize }): Promise<void> {
  await db.query(`
    CREATE TABLE users (
      id uuid PRIMARY KEY,
      email varchar(255) NOT NULL UNIQUE,
      password_hash varchar(255),
      name varchar(100) NOT NULL DEFAULT '',
      locale varchar(5) NOT NULL DEFAULT 'en',
      theme varchar(10) NOT NULL DEFAULT 'system',
      email_verified_at timestamptz,
      subscription_tier varchar(50) NOT NULL DEFAULT 'free' CHECK (subscription_tier IN ('free', 'basic', 'premium')),
      subscription_expires_at timestamptz,
      created_at timestamptz NOT NULL,
      updated_at timestamptz NOT NULL
    );

    CREATE TABLE workspaces (
      id uuid PRIMARY KEY,
      name varchar(100) NOT NULL,
      owner_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
      created_at timestamptz NOT NULL,
      updated_at timestamptz NOT NULL
    );
    CREATE INDEX workspaces_owner ON workspaces (owner_id);

    CREATE TABLE memberships (
      workspace_id uuid NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
      user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
      role varchar(10) NOT NULL CHECK (role IN ('owner', 'admin', 'operator', 'viewer')),
      created_at timestamptz NOT NULL,
      PRIMARY KEY (workspace_id, user_id)
    );
    CREATE INDEX memberships_user ON memberships (user_id);
  `)
}

export async function down({ context: db }: { context: Sequelize }): Promise<void> {
  await db.query('DROP TABLE memberships, workspaces, users')
}
