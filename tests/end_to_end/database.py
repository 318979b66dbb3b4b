"""What a server's SQLite database holds, read with nothing but SQL."""

import contextlib
import sqlite3

from maillog import Labels

NANOSECONDS_PER_HOUR = 3600 * 10**9

# Each rollup: its owner, its period, and the label set of a session in it.
_TIERS = {
    "rollup_host_hour": ("host_id", "hour", 1, "label_set_id"),
    "rollup_host_day": ("host_id", "day", 24, "label_set_id"),
    "rollup_host_day_narrow": ("host_id", "day", 24, "narrow_id"),
    "rollup_fleet_hour": ("1", "hour", 1, "label_set_id"),
    "rollup_fleet_hour_narrow": ("1", "hour", 1, "narrow_id"),
    "rollup_fleet_day": ("1", "day", 24, "label_set_id"),
}


@contextlib.contextmanager
def opened(path):
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=60)
    try:
        yield connection
    finally:
        connection.close()


def counts(path, host=None):
    """(sessions, messages, messages over TLS) by maillog.Labels, from the finest rollup.

    Of one host, or of all.
    """
    with opened(path) as database:
        rows = database.execute(
            "SELECT hour, service, peer_class, tls_state, evidence, cipher, sum(t.sessions),"
            " sum(messages), sum(tls_messages) FROM rollup_host_hour t JOIN label_set"
            " USING (label_set_id) JOIN host USING (host_id) WHERE ?1 IS NULL OR name = ?1"
            " GROUP BY 1, 2, 3, 4, 5, 6 HAVING sum(t.sessions) != 0", (host,))
        return {Labels(*row[:6]): row[6:] for row in rows}


def differences(expected, found):
    """What is not the same in two dictionaries, one line each, at most 30."""
    return [f"{key}: expected {expected.get(key)}, found {found.get(key)}"
            for key in sorted(expected.keys() | found.keys())
            if expected.get(key) != found.get(key)][:30]


def audit(path):
    """What is wrong with the database: rollups that differ from a recount, damage.  A list."""
    wrong = []
    with opened(path) as database:
        for tier, (owner, period, hours, label_set) in _TIERS.items():
            owner_column = "host_id" if owner == "host_id" else "writer_id"
            recount = (f"SELECT {owner}, stamp_ns / {hours * NANOSECONDS_PER_HOUR}, {label_set},"
                       " count(*), sum(messages), sum(tls_messages)"
                       " FROM session JOIN label_set USING (label_set_id) GROUP BY 1, 2, 3")
            kept = (f"SELECT {owner_column}, {period}, label_set_id, sessions, messages,"
                    f" tls_messages FROM {tier} WHERE sessions != 0")
            for title, query in (("is not in the sessions", f"{kept} EXCEPT {recount}"),
                                 ("is missing", f"{recount} EXCEPT {kept}")):
                wrong += [f"{tier}: {row} {title}"
                          for row in database.execute(f"SELECT * FROM ({query}) LIMIT 5")]
        wrong += [f"integrity_check: {row[0]}"
                  for row in database.execute("PRAGMA integrity_check") if row[0] != "ok"]
    return wrong


def exceptions(path):
    """Figures that are 0 where nothing went wrong."""
    queries = {
        "gaps": "SELECT count(*) FROM gap",
        "key_conflicts": "SELECT sum(key_conflicts) FROM host_hour",
        "rejected": "SELECT sum(rejected) FROM host_hour",
        "sealed": "SELECT sum(sealed) FROM host_hour",
        "folded": "SELECT sum(folded) FROM host_hour",
        "unrecognized": "SELECT sum(unrecognized) FROM log_hour",
        "oversized": "SELECT sum(oversized) FROM log_hour",
        "foreign_host": "SELECT sum(foreign_host) FROM log_hour",
        "cut_sessions": "SELECT sum(cut_sessions) FROM log_hour",
        "evicted_sessions": "SELECT sum(evicted_sessions) FROM log_hour",
        "forgotten_ordinals": "SELECT sum(forgotten_ordinals) FROM log_hour",
    }
    with opened(path) as database:
        figures = {name: database.execute(query).fetchone()[0] for name, query in queries.items()}
    return {name: figure for name, figure in figures.items() if figure}


def progress(path, host=None):
    """(sessions, lines) counted so far, of one host or of all."""
    of_host = "JOIN host USING (host_id) WHERE ?1 IS NULL OR name = ?1"
    with opened(path) as database:
        return tuple(
            database.execute(f"SELECT coalesce(sum(t.{figure}), 0) FROM {table} t {of_host}",
                             (host,)).fetchone()[0]
            for table, figure in (("host_hour", "sessions"), ("log_hour", "lines_read")))


def rows_of(path, host):
    """Every row of every table that concerns a host."""
    rows = {}
    with opened(path) as connection:
        tables = [row[0] for row in connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table'")]
        [host_id] = connection.execute("SELECT host_id FROM host WHERE name = ?", (host,)).fetchone()
        for table in tables:
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            if "host_id" in columns:
                rows[table] = sorted(connection.execute(
                    f"SELECT * FROM {table} WHERE host_id = ?", (host_id,)), key=repr)
    return rows
