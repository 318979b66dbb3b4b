"""A fleet over TLS: real certificates, real grpcurl, and who is kept out.

Certificates come from deploy/certs, the script that operators try TLS with.
"""

import shutil
import time
import urllib.error

import database
import harness
import maillog
import tls_fleet

HOUR = 3600
INGEST = tls_fleet.INGEST


class TlsTest(tls_fleet.TlsFleetTest):
    def setUp(self):
        super().setUp()
        start = int(time.time()) // HOUR * HOUR - 24 * HOUR
        self.host = maillog.Mailhost(seed=7, start=start)
        self.log = self.dir / "mail.log"

    def busy(self, seconds):
        """Appends that many busy seconds to the log."""
        lines = []
        for _ in range(seconds):
            lines += self.host.busy_second()
        self.append(lines)

    def finish(self):
        self.append(self.host.finish())

    def append(self, lines):
        with open(self.log, "a") as log:
            log.write("".join(line + "\n" for line in lines))

    def assert_counted_once(self, server):
        path = server.database
        wrong = database.differences(self.host.truth.by_labels(), database.counts(path))
        wrong += database.audit(path)
        self.assertEqual(wrong, [])

    def test_an_agent_is_the_host_of_its_certificate_and_readers_ask(self):
        server = self.start_tls_server()
        self.busy(20)
        self.finish()
        agent = self.start_tls_agent(server, "mx1", "--once")
        self.assertEqual(agent.wait(), 0, agent.process.tail())
        self.assert_counted_once(server)
        for transport in (self.as_caller("grafana"), self.as_caller(token=self.token("dash")),
                          self.as_caller(token=self.token("chief"))):
            server.transport = transport
            self.assertEqual(list(server.hosts()), ["mx1"])
            self.assertIn("mxtally.v1.StatsService", server.grpcurl(server.address, "list").stdout)
            self.assertGreater(server.total(window="7d")["sessions"], 0)

    def test_whoever_may_not_is_told_what_is_expected_and_what_was_found(self):
        server = self.start_tls_server()
        stats = "mxtally/v1/stats.proto"
        neither = "expected a client certificate or a bearer token, found neither"
        unknown = "expected a bearer token of the server's access list, found an unknown one"
        agent = 'expected the role reader, found certificate "mx1" with agent'
        self.assertIn(neither, self.denied(server, self.as_caller(), server.address, "list"))
        self.assertIn(neither, self.denied(server, self.as_caller(), server.address, harness.STATS,
                                           protocol=stats))
        wrong = self.as_caller(token="0" * 64)
        self.assertIn(unknown, self.denied(server, wrong, server.address, harness.STATS,
                                           protocol=stats))
        mx1 = self.as_caller("mx1")
        self.assertIn(agent, self.denied(server, mx1, server.address, "list"))
        error = self.denied(server, mx1, server.address, harness.STATS, protocol=stats)
        self.assertIn("Code: PermissionDenied", error)
        self.assertIn(f"{harness.STATS}: {agent}", error)
        error = self.denied(server, mx1, "-d", '{"hello":{"host":"mx2"}}', server.address, INGEST,
                            protocol="mxtally/v1/ingest.proto")
        self.assertIn("Code: PermissionDenied", error)
        self.assertIn('expected sessions of "mx1" from certificate "mx1", found host "mx2"', error)
        error = self.denied(server, self.as_caller("grafana"), "-d", '{"hello":{"host":"mx1"}}',
                            server.address, INGEST)
        self.assertIn('expected the role agent, found certificate "grafana" with reader', error)
        server.process.wait_for_line(
            r"warning denied /grpc\.reflection\.\S+ to a caller without certificate and token "
            r"\(grpcurl.*UNAUTHENTICATED: expected a client certificate")
        metrics = server.http("/metrics")
        for reason in ("no_identity", "token", "role", "host"):
            self.assertNotIn(f'denied_total{{reason="{reason}"}} 0', metrics)
        # Health is open to everyone; its protocol comes from the sources.
        server.transport = self.as_caller()
        health = server.grpcurl(
            "-import-path", harness.ROOT / "server/serve", "-proto", "grpc/health/v1/health.proto",
            server.address, "grpc.health.v1.Health/Check")
        self.assertIn("SERVING", health.stdout)

    def test_without_tls_nobody_is_known(self):
        server = self.start_server()
        server.call(harness.HOSTS)
        server.transport = ["-plaintext", "-H", f"authorization: Bearer {self.token('chief')}"]
        done = server.grpcurl(server.address, "list", check=False)
        self.assertIn("expected a bearer token over TLS only, found one without encryption",
                      done.stderr)

    def test_an_agent_for_another_host_writes_nothing(self):
        server = self.start_tls_server()
        self.busy(5)
        agent = self.start_tls_agent(server, "mx1", "--once", "--host", "mx2")
        self.assertEqual(agent.wait(), 1)
        self.assertIn('expected sessions of "mx1" from certificate "mx1", found host "mx2"',
                      agent.process.tail())
        server.process.wait_for_line(
            r'denied /mxtally\.v1\.IngestService/StreamSessions to certificate "mx1" at ipv4:127')
        self.assertEqual(server.hosts(), {})

    def test_a_certificate_of_another_authority_gets_nowhere(self):
        server = self.start_tls_server()
        self.busy(5)
        foreign = self.dir / "foreign"
        self.certs("agent", "mx1", pki=foreign)
        agent = self.start_tls_agent(server, "mx1", pki=foreign)
        agent.process.wait_for_line("no connection, UNAVAILABLE")
        server.process.wait_for_line("TLS: Handshake failed .*certificate verify failed")
        self.assertGreater(self.metric(server, "mxtally_server_tls_handshakes_failed_total"), 0)
        self.assertEqual(server.hosts(), {})

    def test_a_server_of_another_authority_is_not_trusted(self):
        self.certs("server", "localhost", "127.0.0.1", pki=self.dir / "foreign")
        self.busy(5)
        server = self.start_tls_server()
        agent = self.start_agent(
            server, "mx1", self.log,
            transport=("--tls-ca", self.dir / "foreign/ca.pem", "--tls-cert", self.pki / "mx1.pem",
                       "--tls-key", self.pki / "mx1.key"))
        agent.process.wait_for_line("no connection, UNAVAILABLE.*certificate verify failed")
        self.assertEqual(server.hosts(), {})

    def test_a_server_with_the_certificate_of_another_host_is_not_trusted(self):
        self.certs("server", "mx.example.net")
        self.busy(5)
        self.finish()
        server = self.start_tls_server()
        agent = self.start_tls_agent(server, "mx1")
        agent.process.wait_for_line(
            "no connection, UNAVAILABLE.*Peer name 127.0.0.1 is not in peer certificate")
        self.assertEqual(database.counts(server.database), {})
        self.certs("server", "127.0.0.1")
        server.process.wait_for_line("certificates and access list were read again")
        agent.process.wait_for_line("all up to the end is delivered")
        self.assert_counted_once(server)

    def test_an_expired_certificate_is_named_and_its_successor_is_used(self):
        server = self.start_tls_server()
        self.busy(5)
        self.finish()
        self.certs("agent", "mx1", days=-1)
        agent = self.start_tls_agent(server, "mx1")
        agent.process.wait_for_line(
            r'mx1\.pem: the certificate of "mx1" expired at \S+, and now it is ')
        agent.process.wait_for_line("no connection, UNAVAILABLE")
        self.certs("agent", "mx1")
        agent.process.wait_for_line("the certificate files can be used again")
        agent.process.wait_for_line("all up to the end is delivered")
        self.assert_counted_once(server)

    def test_a_certificate_that_is_not_valid_yet_is_named_and_gets_nowhere(self):
        server = self.start_tls_server()
        self.busy(5)
        self.finish()
        self.certificate_of_tomorrow("mx1", "clientAuth", "DNS:mx1")
        agent = self.start_tls_agent(server, "mx1")
        agent.process.wait_for_line(
            r'mx1\.pem: the certificate of "mx1" is not valid before \S+, and now it is ')
        agent.process.wait_for_line("no connection, UNAVAILABLE")
        server.process.wait_for_line("TLS: Handshake failed .*certificate verify failed")
        self.assertEqual(server.hosts(), {})
        # Nor does it with a client that does not look at its own.
        failed = "mxtally_server_tls_handshakes_failed_total"
        before = self.metric(server, failed)
        self.denied(server, self.as_caller("mx1"), server.address, "list")
        self.assertGreater(self.metric(server, failed), before)
        server.transport = self.as_caller("grafana")
        self.certs("agent", "mx1")
        agent.process.wait_for_line("all up to the end is delivered")
        self.assert_counted_once(server)

    def test_a_server_whose_certificate_is_not_valid_yet_is_not_ready_and_not_trusted(self):
        self.certificate_of_tomorrow("server", "serverAuth", "DNS:localhost,IP:127.0.0.1")
        server = self.start_tls_server()
        self.busy(5)
        self.finish()
        with self.assertRaises(urllib.error.HTTPError) as answer:
            server.http("/readyz")
        self.assertEqual(answer.exception.code, 503)
        self.assertRegex(answer.exception.read().decode(),
                         r"server\.pem: is not valid before \S+, and now it is ")
        agent = self.start_tls_agent(server, "mx1")
        agent.process.wait_for_line("no connection, UNAVAILABLE.*certificate verify failed")
        self.certs("server", "localhost", "127.0.0.1")
        server.process.wait_for_line("certificates and access list were read again")
        agent.process.wait_for_line("all up to the end is delivered")
        self.assertEqual(server.http("/readyz"), "ok\n")
        self.assert_counted_once(server)

    def test_files_are_replaced_under_an_open_stream(self):
        server = self.start_tls_server()
        self.busy(5)
        agent = self.start_tls_agent(server, "mx1")
        agent.process.wait_for_line("all up to the end is delivered")
        self.assertIn("certificateExpiryTime", server.hosts()["mx1"])
        self.assertGreater(
            self.metric(server, "mxtally_server_tls_agent_certificate_expiry_timestamp_seconds"),
            time.time())
        # Half of a replacement: the key is not the certificate's.
        shutil.copy(self.pki / "mx1.key", self.pki / "server.key")
        server.process.wait_for_line(r"server\.key: expected the private key of .*server\.pem, found "
                                     "another one; what was read before stays in use")
        self.assertEqual(list(server.hosts()), ["mx1"])
        # A list without the reader's token, and then all of it.
        access = (self.pki / "access").read_text()
        (self.pki / "access").write_text(
            "".join(line + "\n" for line in access.splitlines() if " dash " not in line))
        self.certs("server", "localhost", "127.0.0.1")
        server.process.wait_for_line("certificates and access list were read again")
        self.assertIn("found an unknown one", self.denied(
            server, self.as_caller(token=self.token("dash")), server.address, "list"))
        server.transport = self.as_caller("grafana")
        self.assertEqual(list(server.hosts()), ["mx1"])
        # The stream never noticed.
        self.busy(5)
        self.finish()
        self.wait_until(lambda: database.differences(
            self.host.truth.by_labels(), database.counts(server.database)) == [], "all sessions")
        self.assertEqual(self.metric(server, "mxtally_server_ingest_streams_opened_total"), 1)
        self.assert_counted_once(server)

    def test_connections_end_at_their_age_and_nothing_is_lost_or_doubled(self):
        server = self.start_tls_server("--connection-age", "1s")
        agent = self.start_tls_agent(server, "mx1")
        opened = "mxtally_server_ingest_streams_opened_total"
        while (self.metric(server, opened) or 0) < 8:
            self.busy(1)
        self.finish()
        agent.process.wait_for_line("all up to the end is delivered")
        self.wait_until(lambda: database.differences(
            self.host.truth.by_labels(), database.counts(server.database)) == [], "all sessions")
        self.assertEqual(agent.stop(), 0)
        self.assert_counted_once(server)
        self.assertEqual(database.exceptions(server.database), {})
        ended = "mxtally_server_ingest_streams_ended_total"
        self.assertGreater(self.metric(server, ended + '{code="OK"}'), 0)

    def test_an_agent_beyond_its_quota_is_slowed_down_and_nothing_is_lost_or_doubled(self):
        server = self.start_tls_server("--agent-bytes", "2KiB", "--agent-sessions", "1000000")
        self.busy(200)
        self.finish()
        agent = self.start_tls_agent(server, "mx1")
        agent.process.wait_for_line(
            "RESOURCE_EXHAUSTED: quota of this agent: expected at most 2048 bytes per second, found "
            "more")
        server.process.wait_for_line('agent "mx1" has hit its quota of bytes')
        self.assertGreater(
            self.metric(server, 'mxtally_server_ingest_quota_hits_total{quota="bytes"}'), 0)
        self.assertEqual(agent.stop(), 0)
        server.stop()
        server.options = [word for word in server.options
                          if word not in ("--agent-bytes", "2KiB")]
        server.start()
        agent = self.start_tls_agent(server, "mx1", "--once")
        self.assertEqual(agent.wait(), 0, agent.process.tail())
        self.assert_counted_once(server)

    def test_files_that_cannot_be_used_stop_the_programs_at_the_start(self):
        (self.pki / "mx1.key").unlink()
        agent = harness.Process("agent", [
            harness.agent_binary(), "check", "--server", "mx.example.org:4625", "--log", self.log,
            "--tls-ca", self.pki / "ca.pem", "--tls-cert", self.pki / "mx1.pem",
            "--tls-key", self.pki / "mx1.key"])
        self.assertEqual(agent.wait(), 2)
        self.assertIn("mx1.key", agent.tail())
        server = harness.Process("server", [
            harness.server_binary(), "serve", "--database", f"sqlite:{self.dir}/x.db",
            "--tls-cert", self.pki / "server.pem", "--tls-key", self.pki / "grafana.key",
            "--tls-client-ca", self.pki / "ca.pem"])
        self.assertEqual(server.wait(), 2)
        self.assertIn("expected the private key of", server.tail())


if __name__ == "__main__":
    harness.main()
