-- What tells that TLS of the sessions that Postfix opens is not logged; and in
-- tls_logging_gap a third value of shows, 3: of what went out nothing is shown.
ALTER TABLE log_hour ADD COLUMN outbound_tls_lines INTEGER NOT NULL DEFAULT 0;
ALTER TABLE log_hour ADD COLUMN outbound_unlogged_sessions INTEGER NOT NULL DEFAULT 0;
ALTER TABLE log_day ADD COLUMN outbound_tls_lines INTEGER NOT NULL DEFAULT 0;
ALTER TABLE log_day ADD COLUMN outbound_unlogged_sessions INTEGER NOT NULL DEFAULT 0;
