"""A rogue agent with a valid certificate of mx1 tries everything against mx2; so does
a rogue collector.

It may write whatever it likes for mx1, and nothing else: what the database holds
of mx2, row by row, is the same before and after, and mx2's agent never notices.
"""

import contextlib
import json
import subprocess
import time

import database
import harness
import maillog
import tls_fleet

HOUR = 3600
HELLO = {"hello": {"host": "mx1"}}
SOURCES = ("-import-path", harness.ROOT / "proto", "-proto")
INGEST_PROTO = "mxtally/v1/ingest.proto"
STATS_PROTO = "mxtally/v1/stats.proto"
FLEET_PROTO = "mxtally/v1/fleet.proto"
STREAMS = 12
STREAMS_MAX = 8  # As an agent may have.


class RogueAgentTest(tls_fleet.TlsFleetTest):
    def setUp(self):
        super().setUp()
        self.start = int(time.time()) // HOUR * HOUR - 24 * HOUR
        self.host = maillog.Mailhost(seed=6, start=self.start, name="mx2")
        self.log = self.dir / "mail.log"
        self.caller = "mx1"
        self.server = self.start_tls_server()
        for _ in range(20):
            self.append(self.host.busy_second())
        self.mx2 = self.start_tls_agent(self.server, "mx2", "--time-zone", "UTC")
        self.mx2.process.wait_for_line("all up to the end is delivered")

    def append(self, lines):
        with open(self.log, "a") as log:
            log.write("".join(line + "\n" for line in lines))

    def record(self, host, second=5):
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.start + second))
        return {"key": {"key_version": 1, "host": host, "stamp": stamp, "tag": "postfix/smtpd[1]"},
                "rank": {"parser_version": 1, "lines_used": 2}, "direction": "DIRECTION_INBOUND",
                "service": "smtpd", "peer_class": "PEER_CLASS_EXTERNAL",
                "tls": {"state": "TLS_STATE_ESTABLISHED", "evidence": "TLS_EVIDENCE_HANDSHAKE_LINE"},
                "end_time": stamp}

    def batch(self, sequence, *records, log="/var/log/mail.log", **fields):
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.start + 6))
        return {"batch": {"sequence": sequence, "log": log,
                          "end": {"offset": 100 * sequence, "log_time": stamp},
                          "sessions": list(records), **fields}}

    def part(self, host):
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.start + 6))
        return {"host": host, "start_time": stamp, "end_time": stamp}

    def command(self, protocol, *words, headers=()):
        options = [word for header in headers for word in ("-H", header)]
        return [harness.grpcurl_binary(), *self.as_caller(self.caller), *SOURCES, protocol,
                *options, *words]

    def call(self, protocol, method, *requests, headers=()):
        """What the rogue hears, answers and error."""
        data = " ".join(json.dumps(request) for request in requests) or "{}"
        done = self.run_program(
            self.command(protocol, "-max-time", "60", "-d", data, self.server.address, method, headers=headers),
            check=False)
        return done.stdout + done.stderr

    def stream(self, *messages, headers=()):
        return self.call(INGEST_PROTO, tls_fleet.INGEST, *messages, headers=headers)

    def open_stream(self):
        stream = subprocess.Popen(
            [str(word) for word in self.command(INGEST_PROTO, "-d", "@", self.server.address,
                                                tls_fleet.INGEST)],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, bufsize=0)
        self.addCleanup(stream.wait)
        self.addCleanup(stream.kill)
        self.addCleanup(stream.stdin.close)
        return stream

    def send(self, stream, message):
        with contextlib.suppress(BrokenPipeError):  # Of a stream that was refused.
            stream.stdin.write(json.dumps(message).encode())

    def denials(self, reason):
        return self.metric(self.server, f'mxtally_server_auth_denied_total{{reason="{reason}"}}')

    def test_nothing_of_another_host_changes(self):
        self.assertEqual(self.mx2.stop(), 0)
        self.wait_until(lambda: not self.server.hosts()["mx2"].get("connected"), "mx2 is gone")
        before = database.rows_of(self.server.database, "mx2")
        self.assertGreater(len(before["session"]), 100)

        # Streams that say they are mx2's.
        for headers in ((), ("x-forwarded-client-cert: DNS=mx2", "host: mx2"),
                        ("x-forwarded-for: 127.0.0.1",)):
            heard = self.stream({"hello": {"host": "mx2"}}, self.batch(1, self.record("mx2")),
                                headers=headers)
            self.assertIn("Code: PermissionDenied", heard)
            self.assertIn('expected sessions of "mx1" from certificate "mx1", found host "mx2"',
                          heard)
        self.assertEqual(self.denials("host"), 3)
        for name in ("MX2", "mx2.", " mx2", "mx1,mx2", "mx2\u0000mx1", "*", ""):
            self.assertRegex(self.stream({"hello": {"host": name}}),
                             "Code: (PermissionDenied|InvalidArgument)")
        # A hello of its own, and then mx2's.
        self.assertIn("expected hello only once", self.stream(HELLO, {"hello": {"host": "mx2"}}))
        # Records of mx2 among its own.
        heard = self.stream(HELLO, self.batch(1, self.record("mx1"), self.record("mx2"),
                                              self.record("MX2"), self.record("mx2 ")))
        self.assertIn("databaseId", heard.replace("database_id", "databaseId"))
        self.assertIn(r'key.host: expected \"mx1\", found \"mx2\"', heard)
        self.assertEqual(heard.count("key.host: expected"), 3)
        self.assertEqual(self.server.hosts()["mx1"]["sessions"], "1")
        # Parts of mx2, with and without asking to be a collector.
        self.assertIn("batch.host_parts: expected none without hello.hosts_from_log",
                      self.stream(HELLO, self.batch(1, host_parts=[self.part("mx2")])))
        heard = self.stream({"hello": {"host": "mx1", "hosts_from_log": True}},
                            self.batch(1, self.record("mx2"), host_parts=[self.part("mx2")]))
        self.assertIn("hosts from the log: expected the role collector", heard)
        # Logs under the names that mx2's have, life signs, and configuration.
        logs = [log["log"] for log in self.server.hosts()["mx2"]["logs"]]
        for log in [*logs, f"mx2:{logs[0]}"]:
            gap = {"reason": "GAP_REASON_FILE_GONE", "start_time": "2020-01-01T00:00:00Z",
                   "end_time": "2030-01-01T00:00:00Z", "bytes_min": 1}
            self.stream(HELLO, self.batch(1, log=log, gaps=[gap], once=True),
                        {"status": {"mta": "Postfix 0", "wall_time": "2030-01-01T00:00:00Z",
                                    "mta_config": {"smtpd_tls_loglevel": 0},
                                    "logs": [{"log": log, "log_time": "2030-01-01T00:00:00Z"}]}})
        self.assertEqual(self.server.hosts()["mx1"]["mta"], "Postfix 0")
        # Questions, changes, and what is not there.
        role = 'expected the role {}, found certificate "mx1" with agent'
        stats = {"filter": {"hosts": ["mx2"]}}
        for protocol, method, request, needed in (
                (STATS_PROTO, harness.STATS, stats, "reader"),
                (STATS_PROTO, harness.STATS, {"filter": {"hosts": ["mx1"]}}, "reader"),
                (FLEET_PROTO, harness.HOSTS, {"hosts": ["mx2"]}, "reader"),
                (FLEET_PROTO, "mxtally.v1.FleetService/GetHost", {"host": "mx2"}, "reader"),
                (FLEET_PROTO, "mxtally.v1.FleetService/RetireHost", {"host": "mx2"}, "operator")):
            heard = self.call(protocol, method, request)
            self.assertIn("Code: PermissionDenied", heard)
            self.assertIn(f"{method}: {role.format(needed)}", heard)
            self.assertNotIn('"mx2"', heard.replace('found certificate "mx1"', ""))
        for words in (("list",), ("describe", "mxtally.v1.FleetService")):
            done = self.run_program(
                [harness.grpcurl_binary(), *self.as_caller("mx1"), self.server.address, *words],
                check=False)
            self.assertIn(role.format("reader"), done.stdout + done.stderr)
        self.assertGreaterEqual(self.denials("role"), 7)
        # Tokens it could have seen or made up.
        listed = (self.pki / "access").read_text().split()
        hashes = [word for word in listed if len(word) == 64]
        self.assertEqual(len(hashes), 2)
        for token in [*hashes, "chief", "dash", "mx2", self.token("chief")[:-1]]:
            heard = self.call(FLEET_PROTO, "mxtally.v1.FleetService/RetireHost", {"host": "mx2"},
                              headers=(f"authorization: Bearer {token}",))
            self.assertIn("Code: Unauthenticated", heard)
            self.assertIn("found an unknown one", heard)
        self.assertEqual(self.denials("token"), 6)
        self.server.process.wait_for_line(
            r'denied /mxtally\.v1\.IngestService/StreamSessions to certificate "mx1" at ipv4:127')

        self.assertEqual(database.rows_of(self.server.database, "mx2"), before)
        self.assertEqual(set(self.server.hosts()), {"mx1", "mx2"})

    def test_a_rogue_collector_writes_for_the_hosts_that_it_is_listed_for_alone(self):
        self.certs("collector", "loghost", "mx1", "*.mx2")
        self.server.process.wait_for_line("certificates and access list were read again")
        self.assertEqual(self.mx2.stop(), 0)
        self.wait_until(lambda: not self.server.hosts()["mx2"].get("connected"), "mx2 is gone")
        before = database.rows_of(self.server.database, "mx2")
        self.caller = "loghost"
        hello = {"hello": {"host": "loghost", "hosts_from_log": True}}
        heard = self.stream(hello, self.batch(1, self.record("mx1"), host_parts=[self.part("mx1")]),
                            self.batch(2, self.record("mx1", 7), host_parts=[self.part("mx2")]))
        self.assertIn('expected hosts that certificate "loghost" is listed for as collector, found '
                      'host "mx2"', heard)
        self.assertEqual(self.denials("host"), 1)
        heard = self.stream(hello, self.batch(1, self.record("mx1"), self.record("mx2"),
                                              host_parts=[self.part("mx1")]))
        self.assertEqual(heard.count("key.host: expected"), 1)
        self.assertIn("Code: PermissionDenied",
                      self.stream({"hello": {"host": "mx2", "hosts_from_log": True}}))
        self.assertEqual(database.rows_of(self.server.database, "mx2"), before)
        self.assertEqual(self.server.hosts()["mx1"]["sessions"], "1")

    def test_its_streams_and_floods_do_not_disturb_another_host(self):
        streams = [self.open_stream() for _ in range(STREAMS)]
        for stream in streams:
            self.send(stream, HELLO)
        quota = 'mxtally_server_ingest_quota_hits_total{quota="streams"}'
        refused = STREAMS - STREAMS_MAX
        self.wait_until(lambda: self.metric(self.server, quota) == refused, "its quota")
        # Records that must be rejected, one after another.
        for stream in streams:
            for sequence in range(1, 40):
                self.send(stream, self.batch(sequence, *[self.record("mx2", s) for s in range(50)]))
        rejected = 'mxtally_server_ingest_sessions_rejected_total{reason="host"}'
        self.wait_until(lambda: (self.metric(self.server, rejected) or 0) >= STREAMS_MAX * 39 * 50,
                        lambda: f"{self.metric(self.server, rejected)} are rejected")
        # mx2's stream is still the first one, and what it sends arrives.
        for _ in range(20):
            self.append(self.host.busy_second())
        self.append(self.host.finish())
        self.wait_until(
            lambda: database.differences(self.host.truth.by_labels(),
                                         database.counts(self.server.database, "mx2")) == [],
            "all sessions of mx2")
        self.assertEqual([line for line in self.mx2.process.lines if "no connection" in line], [])
        self.assertEqual(database.progress(self.server.database, "mx1"), (0, 0))
        [rejections] = self.rejections_of("mx2")
        self.assertEqual(rejections, 0)
        self.assertEqual(database.audit(self.server.database), [])

    def rejections_of(self, host):
        with database.opened(self.server.database) as connection:
            return connection.execute(
                "SELECT coalesce(sum(t.rejected), 0) FROM host_hour t JOIN host USING (host_id) "
                "WHERE name = ?", (host,)).fetchone()


if __name__ == "__main__":
    harness.main()
