import type { Sequelize } from 'sequelize'

/** Who did what. Each row carries the hash of the one before it; rows can be neither changed nor deleted. */
export async function up({ context: db }: { context: Sequelize }): Promise<void> {
  await db.query(`
    CREATE TABLE audit_log (
      seq bigint PRIMARY KEY,
      workspace_id uuid,
      actor_id uuid,
      action varchar(60) NOT NULL,
      target varchar(255) NOT NULL,
      before jsonb,
      after jsonb,
      remote_address varchar(64),
      created_at timestamptz NOT NULL,
      prev_hash varchar(64) NOT NULL,
      hash varchar(64) NOT NULL UNIQUE
    );
    CREATE INDEX audit_log_workspace ON audit_log (workspace_id, seq);

    CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      RAISE EXCEPTION 'rows of % can be neither changed nor deleted', TG_TABLE_NAME USING ERRCODE = '42501';
    END $$;
    CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
      FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
  `)
}

export async function down({ context: db }: { context: Sequelize }): Promise<void> {
  await db.query('DROP TABLE audit_log; DROP FUNCTION refuse_change()')
}
