"""Logs as they should not be.

Whatever stands between good lines, the sessions around it are counted, once;
what could not be read or understood is counted as what it is.
"""

import datetime
import os
import random
import shutil

import database
import harness

UTC = datetime.timezone.utc
START = datetime.datetime(2026, 11, 2, 10, tzinfo=UTC)
PEER = "mail.example.net[192.0.2.10]"
MEGABYTE = 1 << 20


def stamp(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%S+00:00")


def session(when, pid, peer=PEER, helo="mail.example.net"):
    """Lines of one plaintext session; `when` is a moment or a stamp."""
    header = f"{when if isinstance(when, str) else stamp(when)} mx1 postfix/smtpd[{pid}]: "
    return [f"{header}connect from {peer}",
            f"{header}NOQUEUE: reject: RCPT from {peer}: 554 5.7.1 <x@example.org>: no; "
            f"from=<a@example.net> to=<x@example.org> proto=ESMTP helo=<{helo}>",
            f"{header}disconnect from {peer} ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4"]


def sessions(count, start=START, pid=1000):
    """Lines of `count` sessions, one a second."""
    return [line for number in range(count)
            for line in session(start + datetime.timedelta(seconds=number), pid + number)]


def text(lines):
    return "".join(line + "\n" for line in lines).encode()


def start_as_somebody(test, server, state, paths, options):
    """Starts an agent as a user who may not do everything, whoever runs the test."""
    test.dir.chmod(0o755)
    state.mkdir(exist_ok=True)
    words = ["run", "--server", server.address, "--host", "mx1", "--state-dir", state,
             *(word for path in paths for word in ("--log", path)), *options]
    if os.geteuid() != 0:
        return test.start_process("agent mx1", [harness.agent_binary(), *words])
    os.chown(state, 65534, 65534)
    # The program itself may lie where nobody else may look.
    copy = test.dir / "mxtally-agent"
    shutil.copy2(harness.agent_binary(), copy)
    return test.start_process("agent mx1", ["setpriv", "--reuid=65534", "--regid=65534",
                                            "--clear-groups", copy, *words])


class BadLogTest(harness.EndToEndTest):
    def setUp(self):
        super().setUp()
        self.server = self.start_server()
        self.log = self.dir / "mail.log"
        self.runs = 0

    def write(self, *parts):
        with open(self.log, "ab") as file:
            for part in parts:
                file.write(part if isinstance(part, bytes) else text(part))

    def read(self, log=None):
        """Reads the log to its end with a state that nothing else has used."""
        self.runs += 1
        self.read_once(self.server, "mx1", log or self.log,
                       state_dir=self.dir / f"state-{self.runs}")

    def counted(self):
        return database.progress(self.server.database)

    def exceptions(self):
        return database.exceptions(self.server.database)

    def lines(self, kind):
        with database.opened(self.server.database) as db:
            return db.execute(f"SELECT sum({kind}) FROM log_hour").fetchone()[0]

    def assert_counts(self, sessions_expected, exceptions):
        """Reads the log, and again: both times it counts what is expected."""
        for _ in range(2):
            self.read()
            self.assertEqual(self.counted()[0], sessions_expected)
            self.assertEqual(self.exceptions(), exceptions)
            self.assertEqual(database.audit(self.server.database), [])

    # ---- What stands in it

    def test_binary_garbage_hides_nothing_around_it(self):
        garbage = random.Random(1).randbytes(MEGABYTE) + b"\n"
        self.write(sessions(50), garbage, sessions(50, pid=2000))
        self.assert_counts(100, {})
        self.assertEqual(self.counted()[1], 300 + garbage.count(b"\n"))
        self.assertEqual(self.lines("ignored"), garbage.count(b"\n"))
        self.assertEqual(self.scan_json("--time-zone", "UTC", self.log)["inbound"]["sessions"], 100)

    def test_nul_runs_hide_nothing_around_them(self):
        """A crash leaves zeros at the end of a file, a writer that does not append a hole."""
        self.write(sessions(50), b"\0" * MEGABYTE, sessions(50, pid=2000), b"\0\0\n",
                   b"\0" * 10)
        os.truncate(self.log, self.log.stat().st_size + 20 * MEGABYTE)
        self.write(sessions(50, pid=3000))
        self.assert_counts(150, {})
        self.assertEqual(self.counted()[1], 451)

    def test_nuls_within_a_line_spoil_only_that_line(self):
        spoiled = text(session(START, 99)).replace(b"disconnect", b"dis\0\0ect")
        self.write(sessions(50), spoiled, sessions(50, pid=2000))
        # Its session stays open, for all that can be known.
        self.assert_counts(100, {"unrecognized": 1})

    def test_line_of_10_megabytes_is_skipped_and_counted(self):
        self.write(sessions(50), b"x" * (10 * MEGABYTE) + b"\n", sessions(50, pid=2000))
        self.assert_counts(100, {"oversized": 1})

    def test_line_of_10_megabytes_that_grows_takes_no_memory(self):
        harness.forget_freed_memory()
        self.write(sessions(50))
        agent = self.start_agent(self.server, "mx1", self.log, self.dir / "other.log")
        self.wait_until(lambda: self.counted()[0] == 50, "the sessions before")
        before = harness.peak_memory(agent.process)
        # Another log's sessions arrive after the agent looked at this one again.
        other = self.dir / "other.log"
        for number in range(5):
            self.write(b"x" * (2 * MEGABYTE))
            with open(other, "ab") as file:
                file.write(text(session(START, 9000 + number)))
            self.wait_until(lambda: self.counted()[0] == 51 + number, "the other log's session")
        self.write(b"\n", sessions(50, pid=2000))
        self.wait_until(lambda: self.counted()[0] == 105, "the sessions after")
        self.assertEqual(self.exceptions(), {"oversized": 1})
        self.assertLess(harness.peak_memory(agent.process) - before, 4 * MEGABYTE)
        self.assertEqual(agent.stop(), 0)

    def test_bytes_that_are_not_utf_8_are_replaced(self):
        odd = text(session(START, 99, helo="HELO")).replace(b"HELO", b"a\xff\xc3(\xed\xa0\x80z")
        self.write(sessions(50), odd, b"\xff\xfe\xfd\n", sessions(50, pid=2000))
        self.assert_counts(101, {})
        with database.opened(self.server.database) as db:
            [(detail,)] = db.execute("SELECT detail FROM session WHERE tag = 'postfix/smtpd[99]'")
        self.assertIn(b"a??(???z", detail)

    # ---- When it says it was

    def test_stamps_of_1970_and_2038_are_taken_at_their_word(self):
        self.write(sessions(50),
                   session("1970-01-01T00:00:00+00:00", 70), session("2038-01-19T03:14:07+00:00", 38),
                   session("2038-01-19T03:14:08+00:00", 39), session("2106-02-07T06:28:16Z", 40),
                   sessions(50, pid=2000))
        self.assert_counts(104, {})
        hours = {labels.hour for labels in database.counts(self.server.database)}
        self.assertEqual(hours, {0, int(START.timestamp()) // 3600, 2**31 // 3600, 2**32 // 3600})

    def test_lines_of_times_that_cannot_be_are_counted(self):
        self.write(sessions(50), session("1969-12-31T23:59:59Z", 69), session("0001-01-01T00:00:00Z", 1),
                   session("9999-12-31T23:59:60Z", 99), session("9999-12-31T23:59:59-23:59", 98),
                   sessions(50, pid=2000))
        self.read()
        self.assertEqual(self.counted()[0], 100)
        # Lines of what a record cannot hold.
        self.assertEqual(self.exceptions(), {"unrecognized": 12})

    def test_stamps_without_a_year_of_a_clock_that_began_in_1970(self):
        """A machine without a clock of its own: January 1 until it hears the time."""
        def traditional(lines, day):
            return [line.replace("2026-11-02T", day).replace("+00:00", "") for line in lines]
        self.write(traditional(sessions(50), "Nov  2 "), traditional(sessions(5, pid=70), "Jan  1 "),
                   traditional(sessions(50, pid=2000), "Nov  2 "))
        for _ in range(2):
            self.runs += 1
            self.read_once(self.server, "mx1", self.log, state_dir=self.dir / f"state-{self.runs}",
                           options=("--time-zone", "UTC", "--reference-time", "2026-11-03"))
            by_hour = {}
            for labels, (count, *_) in database.counts(self.server.database).items():
                by_hour[labels.hour] = by_hour.get(labels.hour, 0) + count
            # The January that is nearest.
            january = datetime.datetime(2027, 1, 1, 10, tzinfo=UTC)
            self.assertEqual(by_hour, {int(START.timestamp()) // 3600: 100,
                                       int(january.timestamp()) // 3600: 5})
            self.assertEqual(self.exceptions(), {})

    def test_one_stray_stamp_ends_no_open_session_and_forgets_no_key(self):
        begin, *rest = session(START, 99)
        self.write(sessions(50), [begin], session("2038-01-19T03:14:08Z", 38)[:1], rest,
                   session("1970-01-01T00:00:00Z", 70)[:1], session(START, 99))
        # 38 and 70 stay open.
        self.assert_counts(52, {})

    def test_clock_that_steps_both_ways_loses_nothing(self):
        hours = datetime.timedelta(hours=1)
        pids = iter(range(1000, 100000, 100))
        for step in (0, 26, -3, 0.5, -0.5, 1, 0, -700, 0, 700, 0):
            # The same process ids and seconds again, as far as the clock can make them.
            self.write(sessions(20, START + step * hours, next(pids)))
        self.assert_counts(220, {})

    def test_second_that_comes_again_after_a_step_back_is_another_second(self):
        """As far as ordinals are remembered: two hours of log time.  The log's first line does not
        come again, or it would be a copy of the log."""
        hours = datetime.timedelta(hours=1)
        self.write(session(START, 1), sessions(20), sessions(20, START + hours), sessions(20),
                   sessions(20, START - 0.9 * hours), sessions(20))
        self.assert_counts(101, {})

    # ---- What it is

    def test_directory_as_log_is_refused(self):
        for words in ((), ("--once",)):
            agent = self.start_agent(self.server, "mx1", self.dir, options=words)
            agent.process.wait_for_line(rf"{self.dir} is a directory")
            self.assertEqual(agent.wait(), 2)

    def test_directory_where_a_log_was_expected_is_told_and_the_others_are_read(self):
        other = self.dir / "other.log"
        agent = self.start_agent(self.server, "mx1", self.log, other)
        agent.process.wait_for_line("connected")
        self.log.mkdir()
        agent.process.wait_for_line(rf"{self.log}( is a directory|.*is not a regular file)")
        other.write_bytes(text(sessions(50)))
        self.wait_until(lambda: self.counted()[0] == 50, "the other log's sessions")
        self.log.rmdir()
        self.write(sessions(50, pid=2000))
        self.wait_until(lambda: self.counted()[0] == 100, "the sessions of what is a log now")
        self.assertEqual(agent.stop(), 0)
        self.assertEqual(self.exceptions(), {})

    def test_fifo_as_log_is_told_and_the_others_are_read(self):
        os.mkfifo(self.log)
        other = self.dir / "other.log"
        other.write_bytes(text(sessions(50)))
        once = self.start_agent(self.server, "mx1", self.log, other, options=("--once",))
        self.assertEqual(once.wait(), 1)
        self.assertIn(f"{self.log} is not a regular file", once.process.tail())
        self.assertEqual(self.counted()[0], 50)

        agent = self.start_agent(self.server, "mx1", self.log, other)
        agent.process.wait_for_line(rf"{self.log} is not a regular file")
        self.log.unlink()
        self.write(sessions(50, pid=2000))
        self.wait_until(lambda: self.counted()[0] == 100, "the sessions of what is a log now")
        agent.process.wait_for_line(rf"{self.log}: can be read again")
        self.assertEqual(agent.stop(), 0)
        self.assertEqual(self.exceptions(), {})

    def test_unreadable_log_is_told_once_and_read_when_it_can_be(self):
        self.write(sessions(50))
        self.log.chmod(0)
        agent = self.start_as_somebody()
        agent.wait_for_line(rf"{self.log}: PERMISSION_DENIED: open {self.log}: Permission denied")
        other = self.dir / "other.log"
        other.write_bytes(text(sessions(50, pid=2000)))
        self.wait_until(lambda: self.counted()[0] == 50, "the other log's sessions")
        self.log.chmod(0o644)
        agent.wait_for_line(rf"{self.log}: can be read again")
        self.wait_until(lambda: self.counted()[0] == 100, "the sessions of the log")
        self.assertEqual(agent.terminate(), 0)
        self.assertEqual(self.exceptions(), {})
        told = [line for line in agent.lines if "PERMISSION_DENIED" in line]
        self.assertEqual(len(told), 1, told)

    def test_unreadable_log_fails_once(self):
        self.write(sessions(50))
        self.log.chmod(0)
        agent = self.start_as_somebody("--once")
        self.assertEqual(agent.wait(), 1)
        self.assertIn("Permission denied", agent.lines[-1])

    def start_as_somebody(self, *options):
        return start_as_somebody(self, self.server, self.dir / "state-somebody",
                                 [self.log, self.dir / "other.log"], options)

    def test_log_deleted_while_open_is_read_to_its_end(self):
        self.write(sessions(50))
        agent = self.start_agent(self.server, "mx1", self.log)
        self.wait_until(lambda: self.counted()[0] == 50, "the sessions before")
        with open(self.log, "ab") as writer:
            self.log.unlink()
            writer.write(text(sessions(50, pid=2000)))
            writer.flush()
            self.wait_until(lambda: self.counted()[0] == 100, "what is written to the deleted file")
        self.write(sessions(50, pid=3000))
        self.wait_until(lambda: self.counted()[0] == 150, "what is written to the new file")
        self.assertEqual(agent.stop(), 0)
        # Files between the two may have been deleted too: nobody can tell.
        self.assertEqual(self.exceptions(), {"gaps": 1})

    def test_log_deleted_while_stopped_is_a_gap(self):
        state = self.dir / "state"
        self.write(sessions(50))
        self.read_once(self.server, "mx1", self.log, state_dir=state)
        self.write(sessions(50, pid=2000))
        self.log.unlink()
        self.write(sessions(50, pid=3000))
        self.read_once(self.server, "mx1", self.log, state_dir=state)
        self.assertEqual(self.counted()[0], 100)
        self.assertEqual(self.exceptions(), {"gaps": 1})


if __name__ == "__main__":
    harness.main()
