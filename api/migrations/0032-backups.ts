import type { Sequelize } from 'sequelize'

/** Backups that were stored and read back, so that a process can tell how long ago the last one was. */
export async function up({ context: db }: { context: Sequelize }): Promise<void> {
  await db.query(`
    CREATE TABLE backups (
      name varchar(40) PRIMARY KEY,
      bytes bigint NOT NULL,
      created_at timestamptz NOT NULL
    );
    CREATE INDEX backups_age ON backups (created_at);
  `)
}

export async function down({ context: db }: { context: Sequelize }): Promise<void> {
  await db.query('DROP TABLE backups')
}
