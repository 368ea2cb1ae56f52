import type { Sequelize } from 'sequelize'

/**
 * Sign-ins to devices' own pages that people asked to remember, sealed. They go in the same transaction as the access
 * that they rest on, whatever took it away: a membership, a share, the controller's workspace, or the controller.
 */
export async function up({ context: db }: { context: Sequelize }): Promise<void> {
  await db.query(`
    CREATE TABLE page_credentials (
      user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
      controller_id uuid NOT NULL REFERENCES controllers (id) ON DELETE CASCADE,
      sealed text NOT NULL,
      saved_at timestamptz NOT NULL,
      PRIMARY KEY (user_id, controller_id)
    );
    CREATE INDEX page_credentials_controller ON page_credentials (controller_id);

    CREATE FUNCTION page_credentials_of_member() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      DELETE FROM page_credentials p USING controllers c
      WHERE p.user_id = OLD.user_id AND c.id = p.controller_id AND c.workspace_id = OLD.workspace_id;
      RETURN NULL;
    END $$;
    CREATE TRIGGER forget_page_credentials AFTER DELETE ON memberships
      FOR EACH ROW EXECUTE FUNCTION page_credentials_of_member();

    CREATE FUNCTION page_credentials_of_share() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      DELETE FROM page_credentials WHERE user_id = OLD.user_id AND controller_id = OLD.controller_id;
      RETURN NULL;
    END $$;
    CREATE TRIGGER forget_page_credentials AFTER DELETE ON controller_shares
      FOR EACH ROW EXECUTE FUNCTION page_credentials_of_share();

    CREATE FUNCTION page_credentials_of_controller() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      DELETE FROM page_credentials WHERE controller_id = OLD.id;
      RETURN NULL;
    END $$;
    CREATE TRIGGER forget_page_credentials AFTER UPDATE OF workspace_id, deleted_at ON controllers
      FOR EACH ROW WHEN (OLD.workspace_id <> NEW.workspace_id OR NEW.deleted_at IS NOT NULL)
      EXECUTE FUNCTION page_credentials_of_controller();
  `)
}

export async function down({ context: db }: { context: Sequelize }): Promise<void> {
  await db.query(`
    DROP TRIGGER forget_page_credentials ON memberships;
    DROP TRIGGER forget_page_credentials ON controller_shares;
    DROP TRIGGER forget_page_credentials ON controllers;
    DROP FUNCTION page_credentials_of_member, page_credentials_of_share, page_credentials_of_controller;
    DROP TABLE page_credentials;
  `)
}
