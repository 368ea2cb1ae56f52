import type { Sequelize } from 'sequelize'

/** How a controller's page may be kept at the gateway, and what that spares it. */
export async function up({ context: db }: { context: Sequelize }): Promise<void> {
  await db.query(`
    ALTER TABLE controllers ADD COLUMN page_cache varchar(10) NOT NULL DEFAULT 'private'
      CHECK (page_cache IN ('off', 'private', 'public'));
    CREATE TABLE page_figures (
      controller_id uuid NOT NULL REFERENCES controllers (id) ON DELETE CASCADE,
      day date NOT NULL,
      requests bigint NOT NULL,
      from_cache bigint NOT NULL,
      coalesced bigint NOT NULL,
      bytes_to_users bigint NOT NULL,
      bytes_from_device bigint NOT NULL,
      PRIMARY KEY (controller_id, day)
    );
  `)
}

export async function down({ context: db }: { context: Sequelize }): Promise<void> {
  await db.query(`
    DROP TABLE page_figures;
    ALTER TABLE controllers DROP COLUMN page_cache;
  `)
}
