import type { Sequelize } from 'sequelize'

/**
 * Metrics and logs, partitioned by UTC day so that old days leave by DROP TABLE. Ingest marks the
 * minutes it touched in `metrics_dirty`; the rollup job counts those again from the raw rows.
 */
export async function up({ context: db }: { context: Sequelize }): Promise<void> {
  await db.query(`
    CREATE TABLE metrics (
      id uuid NOT NULL,
      controller_id uuid NOT NULL REFERENCES controllers (id) ON DELETE CASCADE,
      metric_type varchar(50) NOT NULL,
      value jsonb NOT NULL,
      "timestamp" timestamptz NOT NULL,
      PRIMARY KEY (id, "timestamp")
    ) PARTITION BY RANGE ("timestamp");
    CREATE INDEX metrics_series ON metrics (controller_id, metric_type, "timestamp");

    CREATE TABLE logs (
      id uuid NOT NULL,
      controller_id uuid NOT NULL REFERENCES controllers (id) ON DELETE CASCADE,
      level varchar(10) NOT NULL,
      message text NOT NULL,
      "timestamp" timestamptz NOT NULL,
      PRIMARY KEY (id, "timestamp")
    ) PARTITION BY RANGE ("timestamp");
    CREATE INDEX logs_newest ON logs (controller_id, "timestamp" DESC, id DESC);
  `)
  for (const table of ['metrics_1m', 'metrics_1h']) {
    await db.query(`
      CREATE TABLE ${table} (
        controller_id uuid NOT NULL REFERENCES controllers (id) ON DELETE CASCADE,
        metric_type varchar(50) NOT NULL,
        bucket timestamptz NOT NULL,
        count bigint NOT NULL,
        sum double precision NOT NULL,
        min double precision NOT NULL,
        max double precision NOT NULL,
        last double precision NOT NULL,
        last_at timestamptz NOT NULL,
        PRIMARY KEY (controller_id, metric_type, bucket)
      );
      CREATE INDEX ${table}_age ON ${table} USING brin (bucket);
    `)
  }
  await db.query(`
    CREATE TABLE metric_latest (
      controller_id uuid NOT NULL REFERENCES controllers (id) ON DELETE CASCADE,
      metric_type varchar(50) NOT NULL,
      value jsonb NOT NULL,
      "timestamp" timestamptz NOT NULL,
      PRIMARY KEY (controller_id, metric_type)
    );

    CREATE TABLE metrics_dirty (
      controller_id uuid NOT NULL,
      bucket timestamptz NOT NULL
    );
    CREATE INDEX metrics_dirty_controller ON metrics_dirty (controller_id);

    CREATE TABLE ingest_receipts (
      controller_id uuid NOT NULL REFERENCES controllers (id) ON DELETE CASCADE,
      kind varchar(10) NOT NULL,
      stream text NOT NULL,
      seq bigint NOT NULL,
      received_at timestamptz NOT NULL,
      PRIMARY KEY (controller_id, kind, stream, seq)
    );
    CREATE INDEX ingest_receipts_age ON ingest_receipts USING brin (received_at);
  `)
  // LIKE and ATTACH instead of PARTITION OF: the parent stays writable while a day is added. The lock on the parent is
  // the one ATTACH takes; an advisory lock would not show the second caller what the first has made.
  await db.query(`
    CREATE FUNCTION ensure_day_partition(parent text, day date) RETURNS void LANGUAGE plpgsql AS $$
    DECLARE
      child text := parent || '_' || to_char(day, 'YYYYMMDD');
    BEGIN
      IF to_regclass(quote_ident(child)) IS NOT NULL THEN RETURN; END IF;
      EXECUTE format('LOCK TABLE %I IN SHARE UPDATE EXCLUSIVE MODE', parent);
      IF to_regclass(quote_ident(child)) IS NOT NULL THEN RETURN; END IF;
      EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS)', child, parent);
      EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
        parent, child, day || ' 00:00:00+00', day + 1 || ' 00:00:00+00');
    END $$;
  `)
}

export async function down({ context: db }: { context: Sequelize }): Promise<void> {
  await db.query(`
    DROP TABLE ingest_receipts, metrics_dirty, metric_latest, metrics_1h, metrics_1m, logs, metrics;
    DROP FUNCTION ensure_day_partition(text, date);
  `)
}
