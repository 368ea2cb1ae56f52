import type { Sequelize } from 'sequelize'

/**
 * Links by which guests reach one controller's page, and shares that wait for an account: by e-mail until somebody has
 * confirmed that address as theirs.
 */
export async function up({ context: db }: { context: Sequelize }): Promise<void> {
  await db.query(`
    CREATE TABLE page_links (
      id uuid PRIMARY KEY,
      controller_id uuid NOT NULL REFERENCES controllers (id) ON DELETE CASCADE,
      token_hash varchar(64) NOT NULL UNIQUE,
      scope varchar(4) NOT NULL CHECK (scope IN ('view', 'use')),
      access_epoch integer NOT NULL,
      created_by uuid REFERENCES users (id) ON DELETE SET NULL,
      created_at timestamptz NOT NULL,
      expires_at timestamptz NOT NULL
    );
    CREATE INDEX page_links_controller ON page_links (controller_id, created_at);
    CREATE INDEX page_links_expiry ON page_links (expires_at);

    ALTER TABLE controller_shares DROP CONSTRAINT controller_shares_pkey;
    ALTER TABLE controller_shares
      ADD COLUMN id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
      ADD COLUMN email varchar(255),
      ALTER COLUMN user_id DROP NOT NULL,
      ADD CONSTRAINT controller_shares_whom CHECK (user_id IS NOT NULL OR email IS NOT NULL),
      ADD CONSTRAINT controller_shares_user_once UNIQUE (controller_id, user_id),
      ADD CONSTRAINT controller_shares_email_once UNIQUE (controller_id, email);
    CREATE INDEX controller_shares_waiting ON controller_shares (email) WHERE user_id IS NULL;
  `)
}

export async function down({ context: db }: { context: Sequelize }): Promise<void> {
  await db.query(`
    DROP TABLE page_links;
    DELETE FROM controller_shares WHERE user_id IS NULL;
    ALTER TABLE controller_shares DROP CONSTRAINT controller_shares_whom;
    ALTER TABLE controller_shares DROP CONSTRAINT controller_shares_user_once;
    ALTER TABLE controller_shares DROP COLUMN id, DROP COLUMN email, ALTER COLUMN user_id SET NOT NULL,
      ADD PRIMARY KEY (controller_id, user_id);
  `)
}
