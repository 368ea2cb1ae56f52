import type { Sequelize } from 'sequelize'

/** What each person looks for in the list again and again. */
export async function up({ context: db }: { context: Sequelize }): Promise<void> {
  await db.query(`
    CREATE TABLE controller_views (
      id uuid PRIMARY KEY,
      user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
      name varchar(60) NOT NULL,
      filters jsonb NOT NULL,
      created_at timestamptz NOT NULL
    );
    CREATE UNIQUE INDEX controller_views_name ON controller_views (user_id, lower(name));
  `)
}

export async function down({ context: db }: { context: Sequelize }): Promise<void> {
  await db.query('DROP TABLE controller_views')
}
