-- What completeness needs beyond counts, and retention.

-- Lines that a logger said it lost; sessions of which only counters tell that
-- they used TLS.
ALTER TABLE log ADD COLUMN lines_suppressed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE log_hour ADD COLUMN suppressed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE log_hour ADD COLUMN tls_unlogged_sessions INTEGER NOT NULL DEFAULT 0;
ALTER TABLE log_day ADD COLUMN suppressed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE log_day ADD COLUMN tls_unlogged_sessions INTEGER NOT NULL DEFAULT 0;

-- The few rows that completeness has to look at.
CREATE INDEX log_hour_exceptions ON log_hour (host_id, hour)
  WHERE cut_sessions + evicted_sessions + oversized + unrecognized + foreign_host + suppressed > 0;
CREATE INDEX log_day_exceptions ON log_day (host_id, day)
  WHERE cut_sessions + evicted_sessions + oversized + unrecognized + foreign_host + suppressed > 0;
CREATE INDEX host_hour_exceptions ON host_hour (host_id, hour)
  WHERE folded + key_conflicts + rejected + sealed > 0;
CREATE INDEX host_day_exceptions ON host_day (host_id, day)
  WHERE folded + key_conflicts + rejected + sealed > 0;

-- Hours of a log that show nothing of TLS (1), or no ciphers (2): disjoint
-- intervals for each of the two.  Follows from log_hour.
CREATE TABLE tls_logging_gap (
  host_id INTEGER NOT NULL,
  log_id INTEGER NOT NULL,
  shows INTEGER NOT NULL,
  start_hour INTEGER NOT NULL,
  -- Excluded.
  end_hour INTEGER NOT NULL,
  PRIMARY KEY (host_id, log_id, shows, start_hour)
) STRICT, WITHOUT ROWID;

-- Of the agent's clock at the last life sign, to the server's; NULL: not told.
ALTER TABLE host ADD COLUMN clock_ahead_ns INTEGER;
-- mxtally.v1.SourceKind.
ALTER TABLE host ADD COLUMN source_kind INTEGER NOT NULL DEFAULT 0;
-- mxtally.v1.MtaConfig; NULL: never told.
ALTER TABLE host ADD COLUMN mta_config BLOB;
-- host.last_seen_ns is 0 for a host that was never heard of.

-- When a host was expected: disjoint intervals.  host.registered_ns begins the
-- first, host.retired_ns is the end of the last.
CREATE TABLE expectation (
  host_id INTEGER NOT NULL,
  start_ns INTEGER NOT NULL,
  -- NULL: still expected.
  end_ns INTEGER,
  PRIMARY KEY (host_id, start_ns)
) STRICT, WITHOUT ROWID;
INSERT INTO expectation (host_id, start_ns, end_ns)
  SELECT host_id, registered_ns, retired_ns FROM host;

-- Log times at which a host's clock, or the stamps in its log, were off.
CREATE TABLE clock_skew (
  host_id INTEGER NOT NULL,
  start_ns INTEGER NOT NULL,
  end_ns INTEGER NOT NULL,
  -- Server's clock when it was last seen to be off.
  seen_ns INTEGER NOT NULL,
  -- The largest difference; negative: behind.
  ahead_ns INTEGER NOT NULL,
  PRIMARY KEY (host_id, start_ns)
) STRICT, WITHOUT ROWID;

-- Server's clock when the day last took a session.
ALTER TABLE host_day ADD COLUMN inserted_ns INTEGER NOT NULL DEFAULT 0;
-- 0: open.  1: sealed, its sessions are being removed.  2: sealed, they are gone.
ALTER TABLE host_day ADD COLUMN seal INTEGER NOT NULL DEFAULT 0;
UPDATE host_day SET inserted_ns = CAST(strftime('%s', 'now') AS INTEGER) * 1000000000;
CREATE INDEX host_day_with_sessions ON host_day (seal, day) WHERE seal < 2;

-- Days that were dropped to be read again.
CREATE TABLE reopened_day (
  host_id INTEGER NOT NULL,
  day INTEGER NOT NULL,
  PRIMARY KEY (host_id, day)
) STRICT, WITHOUT ROWID;

-- One row: counts by hour and by day are whole from here on.  NULL: all of them.
CREATE TABLE kept_since (
  hour INTEGER,
  day INTEGER
) STRICT;
INSERT INTO kept_since (hour, day) VALUES (NULL, NULL);
