import type { Sequelize } from 'sequelize'

/**
 * The outbox of domain events. A reader takes the events of transactions in [from_xid, to_xid) by position, where
 * to_xid is not above the oldest transaction still running: what commits late is never skipped.
 */
export async function up({ context: db }: { context: Sequelize }): Promise<void> {
  await db.query(`
    CREATE TABLE domain_events (
      position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
      workspace_id uuid NOT NULL,
      user_id uuid,
      type varchar(60) NOT NULL,
      payload jsonb NOT NULL,
      created_at timestamptz NOT NULL
    );
    CREATE INDEX domain_events_xid ON domain_events (xid, position);
    CREATE INDEX domain_events_age ON domain_events (created_at);

    CREATE TABLE event_cursors (
      subscriber varchar(100) PRIMARY KEY,
      from_xid xid8 NOT NULL,
      to_xid xid8 NOT NULL,
      position bigint NOT NULL,
      attempts integer NOT NULL DEFAULT 0,
      retry_at timestamptz,
      updated_at timestamptz NOT NULL
    );

    CREATE TABLE parked_events (
      subscriber varchar(100) NOT NULL,
      position bigint NOT NULL,
      type varchar(60) NOT NULL,
      payload jsonb NOT NULL,
      error text NOT NULL,
      parked_at timestamptz NOT NULL,
      PRIMARY KEY (subscriber, position)
    );
  `)
}

export async function down({ context: db }: { context: Sequelize }): Promise<void> {
  await db.query('DROP TABLE parked_events, event_cursors, domain_events')
}
