"""Life with the daemons: what an operator does with them and sees of them."""

import contextlib
import errno
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

import database
import harness
import maillog

HOUR = 3600


class NotifySocket:
    """The service manager's end of sd_notify(3)."""

    def __init__(self, path, watchdog_seconds):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(harness.PATIENCE_SECONDS)
        self.environment = {"NOTIFY_SOCKET": str(path),
                            "WATCHDOG_USEC": str(int(watchdog_seconds * 1e6))}

    def next(self, pattern):
        """Waits for a message that matches; returns those before it, and it."""
        messages = []
        while not messages or not re.search(pattern, messages[-1]):
            messages.append(self._socket.recv(65536).decode())
        return messages

    def close(self):
        self._socket.close()


class DaemonTest(harness.EndToEndTest):
    def write_log(self, name="mail.log", sessions=200):
        host = maillog.Mailhost(seed=1, start=int(time.time()) // HOUR * HOUR - 2 * HOUR)
        lines = []
        while host.truth.sessions < sessions:
            lines += host.busy_second()
            host.now += 1
        lines += host.finish()
        path = self.dir / name
        path.write_text("".join(line + "\n" for line in lines))
        self.truth = host.truth
        return path

    # ---- mxtally-agent status

    def status(self, agent):
        """Exit status and answer of `mxtally-agent status`."""
        done = self.run_program([harness.agent_binary(), "status", "--state-dir", agent.state_dir,
                                 "--format", "json"], check=False)
        return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr

    def test_status_follows_agent_and_server_through_their_lives(self):
        log = self.write_log()
        server = self.start_server()
        agent = self.start_agent(server, "mx1", log)
        size = log.stat().st_size

        def delivered():
            code, answer = self.status(agent)
            return code == 0 and answer["logs"][0]["position"] == size and answer
        answer = self.wait_until(delivered, "the agent's status says that all is delivered")
        self.assertEqual([answer["host"], answer["running"], answer["connected"], answer["server"]],
                         ["mx1", True, True, server.address])
        self.assertEqual([answer["logs"][0][name] for name in
                          ("log", "bytes_behind", "lag_seconds", "gap_count", "trouble")],
                         [str(log), 0, 0, 0, ""])
        # Written some seconds after the acknowledgement at most.
        self.wait_until(lambda: self.status(agent)[1]["logs"][0]["acknowledged_time"], "last ack")

        server.stop()
        self.wait_until(lambda: self.status(agent)[0] == 4, "the agent's status misses the server")
        with log.open("a") as more:
            more.write("x" * 99 + "\n")
        code, answer = self.status(agent)
        self.assertEqual((code, answer["connected"], answer["logs"][0]["bytes_behind"]), (4, False, 100))
        self.assertIn("UNAVAILABLE", answer["connection_failure"])

        agent.kill()
        code, answer = self.status(agent)
        self.assertEqual((code, answer["running"], answer["logs"][0]["position"]), (3, False, size))

        server.start()
        agent.start()
        self.wait_until(lambda: self.status(agent)[0] == 0
                        and self.status(agent)[1]["logs"][0]["position"] == size + 100,
                        "the agent's status after a restart")
        self.assertEqual(agent.stop(), 0)
        self.assertEqual(self.status(agent)[0], 3)

    def test_status_of_no_state_says_so(self):
        done = self.run_program([harness.agent_binary(), "status", "--state-dir", self.dir / "none"],
                                check=False)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("none: expected the state of an agent, found none", done.stderr)

    # ---- The service manager, and signals

    def notify_socket(self, watchdog_seconds=1):
        notify = NotifySocket(self.dir / f"notify-{time.monotonic_ns()}", watchdog_seconds)
        self.addCleanup(notify.close)
        return notify

    def write_config(self, name, text):
        path = self.dir / name
        path.write_text(text)
        return path

    def start_configured(self, program, config, notify=None):
        return self.start_process(pathlib.Path(program).name, [program, "--config", config],
                                  notify.environment if notify else None)

    def server_config(self, more=""):
        return self.write_config("server.toml", f"""
            listen = "127.0.0.1:0"
            http-listen = "127.0.0.1:0"
            database = "sqlite:{self.dir}/mxtally.db"
            {more}
            """)

    def agent_config(self, server_port, log, more=""):
        return self.write_config("agent.toml", f"""
            server = "127.0.0.1:{server_port}"
            log = ["{log}"]
            host = "mx1"
            state-dir = "{self.dir}/state"
            {more}
            """)

    def test_server_tells_the_service_manager_its_life(self):
        notify = self.notify_socket()
        server = self.start_configured(harness.server_binary(), self.server_config(), notify)
        self.assertRegex(notify.next("READY=1")[-1],
                         r"^READY=1\nSTATUS=gRPC on 127\.0\.0\.1:\d+, HTTP on 127\.0\.0\.1:\d+, "
                         r"streams of agents: 0$")
        for _ in range(5):
            notify.next("^WATCHDOG=1$")
        server.send_signal(signal.SIGHUP)
        notify.next(r"^RELOADING=1\nMONOTONIC_USEC=\d+$")
        notify.next("^READY=1$")
        server.wait_for_line("reloaded$")
        server.send_signal(signal.SIGTERM)
        notify.next("^STOPPING=1")
        self.assertEqual(server.wait(), 0)

    def test_agent_tells_the_service_manager_its_life_with_and_without_a_server(self):
        server = self.start_server()
        notify = self.notify_socket()
        config = self.agent_config(server.port, self.write_log())
        agent = self.start_configured(harness.agent_binary(), config, notify)
        self.assertIn("STATUS=connecting to", notify.next("READY=1")[-1])
        notify.next(f"^STATUS=connected to {server.address}$")
        server.stop()
        notify.next(f"^STATUS=no connection to {server.address}: ")
        for _ in range(5):
            notify.next("^WATCHDOG=1$")
        agent.send_signal(signal.SIGHUP)
        notify.next("^RELOADING=1")
        notify.next("^READY=1$")
        agent.send_signal(signal.SIGTERM)
        notify.next("^STOPPING=1")
        self.assertEqual(agent.wait(), 0)

    def test_sigterm_drains_what_is_under_way(self):
        log = self.write_log(sessions=20000)
        server = self.start_server()
        agent = self.start_agent(server, "mx1", log)
        self.wait_until(lambda: self.sessions(server.database) > 0, "some sessions are stored")
        # The server first, in the middle of it; the agent goes on with the next one.
        self.assertEqual(server.stop(), 0)
        self.assertIn("stopped", server.process.lines[-1])
        held = self.sessions(server.database)
        self.assertEqual(agent.stop(), 0)
        code, answer = self.status(agent)
        self.assertEqual(code, 3)
        server.start()
        agent.start()
        self.wait_until(lambda: self.sessions(server.database) == self.truth.sessions,
                        f"all {self.truth.sessions} sessions are stored, after {held}")
        self.assertEqual(agent.stop(), 0)
        self.assertEqual(database.audit(server.database), [])

    def test_sighup_puts_the_exclusion_list_into_force(self):
        log = self.dir / "mail.log"
        def session(number):
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
            head = f"{stamp} mx1 postfix/smtpd[{number}]: "
            with log.open("a") as file:
                file.write(f"{head}connect from a.example[192.0.2.10]\n"
                           f"{head}disconnect from a.example[192.0.2.10] quit=1 commands=1\n")
        server = self.start_server()
        session(1)
        agent = self.start_configured(harness.agent_binary(), self.agent_config(server.port, log))
        def classes():
            return sorted(labels.peer_class for labels in database.counts(server.database))
        self.wait_until(lambda: classes() == [maillog.EXTERNAL], "an external session")
        self.agent_config(server.port, log, 'exclude-peer = ["192.0.2.0/24"]')
        agent.send_signal(signal.SIGHUP)
        agent.wait_for_line("reloaded, excluded peers too")
        session(2)
        excluded = 3
        self.wait_until(lambda: classes() == [maillog.EXTERNAL, excluded], "an excluded session")
        self.assertEqual(database.exceptions(server.database), {})

    @contextlib.contextmanager
    def write_when_read(self, fifo, text):
        """Writes to a FIFO once somebody reads it, and lets them read it to its end."""
        writer = self.wait_until(lambda: self.open_for_writing(fifo), f"a reader of {fifo}")
        with os.fdopen(writer, "w") as file:
            yield
            file.write(text)

    @staticmethod
    def open_for_writing(fifo):
        try:
            writer = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return None
            raise
        os.set_blocking(writer, True)
        return writer

    def test_sighup_before_a_daemon_is_ready_is_taken_when_it_is(self):
        log = self.write_log()
        port = 1  # Nobody listens there.
        for program, config, ready in (
                (harness.server_binary(), self.server_config(), "ready: gRPC on"),
                (harness.agent_binary(), self.agent_config(port, log), "for host mx1, 1 logs")):
            text = config.read_text()
            fifo = self.dir / f"{config.name}.fifo"
            os.mkfifo(fifo)
            daemon = self.start_configured(program, fifo)
            # It stands before the first line of its configuration.
            with self.write_when_read(fifo, text):
                daemon.send_signal(signal.SIGHUP)
            daemon.wait_for_line(ready)
            # And now it reads it once more.
            with self.write_when_read(fifo, f'{text}\nlog-level = "debug"\n'):
                pass
            daemon.wait_for_line("reloaded")
            self.assertEqual(daemon.terminate(), 0)

    def test_sighup_ends_commands_that_are_no_daemons(self):
        """As it does when somebody closes the terminal."""
        fifo = self.dir / "log.fifo"
        os.mkfifo(fifo)
        scan = self.start_process("scan", [harness.agent_binary(), "scan", fifo])
        with self.write_when_read(fifo, ""):
            scan.send_signal(signal.SIGHUP)
            self.assertEqual(scan.wait(), -signal.SIGHUP)

    def test_scan_tells_what_standard_descriptor_is_closed(self):
        log = self.write_log()
        for closed, path, error in (("<&-", "-", "standard input is closed"),
                                    (">&-", log, "the report could not be written")):
            with self.subTest(closed=closed):
                done = subprocess.run(["sh", "-c", f'exec "$0" scan "$1" {closed}', harness.agent_binary(), path],
                                      stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, check=False)
                self.assertEqual(done.returncode, 1)
                self.assertEqual(done.stderr, f"mxtally-agent scan: {error}\n")

    def test_sighup_with_a_broken_file_changes_nothing_and_says_why(self):
        server = self.start_configured(harness.server_binary(), self.server_config())
        port = int(server.wait_for_line(r"ready: gRPC on 127\.0\.0\.1:(\d+)")[1])
        agent = self.start_configured(harness.agent_binary(),
                                      self.agent_config(port, self.write_log()))
        agent.wait_for_line("connected to server")
        self.server_config("lissten = 1")
        self.agent_config(port, self.dir / "mail.log", 'exclude-peer = ["1.2.3.4/99"]')
        for daemon, error in ((server, r"error not reloaded: .*/server\.toml:5: lissten: expected one of"),
                              (agent, r"error: not reloaded: .*/agent\.toml:6: exclude-peer: expected an "
                                      r'address, a network or a domain, found "1\.2\.3\.4/99"')):
            daemon.send_signal(signal.SIGHUP)
            daemon.wait_for_line(error)
            self.assertTrue(daemon.running())
        self.assertEqual(agent.terminate(), 0)
        self.assertEqual(server.terminate(), 0)

    def test_sighup_names_what_needs_a_restart_and_changes_the_log_level(self):
        server = self.start_configured(harness.server_binary(), self.server_config())
        port = int(server.wait_for_line(r"ready: gRPC on 127\.0\.0\.1:(\d+)")[1])
        self.server_config('log-level = "debug"\nplaintext = true')
        server.send_signal(signal.SIGHUP)
        server.wait_for_line("only a restart puts into force: plaintext$")
        server.wait_for_line("reloaded$")
        # Told at level debug only.
        agent = self.start_configured(harness.agent_binary(),
                                      self.agent_config(port, self.write_log()))
        server.wait_for_line("debug host mx1 connected")
        self.agent_config(port + 1, self.dir / "mail.log", 'log-level = "error"')
        agent.send_signal(signal.SIGHUP)
        agent.wait_for_line("only a restart puts into force: server$")

    def test_systemd_units_are_valid_and_confined(self):
        if not shutil.which("systemd-analyze"):
            self.skipTest("needs systemd-analyze")
        for name, program in (("server", harness.server_binary()), ("agent", harness.agent_binary())):
            source = harness.ROOT / "deploy/systemd" / f"mxtally-{name}.service"
            unit = self.dir / source.name
            unit.write_text(source.read_text().replace(f"/usr/bin/mxtally-{name}", str(program)))
            done = self.run_program(["systemd-analyze", "verify", "--man=no", unit])
            self.assertEqual(done.stdout + done.stderr, "")
            # 2.0 and less is "OK" in systemd's own words; services without any of it have 9.6.
            self.run_program(["systemd-analyze", "security", "--offline=true", "--threshold=20", unit])

    # ---- mxtally-server check and backup

    def server_command(self, *words, status=0):
        done = self.run_program([harness.server_binary(), *words], check=False)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout

    def sessions(self, path):
        return sum(count[0] for count in database.counts(path).values())

    def test_backups_under_load_are_whole_and_filled_up_by_agents(self):
        log = self.write_log(sessions=40000)
        server = self.start_server()
        agent = self.start_agent(server, "mx1", log, options=("--once",))
        backups = []
        while agent.process.running():
            to = self.dir / f"backup-{len(backups)}.db"
            self.server_command("backup", "--database", f"sqlite:{server.database}", "--to", to)
            self.server_command("check", "--database", f"sqlite:{server.database}")
            backups.append((to, self.sessions(to)))
        self.assertEqual(agent.wait(), 0)
        self.assertEqual(self.sessions(server.database), self.truth.sessions)
        for to, _ in backups:
            self.assertEqual(self.server_command("check", "--database", f"sqlite:{to}"),
                             f"sqlite:{to}: good\n")
        # One that was made halfway, if the machine was fast enough for it.
        to, held = backups[len(backups) // 2]
        print(f"backups: {len(backups)}, restored: {held} of {self.truth.sessions} sessions")
        self.assertEqual(server.stop(), 0)
        server.database = to
        server.start()
        agent.start()
        self.assertEqual(agent.wait(), 0)
        self.assertEqual(database.differences(self.truth.by_labels(), database.counts(to)), [])
        self.server_command("check", "--database", f"sqlite:{to}")


if __name__ == "__main__":
    harness.main()
