import type { Sequelize } from 'sequelize'

/** Notifications of people, how each travels by a channel, and what keeps a flapping controller from making many. */
export async function up({ context: db }: { context: Sequelize }): Promise<void> {
  await db.query(`
    CREATE TABLE notifications (
      id uuid PRIMARY KEY,
      user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
      workspace_id uuid NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
      type varchar(50) NOT NULL,
      title varchar(255) NOT NULL,
      message text NOT NULL,
      data jsonb NOT NULL DEFAULT '{}',
      is_read boolean NOT NULL DEFAULT false,
      read_at timestamptz,
      dedupe_key varchar(255) NOT NULL UNIQUE,
      created_at timestamptz NOT NULL
    );
    CREATE INDEX notifications_newest ON notifications (user_id, created_at DESC, id DESC);
    CREATE INDEX notifications_unread ON notifications (user_id) WHERE NOT is_read;

    CREATE TABLE notification_preferences (
      user_id uuid PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
      channels jsonb NOT NULL,
      updated_at timestamptz NOT NULL
    );

    CREATE TABLE notification_deliveries (
      notification_id uuid NOT NULL REFERENCES notifications (id) ON DELETE CASCADE,
      channel varchar(20) NOT NULL,
      user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
      state varchar(10) NOT NULL,
      attempts integer NOT NULL DEFAULT 0,
      due_at timestamptz NOT NULL,
      done_at timestamptz,
      PRIMARY KEY (notification_id, channel)
    );
    CREATE INDEX notification_deliveries_waiting ON notification_deliveries (user_id, channel, due_at)
      WHERE state = 'waiting';

    CREATE TABLE controller_notices (
      controller_id uuid PRIMARY KEY REFERENCES controllers (id) ON DELETE CASCADE,
      workspace_id uuid NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
      presence jsonb,
      due_at timestamptz,
      auth_failed_told_at timestamptz
    );
  `)
}

export async function down({ context: db }: { context: Sequelize }): Promise<void> {
  await db.query(
    'DROP TABLE controller_notices, notification_deliveries, notification_preferences, notifications',
  )
}
