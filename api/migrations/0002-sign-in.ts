import type { Sequelize } from 'sequelize'

/** Sign-in sessions, one-time tokens and the keys of access tokens. Tokens are stored as SHA-256 only. */
export async function up({ context: db }: { context: Sequelize }): Promise<void> {
  await db.query(`
    CREATE TABLE sessions (
      id uuid PRIMARY KEY,
      user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
      refresh_hash varchar(64) NOT NULL UNIQUE,
      previous_hash varchar(64),
      generation integer NOT NULL DEFAULT 1,
      rotated_at timestamptz NOT NULL,
      user_agent varchar(300),
      remote_address varchar(64),
      created_at timestamptz NOT NULL,
      last_used_at timestamptz NOT NULL,
      expires_at timestamptz NOT NULL,
      revoked_at timestamptz,
      revoked_reason varchar(30)
    );
    CREATE INDEX sessions_user ON sessions (user_id) WHERE revoked_at IS NULL;
    CREATE INDEX sessions_expiry ON sessions (expires_at);

    CREATE TABLE retired_refresh_tokens (
      hash varchar(64) PRIMARY KEY,
      session_id uuid NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
      retired_at timestamptz NOT NULL
    );
    CREATE INDEX retired_refresh_tokens_session ON retired_refresh_tokens (session_id);
    CREATE INDEX retired_refresh_tokens_age ON retired_refresh_tokens (retired_at);

    CREATE TABLE one_time_tokens (
      id uuid PRIMARY KEY,
      user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
      purpose varchar(20) NOT NULL CHECK (purpose IN ('sign_in', 'reset_password', 'verify_email')),
      token_hash varchar(64) NOT NULL UNIQUE,
      created_at timestamptz NOT NULL,
      expires_at timestamptz NOT NULL,
      used_at timestamptz
    );
    CREATE INDEX one_time_tokens_user ON one_time_tokens (user_id, purpose) WHERE used_at IS NULL;
    CREATE INDEX one_time_tokens_expiry ON one_time_tokens (expires_at);

    CREATE TABLE signing_keys (
      kid varchar(64) PRIMARY KEY,
      state varchar(10) NOT NULL CHECK (state IN ('next', 'current', 'previous')),
      public_jwk jsonb NOT NULL,
      private_sealed text NOT NULL,
      created_at timestamptz NOT NULL,
      activated_at timestamptz,
      retired_at timestamptz
    );
    CREATE UNIQUE INDEX signing_keys_one_per_state ON signing_keys (state);
  `)
}

export async function down({ context: db }: { context: Sequelize }): Promise<void> {
  await db.query('DROP TABLE signing_keys, one_time_tokens, retired_refresh_tokens, sessions')
}
