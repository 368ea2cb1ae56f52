import type { Sequelize } from 'sequelize'

/** Mail, written in the transaction that causes it and sent by a job; without SMTP it stays here. */
export async function up({ context: db }: { context: Sequelize }): Promise<void> {
  await db.query(`
    CREATE TABLE mail_outbox (
      id uuid PRIMARY KEY,
      recipient varchar(255) NOT NULL,
      subject varchar(255) NOT NULL,
      text_body text NOT NULL,
      state varchar(10) NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent')),
      created_at timestamptz NOT NULL,
      sent_at timestamptz
    );
    CREATE INDEX mail_outbox_newest ON mail_outbox (created_at DESC);
  `)
}

export async function down({ context: db }: { context: Sequelize }): Promise<void> {
  await db.query('DROP TABLE mail_outbox')
}
