import type { Sequelize } from 'sequelize'

/**
 * Controllers that an object in a cluster declares, people that a single controller is shared with, and suspension. An
 * enrolment outlives its controller: what its owner deleted is not made anew.
 */
export async function up({ context: db }: { context: Sequelize }): Promise<void> {
  await db.query(`
    ALTER TABLE controllers ADD COLUMN suspended_at timestamptz;

    CREATE TABLE enrolments (
      namespace varchar(63) NOT NULL,
      name varchar(253) NOT NULL,
      controller_id uuid UNIQUE REFERENCES controllers (id) ON DELETE SET NULL,
      applied jsonb NOT NULL,
      created_at timestamptz NOT NULL,
      updated_at timestamptz NOT NULL,
      PRIMARY KEY (namespace, name)
    );

    CREATE TABLE controller_shares (
      controller_id uuid NOT NULL REFERENCES controllers (id) ON DELETE CASCADE,
      user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
      created_at timestamptz NOT NULL,
      PRIMARY KEY (controller_id, user_id)
    );
    CREATE INDEX controller_shares_user ON controller_shares (user_id);
  `)
}

export async function down({ context: db }: { context: Sequelize }): Promise<void> {
  await db.query(`
    DROP TABLE controller_shares, enrolments;
    ALTER TABLE controllers DROP COLUMN suspended_at;
  `)
}
