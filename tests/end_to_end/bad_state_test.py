"""State directories as they should not be: what is delivered is never lost, and never twice."""

import os
import pathlib
import shutil
import subprocess

import bad_log_test as logs
import database
import harness


class BadStateTest(harness.EndToEndTest):
    def setUp(self):
        super().setUp()
        self.server = self.start_server()
        self.log = self.dir / "mail.log"
        self.state = self.dir / "state"

    def write(self, lines):
        with open(self.log, "ab") as file:
            file.write(logs.text(lines))

    def counted(self):
        return database.progress(self.server.database)[0]

    def mount(self, options):
        """A file system of its own under the state directory."""
        if os.geteuid() != 0:
            self.skipTest("mounting a file system needs root")
        self.state.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", self.state], check=False)
        if done.returncode != 0:
            self.skipTest("file systems cannot be mounted here")
        self.addCleanup(subprocess.run, ["umount", "-l", self.state], check=True)

    def start(self, *options, host="mx1"):
        return self.start_agent(self.server, host, self.log, options=options, state_dir=self.state)

    def assert_counted_once(self, expected):
        self.assertEqual(self.counted(), expected)
        self.assertEqual(database.exceptions(self.server.database), {})
        self.assertEqual(database.audit(self.server.database), [])

    # ---- Read-only

    def test_read_only_directory_is_refused(self):
        self.mount("size=1m,ro")
        agent = self.start()
        agent.process.wait_for_line(rf"open {self.state}/lock: Read-only file system")
        self.assertEqual(agent.wait(), 1)

    def test_directory_that_cannot_be_made_is_refused(self):
        self.state = pathlib.Path("/proc/mxtally-state")
        agent = self.start()
        agent.process.wait_for_line(r"create directory /proc/mxtally-state: ")
        self.assertEqual(agent.wait(), 1)

    def test_directory_that_becomes_read_only_stops_the_checkpoint_and_not_the_delivery(self):
        self.write(logs.sessions(50))
        agent = self.start_as_somebody()
        self.wait_until(lambda: (self.state / "checkpoint").exists(), "a checkpoint")
        self.state.chmod(0o555)
        self.write(logs.sessions(50, pid=2000))
        agent.wait_for_line(rf"create {self.state}/checkpoint.new: Permission denied; delivery goes on")
        self.wait_until(lambda: self.counted() == 100, "the delivery goes on")
        agent.kill()
        # Nothing of it is known after a restart, and it is read again.
        self.state.chmod(0o755)
        agent = self.start_as_somebody()
        self.write(logs.sessions(50, pid=3000))
        self.wait_until(lambda: self.counted() == 150, "the sessions after the restart")
        self.assertEqual(agent.terminate(), 0)
        self.assert_counted_once(150)

    def start_as_somebody(self):
        return logs.start_as_somebody(self, self.server, self.state, [self.log], ())

    # ---- Full

    def fill(self):
        with open(self.state / "filling", "ab", buffering=0) as file:
            for size in (65536, 4096, 1):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError:
                    pass

    def test_full_directory_stops_the_checkpoint_and_not_the_delivery(self):
        self.mount("size=1m")
        self.write(logs.sessions(50))
        agent = self.start()
        self.wait_until(lambda: (self.state / "checkpoint").exists(), "a checkpoint")
        self.fill()
        self.write(logs.sessions(50, pid=2000))
        agent.process.wait_for_line(r"RESOURCE_EXHAUSTED: .*No space left on device; delivery goes on")
        self.wait_until(lambda: self.counted() == 100, "the delivery goes on")
        (self.state / "filling").unlink()
        agent.process.wait_for_line(r"the checkpoint can be written again")
        agent.kill()
        agent.start()
        self.write(logs.sessions(50, pid=3000))
        self.wait_until(lambda: self.counted() == 150, "the sessions after the restart")
        self.assertEqual(agent.stop(), 0)
        self.assert_counted_once(150)

    def test_full_directory_at_the_start_delivers_all_and_says_so(self):
        self.mount("size=64k")
        self.write(logs.sessions(50))
        self.fill()
        agent = self.start("--once")
        self.assertEqual(agent.wait(), 1)
        self.assertIn("the checkpoint could not be written", agent.process.lines[-1])
        self.assert_counted_once(50)
        (self.state / "filling").unlink()
        agent.start()
        self.assertEqual(agent.wait(), 0)
        self.assert_counted_once(50)

    # ---- Somebody else's

    def test_directory_held_by_another_process_is_refused(self):
        first = self.start()
        first.process.wait_for_line("connected")
        second = self.start()
        second.process.wait_for_line(rf"{self.state}/lock is held by another agent")
        self.assertEqual(second.wait(), 1)
        self.write(logs.sessions(50))
        self.wait_until(lambda: self.counted() == 50, "the first one goes on")
        self.assertEqual(first.stop(), 0)

    def test_directory_of_another_host_is_told_and_everything_is_read_for_this_one(self):
        """A machine that was cloned, or got another name."""
        self.write(logs.sessions(50))
        self.assertEqual(self.start("--once").wait(), 0)
        agent = self.start("--once", host="mx2")
        self.assertEqual(agent.wait(), 0)
        self.assertIn(f"{self.state}: expected the state of host mx2, found that of mx1",
                      agent.process.tail())
        self.assert_counted_once(100)
        again = self.start("--once", host="mx2")
        self.assertEqual(again.wait(), 0)
        self.assertNotIn("found that of", again.process.tail())
        self.assert_counted_once(100)

    def test_damaged_checkpoints_are_told_and_the_log_is_read_again(self):
        self.write(logs.sessions(50))
        self.assertEqual(self.start("--once").wait(), 0)
        self.write(logs.sessions(50, pid=2000))
        for path in self.state.glob("checkpoint*"):
            path.write_bytes(b"\xff" * 100)
        agent = self.start("--once")
        self.assertEqual(agent.wait(), 0)
        self.assertIn("checkpoint is damaged", agent.process.tail())
        self.assert_counted_once(100)

    def test_directory_lost_while_running_costs_nothing_but_reading_again(self):
        self.write(logs.sessions(50))
        agent = self.start()
        self.wait_until(lambda: self.counted() == 50, "the sessions before")
        shutil.rmtree(self.state)
        self.write(logs.sessions(50, pid=2000))
        agent.process.wait_for_line(r"checkpoint.*No such file or directory; delivery goes on")
        self.wait_until(lambda: self.counted() == 100, "the delivery goes on")
        self.assertEqual(agent.stop(), 1)
        self.assertIn("the checkpoint could not be written", agent.process.lines[-1])
        agent.start()
        self.write(logs.sessions(50, pid=3000))
        self.wait_until(lambda: self.counted() == 150, "the sessions after the restart")
        self.assertEqual(agent.stop(), 0)
        self.assert_counted_once(150)


if __name__ == "__main__":
    harness.main()
