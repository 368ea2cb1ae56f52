import type { Sequelize } from 'sequelize'

/** What Alertmanager has told already: it repeats itself, on purpose and after lost answers. */
export async function up({ context: db }: { context: Sequelize }): Promise<void> {
  await db.query(`
    CREATE TABLE alert_receipts (
      fingerprint varchar(64) NOT NULL,
      starts_at timestamptz NOT NULL,
      status varchar(10) NOT NULL CHECK (status IN ('firing', 'resolved')),
      received_at timestamptz NOT NULL,
      PRIMARY KEY (fingerprint, starts_at, status)
    );
    CREATE INDEX alert_receipts_age ON alert_receipts (received_at);
  `)
}

export async function down({ context: db }: { context: Sequelize }): Promise<void> {
  await db.query('DROP TABLE alert_receipts')
}
