"""Reads one log as a file and as a systemd journal, each into a database of its own.

The journals are real, written by systemd-journal-remote.
"""

import contextlib
import datetime
import json
import pathlib
import re
import shutil
import sqlite3
import subprocess
import time
import unittest

import database
import harness
import maillog

WRITER = pathlib.Path("/lib/systemd/systemd-journal-remote")
SESSIONS = 4000
HOUR = 3600
BOOTS = ("6c7c6013a8244d6c84abd2d4d4b3e9b0", "0123456789abcdef0123456789abcdef")
LINE = re.compile(r"(\w{3} [ \d]\d [\d:]{8}) (\S+) ([^\[:]+)(?:\[(\d+)\])?: (.*)")
SUPPRESSED = "systemd-journald[300]: Suppressed 1234 messages from postfix@-.service"
# What `logger -t postfix/smtpd` of a local user writes.
FORGED = {"_UID": 1000, "_COMM": "logger", "_SYSTEMD_UNIT": "session-3.scope"}


class Journal:
    """Takes lines of a file and makes entries of them."""

    def __init__(self, folder, year):
        self.folder = folder
        self.folder.mkdir()
        self._year = year
        self._last = 0
        self._boot = BOOTS[0]
        self._booted = 0

    def reboot(self):
        self._boot, self._booted = BOOTS[1], self._last

    def append(self, lines, **changes):
        entries = "".join(self._entry(line, changes) for line in lines)
        subprocess.run([WRITER, "-o", self.folder / "system.journal", "-"], input=entries, text=True,
                       stderr=subprocess.DEVNULL, check=True)

    def _entry(self, line, changes):
        stamp, host, tag, pid, message = LINE.fullmatch(line).groups()
        moment = datetime.datetime.strptime(f"{self._year} {stamp}", "%Y %b %d %H:%M:%S")
        seconds = int(moment.replace(tzinfo=datetime.timezone.utc).timestamp())
        # Entries of one second in their order.
        self._last = max(self._last + 1, seconds * 1_000_000)
        fields = {
            "__REALTIME_TIMESTAMP": self._last,
            "__MONOTONIC_TIMESTAMP": self._last - self._booted,
            "_BOOT_ID": self._boot, "_TRANSPORT": "syslog", "SYSLOG_FACILITY": 2,
            "SYSLOG_IDENTIFIER": tag, "_PID": pid or 1, "_UID": 0, "_HOSTNAME": host,
            "_SYSTEMD_UNIT": "postfix@-.service", "MESSAGE": message}
        if tag == "systemd-journald":
            fields |= {"MESSAGE_ID": "a596d6fe7bfa4994828e72309e95d61e", "_TRANSPORT": "driver"}
        return "".join(f"{name}={value}\n" for name, value in (fields | changes).items()) + "\n"


@unittest.skipUnless(WRITER.exists(), "needs the package systemd-journal-remote")
class JournalTest(harness.EndToEndTest):
    def setUp(self):
        super().setUp()
        start = int(time.time()) // HOUR * HOUR - 3 * 24 * HOUR
        host = maillog.Mailhost(seed=9, start=start)
        self.lines = []
        while host.truth.sessions < SESSIONS:
            self.lines += host.busy_second()
            host.now += 60
        self.lines += host.finish()
        # Of the same second as a line before it.
        middle = len(self.lines) // 2
        self.lines.insert(middle, f"{self.lines[middle - 1][:15]} mx1 {SUPPRESSED}")
        self.truth = host.truth
        self.journal = Journal(self.dir / "journal", datetime.datetime.now().year)
        self.server = self.start_server()

    def write_journal(self, lines):
        half = len(lines) // 2
        self.journal.append(lines[:half])
        self.journal.reboot()
        self.journal.append(lines[half:])

    def read_journal(self, state, *options):
        return self.read_once(self.server, "mx1", state_dir=self.dir / state, options=(
            "--journal-directory", self.journal.folder, *options))

    def line_counts(self, server):
        names = ("lines_read", "parsed", "ignored", "unrecognized", "oversized", "foreign_host",
                 "cut_sessions", "tls_lines", "counter_lines", "ended_sessions", "suppressed")
        with contextlib.closing(sqlite3.connect(server.database)) as db:
            sums = ", ".join(f"sum({name})" for name in names)
            return dict(zip(names, db.execute(f"SELECT {sums} FROM log_hour").fetchone()))

    def gaps(self):
        with contextlib.closing(sqlite3.connect(self.server.database)) as db:
            return db.execute("SELECT count(*) FROM gap").fetchone()[0]

    def assert_counted_once(self):
        wrong = database.differences(self.truth.by_labels(), database.counts(self.server.database))
        wrong += database.audit(self.server.database)
        self.assertEqual(wrong, [])

    def test_journal_and_file_give_the_same_counts(self):
        self.write_journal(self.lines)
        self.read_journal("state-journal")
        self.assert_counted_once()

        log = self.dir / "mail.log"
        log.write_text("".join(line + "\n" for line in self.lines))
        file_server = self.start_server(database=self.dir / "file.db")
        self.read_once(file_server, "mx1", log, state_dir=self.dir / "state-file",
                       options=("--time-zone", "UTC"))
        self.assertEqual(database.counts(self.server.database),
                         database.counts(file_server.database))
        of_journal = self.line_counts(self.server)
        self.assertEqual(of_journal, self.line_counts(file_server))
        self.assertEqual(of_journal["lines_read"], len(self.lines))
        self.assertEqual(of_journal["suppressed"], 1234)

        scans = [self.scan_json("--peer-class", "all", *words) for words in (
            ("--journal-directory", self.journal.folder), ("--time-zone", "UTC", log))]
        for scan in scans:
            del scan["window"]  # Microseconds, and seconds.
        self.assertEqual(scans[0], scans[1])
        self.assertEqual(scans[0]["inbound"]["sessions"], self.truth.sessions)

    def test_what_the_journal_lost_makes_the_answer_incomplete(self):
        self.write_journal(self.lines)
        self.read_journal("state")
        completeness = self.server.stats(window="7d")["completeness"]
        self.assertEqual(int(completeness["exceptions"]["suppressedLines"]), 1234)
        self.assertFalse(completeness["complete"])

    def test_a_growing_journal_is_followed_over_kills(self):
        eighth = len(self.lines) // 8
        pieces = [self.lines[i:i + eighth] for i in range(0, len(self.lines), eighth)]
        self.journal.append(pieces[0])
        agent = self.start_agent(self.server, "mx1",
                                 options=("--journal-directory", self.journal.folder))
        read = 0
        for number, piece in enumerate(pieces):
            if number > 0:
                if number == 4:
                    self.journal.reboot()
                self.journal.append(piece)
            read += len(piece)
            self.wait_until(lambda: self.line_counts(self.server)["lines_read"] == read,
                            f"{read} lines")
            if number % 2 == 1:
                agent.kill()
                if number == 5:
                    shutil.rmtree(agent.state_dir)
                agent.start()
        self.assertEqual(agent.stop(), 0)
        self.assert_counted_once()
        self.assertEqual(self.gaps(), 0)

    def test_the_journal_again_changes_nothing(self):
        self.write_journal(self.lines)
        for state in ("state", "state", "lost-state"):
            self.read_journal(state)
            self.assert_counted_once()
        self.assertEqual(self.line_counts(self.server)["lines_read"], len(self.lines))
        self.assertEqual(self.gaps(), 0)

    def test_what_an_older_database_lacks_returns(self):
        half = len(self.lines) // 2
        self.journal.append(self.lines[:half])
        self.read_journal("state")
        self.assertEqual(self.server.stop(), 0)
        older = self.dir / "older.db"
        shutil.copyfile(self.server.database, older)
        self.server.start()
        self.journal.append(self.lines[half:])
        self.read_journal("state")
        self.assert_counted_once()

        self.assertEqual(self.server.stop(), 0)
        for suffix in ("", "-wal", "-shm"):
            pathlib.Path(f"{self.server.database}{suffix}").unlink(missing_ok=True)
        shutil.copyfile(older, self.server.database)
        self.server.start()
        self.read_journal("state")
        self.assert_counted_once()
        self.assertEqual(self.line_counts(self.server)["lines_read"], len(self.lines))

    def test_entries_that_vacuuming_removed_are_a_gap(self):
        half = len(self.lines) // 2
        self.journal.append(self.lines[:half])
        self.read_journal("state")
        (self.journal.folder / "system.journal").unlink()
        self.journal.append(self.lines[half + 100:])
        self.read_journal("state")
        self.assertEqual(self.gaps(), 1)

    def test_scan_tells_of_a_file_that_cannot_be_read_and_reads_the_others(self):
        self.write_journal(self.lines)
        damaged = self.journal.folder / "damaged.journal"
        damaged.write_bytes(b"damage")
        scan = self.scan("--format", "json", "--peer-class", "all",
                         "--journal-directory", self.journal.folder, check=False)
        self.assertEqual(scan.returncode, 1)
        self.assertIn(f"{damaged}: truncated journal file", scan.stderr)
        self.assertEqual(json.loads(scan.stdout)["inbound"]["sessions"], self.truth.sessions)

    def test_forged_entries_count_nothing_and_are_shown(self):
        self.write_journal(self.lines)
        last = self.lines[-1][:15]
        self.journal.append([f"{last} mx1 postfix/smtpd[{pid}]: {text}"
                             for pid in range(100, 110)
                             for text in ("connect from forger[192.0.2.66]",
                                          "disconnect from forger[192.0.2.66] ehlo=1 quit=1")],
                            **FORGED)
        self.start_agent(self.server, "mx1", state_dir=self.dir / "state",
                         options=("--journal-directory", self.journal.folder))

        def untrusted():
            done = self.run_program([harness.agent_binary(), "status", "--state-dir",
                                     self.dir / "state", "--format", "json"], check=False)
            logs = json.loads(done.stdout)["logs"] if done.stdout.strip() else []
            return logs[0]["untrusted_lines"] if logs else 0
        self.wait_until(lambda: untrusted() == 20, "20 untrusted entries")
        self.assert_counted_once()

    def test_a_host_is_read_from_its_journal_or_its_files(self):
        self.write_journal(self.lines)
        self.read_journal("state")
        log = self.dir / "mail.log"
        log.write_text("".join(line + "\n" for line in self.lines))
        agent = self.start_agent(self.server, "mx1", log, state_dir=self.dir / "state-file")
        agent.process.wait_for_line("host mx1 is read from the journal")
        self.assert_counted_once()


if __name__ == "__main__":
    harness.main()
