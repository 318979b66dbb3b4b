-- Times are UTC: *_ns are nanoseconds; hours, days and weeks are counted since
-- 1970-01-01.  Every table that grows has the host first in its primary key.

-- One row.
CREATE TABLE database_identity (
  -- 128 random bits in hexadecimal, made with the database.
  database_id TEXT NOT NULL,
  created_ns INTEGER NOT NULL
) STRICT;

CREATE TABLE host (
  host_id INTEGER PRIMARY KEY,
  -- Lower case.
  name TEXT NOT NULL UNIQUE,
  -- First message of any kind from its agent.
  registered_ns INTEGER NOT NULL,
  -- No longer expected since; NULL: expected.
  retired_ns INTEGER,
  -- Last message of any kind.
  last_seen_ns INTEGER NOT NULL,
  agent_version TEXT NOT NULL DEFAULT '',
  mta TEXT NOT NULL DEFAULT '',
  -- Newest key stamp; NULL without a session.
  last_session_ns INTEGER,
  -- Totals of host_hour.
  sessions INTEGER NOT NULL DEFAULT 0,
  folded INTEGER NOT NULL DEFAULT 0,
  key_conflicts INTEGER NOT NULL DEFAULT 0,
  rejected INTEGER NOT NULL DEFAULT 0,
  sealed INTEGER NOT NULL DEFAULT 0
) STRICT;

-- A log of a host: where its counts end, and what its agent last told.
CREATE TABLE log (
  host_id INTEGER NOT NULL,
  -- 1, 2 ... within the host.
  log_id INTEGER NOT NULL,
  name TEXT NOT NULL,
  -- mxtally.v1.Cut; NULL before the first batch.
  cut BLOB,
  -- Wall-clock time at which the end of the log was last reached and
  -- everything before it was here; NULL: never.
  caught_up_ns INTEGER,
  -- From the last status.
  log_time_ns INTEGER,
  oldest_open_ns INTEGER,
  bytes_behind INTEGER NOT NULL DEFAULT 0,
  open_sessions INTEGER NOT NULL DEFAULT 0,
  -- Totals of log_hour.
  lines_read INTEGER NOT NULL DEFAULT 0,
  lines_unrecognized INTEGER NOT NULL DEFAULT 0,
  lines_oversized INTEGER NOT NULL DEFAULT 0,
  lines_foreign_host INTEGER NOT NULL DEFAULT 0,
  cut_sessions INTEGER NOT NULL DEFAULT 0,
  evicted_sessions INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (host_id, log_id),
  UNIQUE (host_id, name)
) STRICT, WITHOUT ROWID;

-- Log time that was read: disjoint intervals, both ends included.
CREATE TABLE coverage (
  host_id INTEGER NOT NULL,
  log_id INTEGER NOT NULL,
  start_ns INTEGER NOT NULL,
  end_ns INTEGER NOT NULL,
  PRIMARY KEY (host_id, log_id, start_ns)
) STRICT, WITHOUT ROWID;

-- Log time that was never read and cannot be any more.
CREATE TABLE gap (
  host_id INTEGER NOT NULL,
  log_id INTEGER NOT NULL,
  -- Last line before and first line after.
  start_ns INTEGER NOT NULL,
  end_ns INTEGER NOT NULL,
  -- mxtally.v1.GapReason.
  reason INTEGER NOT NULL,
  -- At least this many bytes are missing.
  bytes_min INTEGER NOT NULL,
  PRIMARY KEY (host_id, log_id, start_ns, end_ns, reason)
) STRICT, WITHOUT ROWID;

-- What agents counted, by hour of log time: mxtally.v1.LineCounts.
CREATE TABLE log_hour (
  host_id INTEGER NOT NULL,
  log_id INTEGER NOT NULL,
  hour INTEGER NOT NULL,
  lines_read INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  parsed INTEGER NOT NULL,
  ignored INTEGER NOT NULL,
  unrecognized INTEGER NOT NULL,
  oversized INTEGER NOT NULL,
  foreign_host INTEGER NOT NULL,
  cut_sessions INTEGER NOT NULL,
  evicted_sessions INTEGER NOT NULL,
  forgotten_ordinals INTEGER NOT NULL,
  tls_lines INTEGER NOT NULL,
  counter_lines INTEGER NOT NULL,
  ended_sessions INTEGER NOT NULL,
  PRIMARY KEY (host_id, log_id, hour)
) STRICT, WITHOUT ROWID;

-- log_hour, summed by day.
CREATE TABLE log_day (
  host_id INTEGER NOT NULL,
  log_id INTEGER NOT NULL,
  day INTEGER NOT NULL,
  lines_read INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  parsed INTEGER NOT NULL,
  ignored INTEGER NOT NULL,
  unrecognized INTEGER NOT NULL,
  oversized INTEGER NOT NULL,
  foreign_host INTEGER NOT NULL,
  cut_sessions INTEGER NOT NULL,
  evicted_sessions INTEGER NOT NULL,
  forgotten_ordinals INTEGER NOT NULL,
  tls_lines INTEGER NOT NULL,
  counter_lines INTEGER NOT NULL,
  ended_sessions INTEGER NOT NULL,
  PRIMARY KEY (host_id, log_id, day)
) STRICT, WITHOUT ROWID;

-- What this database counted, by hour of the key stamp.
CREATE TABLE host_hour (
  host_id INTEGER NOT NULL,
  hour INTEGER NOT NULL,
  sessions INTEGER NOT NULL,
  -- Of these: counted under folded labels; with a conflicting record that was
  -- not taken.
  folded INTEGER NOT NULL,
  key_conflicts INTEGER NOT NULL,
  -- Records that failed validation, and those that came after the seal.
  rejected INTEGER NOT NULL,
  sealed INTEGER NOT NULL,
  PRIMARY KEY (host_id, hour)
) STRICT, WITHOUT ROWID;

-- host_hour, summed by day.
CREATE TABLE host_day (
  host_id INTEGER NOT NULL,
  day INTEGER NOT NULL,
  sessions INTEGER NOT NULL,
  folded INTEGER NOT NULL,
  key_conflicts INTEGER NOT NULL,
  rejected INTEGER NOT NULL,
  sealed INTEGER NOT NULL,
  PRIMARY KEY (host_id, day)
) STRICT, WITHOUT ROWID;

-- Every combination of labels that was counted; storage/rollup.h explains
-- them.  Enumerations as their numbers.
CREATE TABLE label_set (
  label_set_id INTEGER PRIMARY KEY,
  direction INTEGER NOT NULL,
  service TEXT NOT NULL,
  peer_class INTEGER NOT NULL,
  tls_state INTEGER NOT NULL,
  evidence INTEGER NOT NULL,
  protocol TEXT NOT NULL,
  cipher TEXT NOT NULL,
  cipher_iana TEXT NOT NULL,
  cipher_code_point INTEGER NOT NULL,
  kex_group TEXT NOT NULL,
  signature TEXT NOT NULL,
  trust INTEGER NOT NULL,
  handshake INTEGER NOT NULL,
  -- The set with the narrow labels alone.
  narrow_id INTEGER NOT NULL,
  UNIQUE (direction, service, peer_class, tls_state, evidence, protocol, cipher, cipher_iana,
          cipher_code_point, kex_group, signature, trust, handshake)
) STRICT;

CREATE TABLE session (
  host_id INTEGER NOT NULL,
  -- The key: mxtally.v1.SessionKey.
  stamp_ns INTEGER NOT NULL,
  tag TEXT NOT NULL,
  ordinal INTEGER NOT NULL,
  key_version INTEGER NOT NULL,
  -- parser_version << 32 | lines_used.
  rank INTEGER NOT NULL,
  -- What the rollups hold of this session.  The labels may be folded ones.
  label_set_id INTEGER NOT NULL,
  folded INTEGER NOT NULL,
  messages INTEGER NOT NULL,
  tls_messages INTEGER NOT NULL,
  -- 1 when another record with this key and rank was not taken.
  key_conflict INTEGER NOT NULL,
  -- Hash of the record as it came, without key and rank.
  facts_hash INTEGER NOT NULL,
  -- NULL: as in the record, absent.
  end_ns INTEGER,
  peer_address TEXT NOT NULL,
  peer_name TEXT NOT NULL,
  -- mxtally.v1.SessionRecord without key and rank.
  detail BLOB NOT NULL,
  PRIMARY KEY (host_id, stamp_ns, tag, ordinal, key_version)
) STRICT, WITHOUT ROWID;

-- The rollup tiers have one shape: owner, period, labels, measures.

CREATE TABLE rollup_host_hour (
  host_id INTEGER NOT NULL,
  hour INTEGER NOT NULL,
  label_set_id INTEGER NOT NULL,
  sessions INTEGER NOT NULL,
  messages INTEGER NOT NULL,
  tls_messages INTEGER NOT NULL,
  PRIMARY KEY (host_id, hour, label_set_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE rollup_host_day (
  host_id INTEGER NOT NULL,
  day INTEGER NOT NULL,
  label_set_id INTEGER NOT NULL,
  sessions INTEGER NOT NULL,
  messages INTEGER NOT NULL,
  tls_messages INTEGER NOT NULL,
  PRIMARY KEY (host_id, day, label_set_id)
) STRICT, WITHOUT ROWID;

-- Only sets with the narrow labels: label_set.narrow_id.
CREATE TABLE rollup_host_day_narrow (
  host_id INTEGER NOT NULL,
  day INTEGER NOT NULL,
  label_set_id INTEGER NOT NULL,
  sessions INTEGER NOT NULL,
  messages INTEGER NOT NULL,
  tls_messages INTEGER NOT NULL,
  PRIMARY KEY (host_id, day, label_set_id)
) STRICT, WITHOUT ROWID;

-- The same by week, so that a season of a whole fleet is few rows.
CREATE TABLE rollup_host_week_narrow (
  host_id INTEGER NOT NULL,
  week INTEGER NOT NULL,
  label_set_id INTEGER NOT NULL,
  sessions INTEGER NOT NULL,
  messages INTEGER NOT NULL,
  tls_messages INTEGER NOT NULL,
  PRIMARY KEY (host_id, week, label_set_id)
) STRICT, WITHOUT ROWID;

-- All hosts together, kept per writing server and summed when read.  Here
-- there is one writer, 1.
CREATE TABLE rollup_fleet_hour (
  writer_id INTEGER NOT NULL,
  hour INTEGER NOT NULL,
  label_set_id INTEGER NOT NULL,
  sessions INTEGER NOT NULL,
  messages INTEGER NOT NULL,
  tls_messages INTEGER NOT NULL,
  PRIMARY KEY (writer_id, hour, label_set_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE rollup_fleet_day (
  writer_id INTEGER NOT NULL,
  day INTEGER NOT NULL,
  label_set_id INTEGER NOT NULL,
  sessions INTEGER NOT NULL,
  messages INTEGER NOT NULL,
  tls_messages INTEGER NOT NULL,
  PRIMARY KEY (writer_id, day, label_set_id)
) STRICT, WITHOUT ROWID;
