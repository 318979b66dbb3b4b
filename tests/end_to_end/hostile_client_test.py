"""Clients that are not ours, over real connections.

Messages that are wrong in every way, bytes that are no HTTP/2, and connections by
the thousand.  The server stays up, answers what it must, takes bounded memory, serves the
others, and what it holds of a good agent's host is row by row the same.

The seed is printed; MXTALLY_TEST_SEED repeats it.
"""

import os
import pathlib
import random
import resource
import socket
import sys
import time

import database
import harness
import maillog
import tls_fleet
import wire

HOUR = 3600
MEGABYTE = 1 << 20
FLEET = ("mxtally.v1.StatsService", "mxtally.v1.FleetService")
INGEST = ("mxtally.v1.IngestService",)
CLIENT = harness.program("MXTALLY_TEST_HOSTILE_CLIENT",
                         harness.ROOT / "build/release/tests/end_to_end/hostile_client")
HOST = "hostile.example.org"
# Status codes of gRPC.
OK, INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNIMPLEMENTED = 0, 3, 8, 12

# Growth that is no leak: what allocators keep, a few records more in caches.
GROWTH_MAX = 48 * MEGABYTE


def memory(process):
    """Resident now, in bytes."""
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


def write_log(path, host):
    lines = []
    for _ in range(20):
        lines += host.busy_second()
    lines += host.finish()
    path.write_text("".join(line + "\n" for line in lines))


class HostileClientTest(tls_fleet.TlsFleetTest):
    def setUp(self):
        super().setUp()
        harness.forget_freed_memory()
        self.seed = int(os.environ.get("MXTALLY_TEST_SEED", random.randrange(1 << 32)))
        print(f"seed {self.seed}", file=sys.stderr)
        self.host = maillog.Mailhost(seed=5, start=int(time.time()) // HOUR * HOUR - 24 * HOUR)
        write_log(self.dir / "mail.log", self.host)

    def attack(self, services, count, seed, *options):
        """How often a method ended with a status code: {(method, code): calls}."""
        done = self.run_program([CLIENT, "--server", f"localhost:{self.server.port}", "--seed", seed,
                                 "--messages", count, "--host", HOST, *options, *services])
        rows = [line.split() for line in done.stdout.splitlines()]
        return {(row[0], int(row[1])): int(row[2]) for row in rows if len(row) == 3}

    def test_fuzzed_oversized_and_malformed_messages_to_every_method(self):
        self.certs("agent", HOST)
        self.server = self.start_tls_server()
        agent = self.start_tls_agent(self.server, "mx1")
        agent.process.wait_for_line("all up to the end is delivered")
        self.assertEqual(agent.stop(), 0)
        self.wait_until(lambda: not self.server.hosts()["mx1"].get("connected"), "mx1 is gone")
        before = database.rows_of(self.server.database, "mx1")
        self.assertGreater(len(before["session"]), 100)

        ca = ("--tls-ca", self.pki / "ca.pem")
        rogue = (*ca, "--tls-cert", self.pki / f"{HOST}.pem", "--tls-key", self.pki / f"{HOST}.key",
                 "--word", "mx1")
        # Whoever may most.
        operator = (*ca, "--token", self.token("chief"))

        def attack_all(seed):
            found = self.attack(INGEST, 2000, seed, *rogue)
            found.update(self.attack(FLEET, 700, seed + 1, *operator))
            return found

        outcomes = attack_all(self.seed)
        held = memory(self.server.process)
        for seed in (self.seed + 2, self.seed + 4):
            outcomes.update(attack_all(seed))
        self.assertLess(memory(self.server.process) - held, GROWTH_MAX)
        # Every method was reached, with what it takes and with what it does not.
        for method in ("StatsService/GetTlsStats", "FleetService/ListHosts"):
            for code in (OK, INVALID_ARGUMENT, UNIMPLEMENTED, RESOURCE_EXHAUSTED):
                self.assertGreater(outcomes.get((f"/mxtally.v1.{method}", code), 0), 0,
                                   f"{method} {code}: {outcomes}")
        for method in ("FleetService/GetHost", "FleetService/RetireHost",
                       "IngestService/StreamSessions"):
            self.assertIn((f"/mxtally.v1.{method}", INVALID_ARGUMENT), outcomes)
            self.assertIn((f"/mxtally.v1.{method}", RESOURCE_EXHAUSTED), outcomes)

        self.assertTrue(self.server.process.running())
        self.assertLess(len(self.server.process.lines), 50, self.server.process.tail(100))
        self.assertEqual(database.rows_of(self.server.database, "mx1"), before)
        self.assertGreater(self.server.hosts()[HOST]["sessions"], "0")
        self.assertEqual(database.audit(self.server.database), [])
        self.assertEqual(self.server.stop(), 0)
        self.run_program([harness.server_binary(), "check", "--database",
                          f"sqlite:{self.server.database}"])

    def test_bytes_that_are_hardly_http2(self):
        self.server = self.start_server()
        conversations = self.record_conversations()
        agent = self.start_agent(self.server, "mx1", self.dir / "mail.log", options=("--once",))
        self.assertEqual(agent.wait(), 0)
        self.wait_until(lambda: not self.server.hosts()["mx1"].get("connected"), "mx1 is gone")
        before = database.rows_of(self.server.database, "mx1")
        chooser = random.Random(self.seed)
        self.replay_mutated(conversations, chooser, 1000)
        held = memory(self.server.process)
        self.replay_mutated(conversations, chooser, 2000)
        self.assertLess(memory(self.server.process) - held, GROWTH_MAX)
        self.assertEqual(database.rows_of(self.server.database, "mx1"), before)
        self.assertEqual(database.audit(self.server.database), [])
        self.assertIn("mx1", self.server.hosts())
        self.assertEqual(self.server.stop(), 0)

    def test_a_flood_of_pings_ends_its_connection(self):
        self.server = self.start_server()
        ping = wire.frame(wire.PING, 0, 0, b"12345678")
        with socket.create_connection(("127.0.0.1", self.server.port),
                                      timeout=harness.PATIENCE_SECONDS) as connection:
            connection.sendall(wire.PREFACE + wire.frame(wire.SETTINGS, 0, 0, b"") + 10 * ping)
            heard = b""
            while chunk := connection.recv(65536):
                heard += chunk
        last = [payload for kind, _, _, payload in wire.frames(heard) if kind == wire.GOAWAY]
        self.assertIn(b"too_many_pings", last[-1])
        self.server.hosts()

    def record_conversations(self):
        """What good clients say, byte by byte."""
        recorder = wire.Recorder(self.server.port)
        self.addCleanup(recorder.close)
        log = self.dir / "other.log"
        write_log(log, maillog.Mailhost(seed=9, start=self.host.now, name=HOST))
        link = type("Recorded", (), {"address": recorder.address})
        self.assertEqual(self.start_agent(link, HOST, log, options=("--once",)).wait(), 0)
        for method in (harness.STATS, harness.HOSTS):
            self.run_program([harness.grpcurl_binary(), "-plaintext", recorder.address, method])
        said = [client for client, _ in recorder.connections()]
        self.assertEqual(len(said), 3)
        return said

    def replay_mutated(self, conversations, chooser, count):
        for _ in range(count):
            said = bytearray(chooser.choice(conversations))
            for _ in range(chooser.randrange(1, 6)):
                at = chooser.randrange(len(said))
                # Half of the changes are in the first frames: settings and headers.
                if chooser.random() < 0.5:
                    at %= 400
                what = chooser.randrange(4)
                if what == 0:
                    said[at] = chooser.randrange(256)
                elif what == 1:
                    said[at:at] = chooser.randbytes(chooser.randrange(1, 20))
                elif what == 2:
                    del said[at:at + chooser.randrange(1, 20)]
                else:
                    said[at:at] = said[at:at + chooser.randrange(1, 2000)]
            self.say(bytes(said))

    def say(self, data):
        with socket.create_connection(("127.0.0.1", self.server.port), 
                                      timeout=harness.PATIENCE_SECONDS) as connection:
            try:
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass
            except OSError as error:
                self.assertNotIsInstance(error, TimeoutError)  # Else: it had enough.


class IdleConnectionsTest(harness.EndToEndTest):
    COUNT = 10_000
    OF_ONE_PROCESS = 2500
    # Another address than that of grpcurl and the agents.
    SOURCE = "127.0.0.2"

    def open_connections(self, server, count):
        holders = []
        for _ in range(0, count, self.OF_ONE_PROCESS):
            holders.append(self.start_process("idle", [
                sys.executable, "-B", harness.ROOT / "tests/end_to_end/idle_connections.py",
                self.SOURCE, server.port, min(count, self.OF_ONE_PROCESS)]))
        for holder in holders:
            holder.wait_for_line("^open$")
        return holders

    def metric(self, server, name):
        [line] = [line for line in server.http("/metrics").splitlines()
                  if line.startswith(f"{name} ")]
        return float(line.split()[1])

    def assert_serves(self, server, host):
        log = self.dir / f"{host}.log"
        write_log(log, maillog.Mailhost(seed=5, start=int(time.time()) // HOUR * HOUR - 24 * HOUR,
                                        name=host))
        agent = self.start_agent(server, host, log, options=("--once",))
        self.assertEqual(agent.wait(), 0)
        self.assertIn(host, server.hosts())
        self.assertEqual(database.audit(server.database), [])

    def test_ten_thousand_of_one_address_are_refused_beyond_its_bound(self):
        server = self.start_server("--address-connections", "500")
        holders = self.open_connections(server, self.COUNT)
        refused = 'mxtally_server_connections_refused_total{reason="address"}'
        self.wait_until(lambda: self.metric(server, refused) == self.COUNT - 500, "all are seen")
        self.assertEqual(self.metric(server, "mxtally_server_connections"), 500)
        server.process.wait_for_line(rf"connection of {self.SOURCE} refused: it has as many as "
                                     r"--address-connections permits")
        self.assert_serves(server, "mx1")
        # One that went leaves its place to the next.
        for holder in holders:
            holder.kill()
        self.wait_until(lambda: self.metric(server, "mxtally_server_connections") == 0, "all are gone")
        self.open_connections(server, 400)
        self.wait_until(lambda: self.metric(server, "mxtally_server_connections") == 400, "400 again")
        self.assertEqual(self.metric(server, refused), self.COUNT - 500)

    def test_ten_thousand_without_a_bound_take_bounded_memory(self):
        needed = self.COUNT + 1000
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        if hard != resource.RLIM_INFINITY and hard < needed:
            self.skipTest(f"the server needs {needed} descriptors, its limit is {hard}")
        harness.forget_freed_memory()
        server = self.start_server("--address-connections", "0")
        before = memory(server.process)
        self.open_connections(server, self.COUNT)
        self.wait_until(lambda: self.metric(server, "mxtally_server_connections") == self.COUNT,
                        "all are open")
        self.assertLess((memory(server.process) - before) / self.COUNT, 40 * 1024)
        self.assert_serves(server, "mx1")

    def test_server_without_descriptors_refuses_and_goes_on_when_it_has_some(self):
        server = self.start_server("--address-connections", "0",
                                   prefix=["sh", "-c", 'ulimit -n 400; exec "$0" "$@"'])
        holders = self.open_connections(server, 2000)
        refused = 'mxtally_server_connections_refused_total{reason="descriptors"}'
        self.wait_until(lambda: self.metric(server, refused) > 1000, "it refuses")
        server.process.wait_for_line("connection refused: as many are open as the limit on open files")
        for holder in holders:
            holder.kill()
        self.assert_serves(server, "mx1")


if __name__ == "__main__":
    harness.main()
