import type { Sequelize } from 'sequelize'

/** Commands for controllers: the queue and the history in one table. */
export async function up({ context: db }: { context: Sequelize }): Promise<void> {
  await db.query(`
    CREATE TABLE commands (
      id uuid PRIMARY KEY,
      controller_id uuid NOT NULL REFERENCES controllers (id) ON DELETE CASCADE,
      workspace_id uuid NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
      name varchar(64) NOT NULL,
      params jsonb NOT NULL,
      state varchar(12) NOT NULL CHECK (state IN ('queued', 'sent', 'acknowledged', 'failed', 'expired')),
      result jsonb,
      error text,
      created_by uuid REFERENCES users (id) ON DELETE SET NULL,
      created_at timestamptz NOT NULL,
      sent_at timestamptz,
      finished_at timestamptz,
      expires_at timestamptz NOT NULL
    );
    CREATE INDEX commands_newest ON commands (controller_id, created_at DESC, id DESC);
    CREATE INDEX commands_open ON commands (controller_id, created_at) WHERE state IN ('queued', 'sent');
    CREATE INDEX commands_due ON commands (expires_at) WHERE state IN ('queued', 'sent');
    CREATE INDEX commands_age ON commands (finished_at);
  `)
}

export async function down({ context: db }: { context: Sequelize }): Promise<void> {
  await db.query('DROP TABLE commands')
}
