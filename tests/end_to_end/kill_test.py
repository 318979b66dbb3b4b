"""Kills everything, again and again, under a live log.

A host writes 200,000 sessions and more; its log is rotated every few seconds by
renaming and by copying, while agent and server are killed with SIGKILL: from
outside at any moment, and by themselves at the two moments that decide (option
MXTALLY_TEST_KILL of both programs): after a commit and before its
acknowledgement, and after an acknowledgement and before the checkpoint.
Meanwhile the host's clock is set back ten minutes, then an hour repeats as
summer time ends, and half-way the agent's state is deleted.

In the end every session and every line is counted exactly once.

MXTALLY_TEST_SEED repeats a run, as far as the processes' timing lets it;
MXTALLY_TEST_SESSIONS makes it shorter, for trying things out.
"""

import contextlib
import os
import random
import shutil
import signal
import threading
import time
import zoneinfo

import database
import harness
import maillog

SESSIONS = int(os.environ.get("MXTALLY_TEST_SESSIONS", "200000"))
KILLS_AT_EACH_POINT = 10
ZONE = "Europe/Berlin"

# How long the writing takes, about: time for kills, not a limit.
WRITING_SECONDS = 60
ROTATION_SECONDS = 2.5
# Mean time between two kills from outside.
OUTSIDE_KILL_SECONDS = 2.0
# Probability of a kill at each passing of a point; checkpoints are fewer.
KILL_PROBABILITY = {"after_commit": 0.15, "before_checkpoint": 0.4}

CLOCK_STEP_SECONDS = 600
BEFORE_CHANGE_SECONDS = 5400
LEFT_OPEN = 3


class Writer(threading.Thread):
    """The mail host: writes and rotates its log until it is told to finish."""

    def __init__(self, seed, path):
        super().__init__(daemon=True)
        zone = zoneinfo.ZoneInfo(ZONE)
        # The agent takes years from the file's date: the newest change it can be.
        self._change = maillog.last_autumn_change(zone, time.time() - 2 * 86400)
        self.host = maillog.Mailhost(seed, self._change - BEFORE_CHANGE_SECONDS, zone)
        self.rotations = 0
        self.error = None
        # Set when the sessions wanted are written and no more kills are needed.
        self.may_finish = threading.Event()
        self._file = maillog.LogFile(path)
        self._clock_stepped = False

    def run(self):
        try:
            self._write_all()
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    def _write_all(self):
        sessions_a_second = SESSIONS / WRITING_SECONDS
        started = rotated = time.monotonic()
        while self.host.truth.sessions < SESSIONS or not self.may_finish.is_set():
            for _ in range(10):
                self._file.write(self.host.busy_second())
            self._step_clock_once()
            now = time.monotonic()
            if now - rotated > ROTATION_SECONDS:
                self._rotate()
                rotated = now
            # Beyond what is wanted it only trickles.
            wanted = min(self.host.truth.sessions, SESSIONS) / sessions_a_second
            slack = started + wanted - now
            time.sleep(max(0.0, slack) if self.host.truth.sessions < SESSIONS else 0.2)
        self._file.write(self.host.leave_open(LEFT_OPEN))
        self._file.write(self.host.finish())

    def _rotate(self):
        self.rotations += 1
        if self.rotations % 2 == 0:
            self._file.rotate_by_copying()
        else:
            self._file.rotate_by_rename(late_lines=self.host.busy_second())

    def _step_clock_once(self):
        # Well before the hour that comes twice: within it nobody could tell.
        if not self._clock_stepped and self.host.now > self._change - BEFORE_CHANGE_SECONDS + 900:
            self.host.now -= CLOCK_STEP_SECONDS
            self._clock_stepped = True


@contextlib.contextmanager
def killing_itself(point, seed):
    os.environ["MXTALLY_TEST_KILL"] = f"{point}:{KILL_PROBABILITY[point]}:{seed}"
    try:
        yield
    finally:
        del os.environ["MXTALLY_TEST_KILL"]


class KillTest(harness.EndToEndTest):
    def setUp(self):
        super().setUp()
        self.seed = int(os.environ.get("MXTALLY_TEST_SEED", random.randrange(2**31)))
        print(f"MXTALLY_TEST_SEED={self.seed}", flush=True)
        self.random = random.Random(self.seed)
        self.kills = {"after_commit": 0, "before_checkpoint": 0, "outside": 0}

    def test_every_session_is_counted_once_whatever_is_killed(self):
        path = self.dir / "mail.log"
        self.writer = Writer(self.seed, path)
        self.server = self._start(
            "after_commit", self.start_server)
        self.agent = self._start(
            "before_checkpoint",
            lambda: self.start_agent(self.server, "mx1", path, options=["--time-zone", ZONE]))
        self.writer.start()
        self._kill_while_writing()
        self._deliver_the_rest()
        self._check_counts()

    def _start(self, point, start):
        """Calls `start` for a process that kills itself at `point`."""
        with killing_itself(point, self.random.randrange(2**31)):
            return start()

    def _restart(self, program, point):
        try:
            self._start(point, program.start)
        except AssertionError:
            # A server takes streams a moment before it says that it is ready.
            if program.process.running() or program.process.wait() != -signal.SIGKILL:
                raise

    def _kill_while_writing(self):
        state_deleted = False
        next_kill = time.monotonic() + OUTSIDE_KILL_SECONDS
        while self.writer.is_alive():
            self._restart_what_killed_itself()
            if time.monotonic() > next_kill:
                self._kill_from_outside(self.random.choice(
                    [[self.server], [self.agent], [self.server, self.agent]]))
                next_kill = time.monotonic() + self.random.uniform(0, 2 * OUTSIDE_KILL_SECONDS)
            if not state_deleted and self.writer.host.truth.sessions > SESSIONS // 2:
                self._kill_from_outside([self.agent], delete_state=True)
                state_deleted = True
            if state_deleted and min(self.kills.values()) >= KILLS_AT_EACH_POINT:
                self.writer.may_finish.set()
            time.sleep(0.02)
        if self.writer.error:
            raise self.writer.error
        self.assertTrue(state_deleted)

    def _points(self):
        return ((self.server, "after_commit"), (self.agent, "before_checkpoint"))

    def _restart_what_killed_itself(self):
        for program, point in self._points():
            if program.process.running():
                continue
            status = program.process.wait()
            if status != -signal.SIGKILL:
                self.fail(f"{point}: ended with {status}\n{program.process.tail()}")
            self.kills[point] += 1
            self._restart(program, point)

    def _kill_from_outside(self, programs, delete_state=False):
        # What killed itself a moment ago counts as that.
        self._restart_what_killed_itself()
        for program in programs:
            program.kill()
        self.kills["outside"] += 1
        time.sleep(self.random.choice((0, 0, 0.5)))  # Some log is written meanwhile.
        if delete_state:
            shutil.rmtree(self.agent.state_dir)
        for program, point in self._points():
            if program in programs:
                self._restart(program, point)

    def _deliver_the_rest(self):
        for program in (self.server, self.agent):
            if program.process.running():
                program.kill()
            program.start()
        truth = self.writer.host.truth
        self.wait_until(
            lambda: database.progress(self.server.database) == (truth.sessions, truth.lines),
            lambda: f"seed {self.seed}: (sessions, lines) are "
                    f"{database.progress(self.server.database)} of "
                    f"{(truth.sessions, truth.lines)}\n" + self._report())
        # Late duplicates, if there are any, come with the next batch.
        self.assertEqual(self.agent.stop(), 0)
        self.assertEqual(self.server.stop(), 0)

    def _check_counts(self):
        print(self._report(), flush=True)
        path = self.server.database
        wrong = database.differences(self.writer.host.truth.by_labels(), database.counts(path))
        wrong += database.audit(path)
        wrong += [f"{name}: {count}" for name, count in database.exceptions(path).items()]
        self.assertEqual(wrong, [], f"seed {self.seed}")

    def _report(self):
        return (f"seed {self.seed}: {self.writer.host.truth.sessions} sessions, "
                f"{self.writer.host.truth.lines} lines, {self.writer.rotations} rotations, "
                f"kills {self.kills}, differences "
                + str(database.differences(self.writer.host.truth.by_labels(),
                                           database.counts(self.server.database))))


if __name__ == "__main__":
    harness.main()
