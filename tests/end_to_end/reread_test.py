"""Reads one log again in every way it may come back.

Nothing is counted twice, and what a database lost by being restored from an
older copy returns.
"""

import bz2
import contextlib
import gzip
import lzma
import os
import pathlib
import shutil
import sqlite3
import time

import database
import harness
import maillog

SESSIONS = 5000
HOUR = 3600


class RereadTest(harness.EndToEndTest):
    def setUp(self):
        super().setUp()
        # Three days ago, on the hour.
        start = int(time.time()) // HOUR * HOUR - 3 * 24 * HOUR
        host = maillog.Mailhost(seed=4, start=start)
        self.lines = []
        while host.truth.sessions < SESSIONS:
            # A busy second a minute: the log spans more time than ordinals are remembered.
            self.lines += host.busy_second()
            host.now += 60
        self.lines += host.finish()
        self.truth = host.truth
        self.server = self.start_server()

    def write(self, name, lines):
        """Makes a log file in a folder of its own; returns its path."""
        path = self.dir / name / "mail.log"
        path.parent.mkdir()
        path.write_text("".join(line + "\n" for line in lines))
        return path

    def read(self, *logs, state="fresh"):
        """Reads logs to their ends with a state that nothing else has used."""
        self.states = getattr(self, "states", 0) + 1
        self.read_once(self.server, "mx1", *logs,
                       state_dir=self.dir / f"state-{state}-{self.states}")

    def assert_counted_once(self):
        path = self.server.database
        wrong = database.differences(self.truth.by_labels(), database.counts(path))
        wrong += database.audit(path)
        harmless = {"cut_sessions"}  # A piece begins within sessions.
        wrong += [f"{name}: {count}" for name, count in database.exceptions(path).items()
                  if name not in harmless]
        self.assertEqual(wrong, [])

    def pieces(self):
        third = len(self.lines) // 3
        return [self.lines[:third], self.lines[third:2 * third], self.lines[2 * third:]]

    def test_the_same_log_again_changes_nothing(self):
        log = self.write("whole", self.lines)
        for _ in range(3):
            self.read(log)
            self.assert_counted_once()

    def test_pieces_after_the_whole_change_nothing(self):
        self.read(self.write("whole", self.lines))
        for number, piece in enumerate(self.pieces()):
            self.read(self.write(f"piece{number}", piece))
            self.assert_counted_once()

    def test_the_whole_completes_its_pieces(self):
        # The sessions that a cut goes through are in no piece.
        for number, piece in reversed(list(enumerate(self.pieces()))):
            self.read(self.write(f"piece{number}", piece))
        self.assertLess(database.progress(self.server.database)[0], self.truth.sessions)
        self.read(self.write("whole", self.lines))
        self.assert_counted_once()

    def test_rotated_pieces_are_one_log(self):
        oldest, older, newest = self.pieces()
        log = self.write("rotated", newest)
        for number, piece in ((1, older), (2, oldest)):
            path = pathlib.Path(f"{log}.{number}")
            path.write_text("".join(line + "\n" for line in piece))
            os.utime(path, times=(time.time() - number * HOUR,) * 2)
        self.read(f"{log}*")
        self.assert_counted_once()
        self.read(self.write("concatenated", self.lines))
        self.assert_counted_once()

    def archive(self, path, compress):
        """Compresses a file as gzip and its like do: the time stays, the plain file goes."""
        ending = {gzip: "gz", bz2: "bz2", lzma: "xz"}[compress]
        archive = path.with_name(f"{path.name}.{ending}")
        archive.write_bytes(compress.compress(path.read_bytes()))
        shutil.copystat(path, archive)
        path.unlink()
        return archive

    def lines_counted(self):
        with contextlib.closing(sqlite3.connect(self.server.database)) as db:
            return db.execute("SELECT sum(lines_read) FROM log").fetchone()[0]

    def test_rotated_pieces_may_be_compressed_and_their_times_lost(self):
        oldest, older, newest = self.pieces()
        half = len(oldest) // 2
        log = self.write("rotated", newest)
        pieces = ((1, older, gzip), (2, oldest[half:], bz2), (3, oldest[:half], lzma))
        for number, piece, compress in pieces:
            path = pathlib.Path(f"{log}.{number}")
            path.write_text("".join(line + "\n" for line in piece))
            os.utime(path, times=(time.time() + number * HOUR,) * 2)
            self.archive(path, compress)
        self.read(f"{log}*")
        self.assert_counted_once()
        self.assertEqual(self.lines_counted(), len(self.lines))

    def test_rotation_and_compression_while_the_agent_is_stopped(self):
        first, second, third = self.pieces()
        half = len(first) // 2
        log = self.write("rotated", first[:half])
        state = self.dir / "state-rotated"
        self.read_once(self.server, "mx1", log, state_dir=state)
        with log.open("a") as file:
            file.write("".join(line + "\n" for line in first[half:]))
        older = log.with_name("mail.log.2.xz")
        self.archive(log.rename(log.with_name("mail.log.1")), lzma).rename(older)
        self.write_again(log, second)
        self.archive(log.rename(log.with_name("mail.log.1")), gzip)
        self.write_again(log, third)
        self.read_once(self.server, "mx1", log, state_dir=state)
        self.assert_counted_once()
        self.assertEqual(self.lines_counted(), len(self.lines))
        with contextlib.closing(sqlite3.connect(self.server.database)) as db:
            self.assertEqual(db.execute("SELECT count(*) FROM gap").fetchone()[0], 0)
        # The same from the beginning, for a database that has nothing.
        self.restore(None)
        self.read_once(self.server, "mx1", log, state_dir=state)
        self.assert_counted_once()

    def write_again(self, log, lines):
        log.write_text("".join(line + "\n" for line in lines))

    def test_a_log_twice_in_one_file_counts_once(self):
        self.read(self.write("doubled", self.lines + self.lines))
        self.assert_counted_once()

    def test_a_copy_under_another_name_changes_nothing(self):
        log = self.write("whole", self.lines)
        copy = log.with_name("syslog")
        shutil.copyfile(log, copy)
        self.read(log, copy)
        self.assert_counted_once()

    def test_what_an_older_database_lacks_returns(self):
        half = len(self.lines) // 2
        log = self.write("growing", self.lines[:half])
        state = self.dir / "state-growing"
        self.read_once(self.server, "mx1", log, state_dir=state)
        self.assertEqual(self.server.stop(), 0)
        older = self.dir / "older.db"
        shutil.copyfile(self.server.database, older)
        self.server.start()

        with log.open("a") as file:
            file.write("".join(line + "\n" for line in self.lines[half:]))
        self.read_once(self.server, "mx1", log, state_dir=state)
        self.assert_counted_once()

        self.restore(older)
        self.assertLess(database.progress(self.server.database)[0], self.truth.sessions)
        self.read_once(self.server, "mx1", log, state_dir=state)
        self.assert_counted_once()

    def test_another_database_gets_everything(self):
        log = self.write("whole", self.lines)
        state = self.dir / "state-whole"
        self.read_once(self.server, "mx1", log, state_dir=state)
        self.restore(None)
        self.read_once(self.server, "mx1", log, state_dir=state)
        self.assert_counted_once()

    def restore(self, backup):
        """Puts an older database, or none, in place of the server's."""
        self.assertEqual(self.server.stop(), 0)
        for suffix in ("", "-wal", "-shm"):
            pathlib.Path(f"{self.server.database}{suffix}").unlink(missing_ok=True)
        if backup is not None:
            shutil.copyfile(backup, self.server.database)
        self.server.start()


if __name__ == "__main__":
    harness.main()
