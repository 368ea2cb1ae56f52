import type { Sequelize } from 'sequelize'

/** First answers to requests with an `Idempotency-Key`, kept a day. */
export async function up({ context: db }: { context: Sequelize }): Promise<void> {
  await db.query(`
    CREATE TABLE idempotency_keys (
      user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
      key varchar(200) NOT NULL,
      request_hash varchar(64) NOT NULL,
      response jsonb,
      created_at timestamptz NOT NULL,
      PRIMARY KEY (user_id, key)
    );
    CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);
  `)
}

export async function down({ context: db }: { context: Sequelize }): Promise<void> {
  await db.query('DROP TABLE idempotency_keys')
}
