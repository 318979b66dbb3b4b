-- Logs of many hosts.

-- For lines of a host that another one's agent reads, a collector: that one's
-- own row of the same log, whose cut and watermark hold here too; cut and
-- caught_up_ns are NULL.  NULL: a log of the host's own agent.
ALTER TABLE log ADD COLUMN collector_host_id INTEGER;
ALTER TABLE log ADD COLUMN collector_log_id INTEGER;
CREATE INDEX log_of_collector ON log (collector_host_id, collector_log_id)
  WHERE collector_host_id IS NOT NULL;
