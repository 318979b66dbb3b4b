-- Sums that make a season of a whole fleet few rows.

-- rollup_fleet_hour with the narrow labels alone: label_set.narrow_id.
CREATE TABLE rollup_fleet_hour_narrow (
  writer_id INTEGER NOT NULL,
  hour INTEGER NOT NULL,
  label_set_id INTEGER NOT NULL,
  sessions INTEGER NOT NULL,
  messages INTEGER NOT NULL,
  tls_messages INTEGER NOT NULL,
  PRIMARY KEY (writer_id, hour, label_set_id)
) STRICT, WITHOUT ROWID;
INSERT INTO rollup_fleet_hour_narrow
  SELECT writer_id, hour, narrow_id, sum(sessions), sum(messages), sum(tls_messages)
  FROM rollup_fleet_hour JOIN label_set USING (label_set_id) GROUP BY 1, 2, 3;

-- Exceptions of log_day, all logs together, and of host_day, summed by week.  The
-- triggers below keep it; a week without exceptions has no row.
CREATE TABLE exception_week (
  host_id INTEGER NOT NULL,
  -- As in rollup_host_week_narrow.
  week INTEGER NOT NULL,
  cut_sessions INTEGER NOT NULL,
  evicted_sessions INTEGER NOT NULL,
  oversized INTEGER NOT NULL,
  unrecognized INTEGER NOT NULL,
  foreign_host INTEGER NOT NULL,
  suppressed INTEGER NOT NULL,
  folded INTEGER NOT NULL,
  key_conflicts INTEGER NOT NULL,
  rejected INTEGER NOT NULL,
  sealed INTEGER NOT NULL,
  PRIMARY KEY (host_id, week)
) STRICT, WITHOUT ROWID;

-- What is inserted here is added: exceptions of a day, or their change.
CREATE VIEW exception_change AS
  SELECT host_id, 0 AS day, cut_sessions, evicted_sessions, oversized, unrecognized, foreign_host,
    suppressed, folded, key_conflicts, rejected, sealed FROM exception_week;
CREATE TRIGGER exception_change_added INSTEAD OF INSERT ON exception_change
  BEGIN
    INSERT INTO exception_week
      VALUES (NEW.host_id, (NEW.day - (NEW.day % 7 + 7) % 7) / 7,
        NEW.cut_sessions, NEW.evicted_sessions, NEW.oversized, NEW.unrecognized, NEW.foreign_host,
        NEW.suppressed, NEW.folded, NEW.key_conflicts, NEW.rejected, NEW.sealed)
      ON CONFLICT DO UPDATE SET
        cut_sessions = cut_sessions + excluded.cut_sessions,
        evicted_sessions = evicted_sessions + excluded.evicted_sessions,
        oversized = oversized + excluded.oversized,
        unrecognized = unrecognized + excluded.unrecognized,
        foreign_host = foreign_host + excluded.foreign_host,
        suppressed = suppressed + excluded.suppressed,
        folded = folded + excluded.folded,
        key_conflicts = key_conflicts + excluded.key_conflicts,
        rejected = rejected + excluded.rejected,
        sealed = sealed + excluded.sealed;
    DELETE FROM exception_week
      WHERE host_id = NEW.host_id AND week = (NEW.day - (NEW.day % 7 + 7) % 7) / 7
        AND cut_sessions + evicted_sessions + oversized + unrecognized + foreign_host + suppressed +
          folded + key_conflicts + rejected + sealed = 0;
  END;

CREATE TRIGGER log_day_exceptions_added AFTER INSERT ON log_day
  WHEN NEW.cut_sessions + NEW.evicted_sessions + NEW.oversized + NEW.unrecognized +
    NEW.foreign_host + NEW.suppressed > 0
  BEGIN
    INSERT INTO exception_change
      VALUES (NEW.host_id, NEW.day, NEW.cut_sessions, NEW.evicted_sessions, NEW.oversized,
        NEW.unrecognized, NEW.foreign_host, NEW.suppressed, 0, 0, 0, 0);
  END;
CREATE TRIGGER log_day_exceptions_changed AFTER UPDATE ON log_day
  WHEN (NEW.cut_sessions, NEW.evicted_sessions, NEW.oversized, NEW.unrecognized, NEW.foreign_host,
    NEW.suppressed) <> (OLD.cut_sessions, OLD.evicted_sessions, OLD.oversized, OLD.unrecognized,
    OLD.foreign_host, OLD.suppressed)
  BEGIN
    INSERT INTO exception_change
      VALUES (NEW.host_id, NEW.day, NEW.cut_sessions - OLD.cut_sessions,
        NEW.evicted_sessions - OLD.evicted_sessions, NEW.oversized - OLD.oversized,
        NEW.unrecognized - OLD.unrecognized, NEW.foreign_host - OLD.foreign_host,
        NEW.suppressed - OLD.suppressed, 0, 0, 0, 0);
  END;
CREATE TRIGGER log_day_exceptions_removed AFTER DELETE ON log_day
  WHEN OLD.cut_sessions + OLD.evicted_sessions + OLD.oversized + OLD.unrecognized +
    OLD.foreign_host + OLD.suppressed > 0
  BEGIN
    INSERT INTO exception_change
      VALUES (OLD.host_id, OLD.day, -OLD.cut_sessions, -OLD.evicted_sessions, -OLD.oversized,
        -OLD.unrecognized, -OLD.foreign_host, -OLD.suppressed, 0, 0, 0, 0);
  END;

CREATE TRIGGER host_day_exceptions_added AFTER INSERT ON host_day
  WHEN NEW.folded + NEW.key_conflicts + NEW.rejected + NEW.sealed > 0
  BEGIN
    INSERT INTO exception_change
      VALUES (NEW.host_id, NEW.day, 0, 0, 0, 0, 0, 0, NEW.folded, NEW.key_conflicts, NEW.rejected,
        NEW.sealed);
  END;
CREATE TRIGGER host_day_exceptions_changed AFTER UPDATE ON host_day
  WHEN (NEW.folded, NEW.key_conflicts, NEW.rejected, NEW.sealed) <>
    (OLD.folded, OLD.key_conflicts, OLD.rejected, OLD.sealed)
  BEGIN
    INSERT INTO exception_change
      VALUES (NEW.host_id, NEW.day, 0, 0, 0, 0, 0, 0, NEW.folded - OLD.folded,
        NEW.key_conflicts - OLD.key_conflicts, NEW.rejected - OLD.rejected, NEW.sealed - OLD.sealed);
  END;
CREATE TRIGGER host_day_exceptions_removed AFTER DELETE ON host_day
  WHEN OLD.folded + OLD.key_conflicts + OLD.rejected + OLD.sealed > 0
  BEGIN
    INSERT INTO exception_change
      VALUES (OLD.host_id, OLD.day, 0, 0, 0, 0, 0, 0, -OLD.folded, -OLD.key_conflicts, -OLD.rejected,
        -OLD.sealed);
  END;

INSERT INTO exception_change
  SELECT host_id, day, cut_sessions, evicted_sessions, oversized, unrecognized, foreign_host,
    suppressed, 0, 0, 0, 0
  FROM log_day
  WHERE cut_sessions + evicted_sessions + oversized + unrecognized + foreign_host + suppressed > 0;
INSERT INTO exception_change
  SELECT host_id, day, 0, 0, 0, 0, 0, 0, folded, key_conflicts, rejected, sealed
  FROM host_day WHERE folded + key_conflicts + rejected + sealed > 0;
