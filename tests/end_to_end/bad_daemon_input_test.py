"""What is wrong around the daemons: their options, ports and the database.

A clear message, a defined exit status, nothing lost.
"""

import os
import pathlib
import socket
import sqlite3
import subprocess
import time

import database
import harness
import maillog

HOUR = 3600
ANY_PORT = ["--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"]
NOBODY = 65534


class BadOptionsTest(harness.EndToEndTest):
    def assert_refused(self, program, words, status, *errors, environment=None):
        done = self.run_program([program, *words], check=False,
                                env={**os.environ, **(environment or {})})
        self.assertEqual(done.returncode, status, done.stderr)
        for error in errors:
            self.assertIn(error, done.stderr)

    def both(self):
        return ((harness.agent_binary(), "run", "MXTALLY_AGENT_",
                 ["--server", "localhost:1", "--log", "x.log"]),
                (harness.server_binary(), "serve", "MXTALLY_SERVER_",
                 ["--database", f"sqlite:{self.dir}/x.db", *ANY_PORT]))

    def test_unknown_and_wrong_options(self):
        for program, command, _, good in self.both():
            self.assert_refused(program, [*good, "--frobnicate"], 2, "--frobnicate")
            self.assert_refused(program, [command, "extra", *good], 2, "extra")
            self.assert_refused(program, ["frobnicate"], 2, "frobnicate")
            self.assert_refused(program, [*good, "--log-level", "loud"], 2,
                                '--log-level: expected one of debug, info, warn, error, found "loud"')
            self.assert_refused(program, [*good, good[0], "x"], 2, good[0])

    def test_unknown_and_wrong_variables(self):
        for program, _, prefix, good in self.both():
            self.assert_refused(program, good, 2,
                                f'{prefix}PLAINTEXT: expected true or false, found "on"',
                                f"{prefix}LISTN: expected one of {prefix}CONFIG",
                                environment={f"{prefix}PLAINTEXT": "on", f"{prefix}LISTN": "x"})

    def test_unknown_keys_wrong_types_and_values_of_the_file(self):
        path = self.dir / "file.toml"
        for program, _, _, good in self.both():
            for text, error in (("plaintext = 1", ":1: plaintext: expected true or false, without quotes, "
                                                  "found the integer 1"),
                                ("\nplain-text = true", ":2: plain-text: expected one of "),
                                ("log-level = \"loud\"", ":1: log-level: expected one of debug, info"),
                                ("[section]\nplaintext = true", ":1: section: expected one of "),
                                ("plaintext = true\nplaintext = true", ":2: "),
                                ("plaintext", ":1: ")):
                path.write_text(text)
                self.assert_refused(program, [*good, "--config", path], 78, f"{path}{error}")
                self.assert_refused(program, ["check", *good[:4], "--config", path], 78, f"{path}{error}")
            self.assert_refused(program, [*good, "--config", self.dir], 78, "Is a directory")
            self.assert_refused(program, [*good, "--config", self.dir / "none"], 78, "No such file")


class BadPortTest(harness.EndToEndTest):
    def test_occupied_ports(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            for option, other in (("--listen", "--http-listen"), ("--http-listen", "--listen")):
                done = self.run_program(
                    [harness.server_binary(), "--database", f"sqlite:{self.dir}/x.db",
                     option, address, other, "127.0.0.1:0"], check=False)
                self.assertEqual(done.returncode, 1)
                self.assertRegex(done.stderr.splitlines()[-1], f"cannot listen on {address}: in use")


class BadDatabaseTest(harness.EndToEndTest):
    def setUp(self):
        super().setUp()
        self.path = self.dir / "mxtally.db"

    def make_database(self):
        server = self.start_server(database=self.path)
        self.assertEqual(server.stop(), 0)

    def assert_refused(self, error, as_nobody=False, path=None):
        def drop():
            if as_nobody and os.geteuid() == 0:
                os.setgid(NOBODY)
                os.setuid(NOBODY)
        done = subprocess.run([harness.server_binary(), *ANY_PORT, "--database",
                               f"sqlite:{path or self.path}"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              check=False, timeout=harness.PATIENCE_SECONDS, preexec_fn=drop)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stderr.splitlines()[-1], error)

    def test_of_a_newer_release(self):
        self.make_database()
        connection = sqlite3.connect(self.path)
        connection.execute("PRAGMA user_version = 999")
        connection.close()
        before = self.path.read_bytes()
        self.assert_refused("made by a newer release: its schema has version 999, this release knows up to")
        self.assertEqual(self.path.read_bytes(), before)

    def test_damaged(self):
        self.make_database()
        with self.path.open("r+b") as file:
            file.seek(100)
            file.write(b"\x5a" * 3000)
        self.assert_refused("mxtally.db: database disk image is malformed")

    def test_cut_short(self):
        self.make_database()
        os.truncate(self.path, self.path.stat().st_size // 2 // 4096 * 4096)
        self.assert_refused("mxtally.db: database disk image is malformed")

    def test_of_another_program(self):
        self.path.write_text("something else, and no database")
        self.assert_refused("mxtally.db: not a mxtally database")
        self.path.unlink()
        connection = sqlite3.connect(self.path)
        connection.execute("CREATE TABLE other (x)")
        connection.commit()
        connection.close()
        self.assert_refused("mxtally.db: not a mxtally database")

    def test_a_directory(self):
        self.path.mkdir()
        self.assert_refused("mxtally.db: ")

    def test_in_a_folder_that_is_not_there(self):
        self.assert_refused("no/such/x.db.*No such file or directory", path=self.dir / "no/such/x.db")

    def test_locked_by_another_program(self):
        self.make_database()
        connection = sqlite3.connect(self.path, isolation_level=None)
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        self.assert_refused("mxtally.db: database is locked")
        connection.close()

    def test_of_another_server(self):
        server = self.start_server(database=self.path)
        self.assert_refused("another server has this database open")
        self.assertTrue(server.process.running())

    def test_read_only(self):
        self.make_database()
        self.dir.chmod(0o777)
        self.path.chmod(0o444)
        pathlib.Path(f"{self.path}.lock").chmod(0o666)
        self.assert_refused("mxtally.db: expected a file that may be written, found a read-only one",
                            as_nobody=True)
        self.dir.chmod(0o555)
        self.assert_refused("mxtally.db: expected a file that may be written, found a read-only one",
                            as_nobody=True)
        pathlib.Path(f"{self.path}.lock").unlink()
        self.assert_refused("mxtally.db.lock: open: Permission denied", as_nobody=True)
        self.dir.chmod(0o755)


class FullDiskTest(harness.EndToEndTest):
    """A file system of its own, so that it can be full: needs root."""

    def setUp(self):
        super().setUp()
        self.disk = self.dir / "disk"
        self.disk.mkdir()
        mounted = self.run_program(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", self.disk],
                                   check=False)
        if mounted.returncode != 0:
            self.skipTest(f"cannot mount a small file system: {mounted.stderr.strip()}")
        self.addCleanup(self.run_program, ["umount", "-l", self.disk])

    def enlarge(self, size):
        self.run_program(["mount", "-o", f"remount,size={size}", self.disk])

    def sessions(self, path):
        return sum(count[0] for count in database.counts(path).values())

    def test_acknowledgements_stop_and_go_on_when_there_is_room_again(self):
        host = maillog.Mailhost(seed=3, start=int(time.time()) // HOUR * HOUR - 5 * HOUR)
        lines = []
        while host.truth.sessions < 20000:
            lines += host.busy_second()
            host.now += 1
        lines += host.finish()
        log = self.dir / "mail.log"
        log.write_text("".join(line + "\n" for line in lines))
        server = self.start_server(database=self.disk / "mxtally.db")
        agent = self.start_agent(server, "mx1", log, options=("--once",))
        server.process.wait_for_line("store failed, nothing of this is acknowledged: "
                                     "RESOURCE_EXHAUSTED: database or disk is full")
        agent.process.wait_for_line("no connection, RESOURCE_EXHAUSTED: the store did not commit")
        self.assertTrue(server.process.running())
        self.assertTrue(agent.process.running())
        # Queries answer what is there.
        self.assertLess(server.total(window="24h", filter={"peer_classes": ["EXTERNAL", "LOOPBACK"]})
                        ["sessions"], host.truth.sessions)

        self.enlarge("200m")
        self.assertEqual(agent.wait(), 0, agent.process.tail())
        self.assertEqual(database.differences(host.truth.by_labels(),
                                              database.counts(server.database)), [])
        self.assertEqual(database.audit(server.database), [])
        self.run_program([harness.server_binary(), "check", "--database", f"sqlite:{server.database}"])
        self.assertEqual(server.stop(), 0)

    def test_backup_to_a_full_disk_leaves_nothing(self):
        server = self.start_server()
        path = self.disk / "copy.db"
        with self.assertRaises(OSError), (self.disk / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(b"x" * 4096)
        done = self.run_program([harness.server_binary(), "backup", "--database",
                                 f"sqlite:{server.database}", "--to", path], check=False)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, "full|No space left")
        self.assertEqual([file.name for file in self.disk.iterdir()], ["filler"])


if __name__ == "__main__":
    harness.main()
