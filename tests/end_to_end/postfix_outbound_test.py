"""What a real Postfix logs about the connections it makes, against what the servers saw.

A session is found again by its server's port; the connections to one server are
compared as a whole.  Postfix needs root: started by another user, the test starts
itself again with sudo, which must not ask for a password then.
"""

import collections
import datetime
import smtplib
import ssl

import harness
import postfix_instance
import smtp_sinks

UTC = ("--time-zone", "UTC")
ROUNDS = 15

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3

MAIN_CF = """
smtp_tls_security_level = may
smtp_tls_loglevel = {loglevel}
lmtp_tls_security_level = may
lmtp_tls_loglevel = {loglevel}
notify_classes =
destination_concurrency_failed_cohort_limit = 0
default_destination_concurrency_failed_cohort_limit = 0
# Connections are used again where a transport says so.
smtp_connection_cache_on_demand = no
lmtp_connection_cache_on_demand = no
transport_maps = inline:{{ {transports} }}
"""

# Whatever is deferred is given up: each message is tried once.
ONCE = """
maximal_queue_lifetime = 0
bounce_queue_lifetime = 0
"""

# A message that is a second old is tried again, and may go without TLS.
RETRY = """
minimal_backoff_time = 1s
maximal_backoff_time = 1s
queue_run_delay = 1s
"""

REUSE = "-o smtp_connection_cache_destinations=127.0.0.1 -o smtp_connection_cache_time_limit=20s"

MASTER_CF = f"""
smtp      unix - - n - - smtp
lmtp      unix - - n - - lmtp
strict    unix - - n - - smtp -o syslog_name=postfix/strict -o smtp_tls_security_level=verify
reuse     unix - - n - - smtp -o syslog_name=postfix/reuse {REUSE}
tlsreuse  unix - - n - - smtp -o syslog_name=postfix-tlsreuse/tlsreuse -o smtp_tls_connection_reuse=yes {REUSE}
tlsproxy  unix - - n - 0 tlsproxy
"""


class PostfixOutboundTest(harness.EndToEndTest):
    def setUp(self):
        super().setUp()
        self.run_program(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                          "/CN=sink.test", "-keyout", self.dir / "sink.key", "-out", self.dir / "sink.pem"])
        self.log = self.dir / "postfix" / "maillog"

    def sinks(self):
        """Servers by the domain whose mail they get, with the transport that brings it."""
        context = lambda *arguments: smtp_sinks.server_context(
            self.dir / "sink.pem", self.dir / "sink.key", *arguments)
        any_tls = context(TLS12, TLS13)
        refusal = {"RCPT": "550 5.1.1 no such user"}
        return {
            "tls13": ("smtp", smtp_sinks.Sink("tls13", context(TLS13, TLS13))),
            "tls12": ("smtp", smtp_sinks.Sink("tls12", context(TLS12, TLS12, "AES256-GCM-SHA384"))),
            "plain": ("smtp", smtp_sinks.Sink("plain")),
            "refusing": ("smtp", smtp_sinks.Sink("refusing", any_tls, refuse=refusal)),
            "deaf": ("smtp", smtp_sinks.Sink("deaf", refuse={"CONNECT": "554 5.7.1 go away"})),
            "lost": ("smtp", smtp_sinks.Sink("lost", any_tls, hang_up_after="MAIL")),
            "broken": ("smtp", smtp_sinks.Sink("broken", any_tls, handshake="close")),
            "garbage": ("smtp", smtp_sinks.Sink("garbage", any_tls, handshake="garbage")),
            "unverified": ("strict", smtp_sinks.Sink("unverified", any_tls)),
            "unencrypted": ("strict", smtp_sinks.Sink("unencrypted")),
            "lmtp": ("lmtp", smtp_sinks.Sink("lmtp", any_tls)),
            "reuse": ("reuse", smtp_sinks.Sink("reuse")),
            "tlsreuse": ("tlsreuse", smtp_sinks.Sink("tlsreuse", any_tls)),
        }

    def failing_sinks(self):
        """They announce TLS, and take mail without it alone."""
        context = smtp_sinks.server_context(self.dir / "sink.pem", self.dir / "sink.key", TLS12, TLS13)
        return {handshake: ("smtp", smtp_sinks.Sink(handshake, context, handshake=handshake))
                for handshake in ("close", "garbage")}

    def send(self, port, domains):
        """Mail for every domain, every third message for three recipients."""
        count = 0
        with smtplib.SMTP("127.0.0.1", port, local_hostname="client.test") as client:
            for turn in range(ROUNDS):
                for domain in domains:
                    names = ["u", "v", "refused.w"] if turn % 3 == 0 else ["u"]
                    refusing = domain == "refusing" and turn % 3 == 1
                    recipients = [f"{'refused.' if refusing else ''}{name}@{domain}.test" for name in names]
                    client.sendmail("", recipients, f"Subject: {turn}\r\n\r\nx\r\n")
                    count += 1
        return count

    def run_postfix(self, sinks, loglevel, retries):
        """Delivers to the sinks while an agent follows the log; returns what they saw by port."""
        for _, sink in sinks.values():
            self.addCleanup(sink.stop)
        transports = ", ".join(
            f"{{ {domain}.test = {transport}:{'inet:127.0.0.1' if transport == 'lmtp' else '[127.0.0.1]'}:{sink.port} }}"
            for domain, (transport, sink) in sinks.items())
        postfix = postfix_instance.Postfix(
            self, self.dir / "postfix", tls_loglevel=0,
            main_cf=MAIN_CF.format(loglevel=loglevel, transports=transports) + retries, master_cf=MASTER_CF)
        server = self.start_server()
        agent = self.start_agent(server, "mx1", self.log, options=UTC)
        self.send(postfix.ports["smtpd"], sinks)
        postfix.wait_for_end_of_sessions(1)
        postfix.stop()
        for _, sink in sinks.values():
            sink.stop()
        return server, agent, smtp_sinks.by_port(sink for _, sink in sinks.values())

    def check(self, loglevel, sinks, retries):
        server, agent, seen = self.run_postfix(sinks, loglevel, retries)
        services = {sink.port: transport for transport, sink in sinks.values()}
        expected = {port: collections.Counter(self.expected(services[port], connection, loglevel)
                                              for connection in connections)
                    for port, connections in seen.items()}
        self.check_records(expected, services)
        self.check_server(server, expected)
        self.assertEqual(agent.stop(), 0)
        self.check_finding(server, expected, shown=loglevel > 0 or "tlsreuse" in sinks)
        return expected

    def expected(self, service, seen, loglevel):
        """What the log can tell of a connection: without TLS lines only what failed, what Postfix
        hands on, and what policy refuses, a certificate or its absence."""
        if loglevel > 0 or service == "tlsreuse" or seen.state == "FAILED":
            return (seen.state, seen.protocol, seen.cipher, seen.messages)
        if service == "strict" or seen.sink in ("close", "garbage"):
            return (seen.state, "", "", seen.messages)
        return ("UNKNOWN", "", "", seen.messages)

    def check_records(self, expected, services):
        records = collections.defaultdict(collections.Counter)
        for record in self.scan_sessions(*UTC, self.log)["OUTBOUND"]:
            tls, port = record["tls"], record["peer"]["port"]
            self.assertEqual(record["peer"]["address"], "127.0.0.1")
            self.assertEqual(record["peerClass"], "PEER_CLASS_LOOPBACK")
            self.assertEqual(record["service"], services[port])
            records[port][(tls["state"].removeprefix("TLS_STATE_"), tls.get("protocol", ""),
                           tls.get("cipher", ""), record.get("messages", 0))] += 1
        for port, counts in expected.items():
            with self.subTest(service=services[port], port=port):
                self.assertEqual(records.pop(port, {}), counts)
        self.assertEqual(records, {})
        report = self.scan_json("--peer-class", "all", *UTC, self.log)
        self.assertEqual(report["lines"]["unrecognized"], 0)
        self.assertEqual(report["outbound"]["open_sessions"], 0)
        total = sum(expected.values(), collections.Counter())
        self.assertEqual(report["outbound"]["sessions"], total.total())

    def check_server(self, server, expected):
        """The server counts the live sessions once ten minutes of log have passed."""
        later = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=10)
        with self.log.open("a") as file:
            file.write(later.strftime("%b %d %H:%M:%S mx1 postfix/anvil[1]: statistics: max cache size 1\n"))
        total = sum(expected.values(), collections.Counter())
        answer = self.wait_for_sessions(server, "OUTBOUND", total.total())
        states = collections.Counter()
        for (state, *_), count in total.items():
            states[state] += count
        self.assertEqual(answer["tlsSessions"], states["ESTABLISHED"])
        self.assertEqual(answer["plaintextSessions"], states["PLAINTEXT"])
        self.assertEqual(answer["failedHandshakes"], states["FAILED"])
        self.assertEqual(answer["messages"], sum(count * messages for (*_, messages), count in total.items()))

    def check_finding(self, server, expected, shown):
        """The same log as if the servers were elsewhere: a finding says what is not logged."""
        elsewhere = self.dir / "elsewhere.log"
        elsewhere.write_text(self.log.read_text().replace("127.0.0.1[127.0.0.1]:", "mx.sink.test[192.0.2.1]:"))
        self.read_once(server, "mx2", elsewhere, options=UTC)
        # The log ends ten minutes from now, and lines count under their hours.
        now = datetime.datetime.now(datetime.timezone.utc)
        window = "/".join((now + datetime.timedelta(hours=hours)).strftime("%Y-%m-%dT%H:00Z") for hours in (-1, 2))
        answer = server.stats(window=window, filter={"hosts": ["mx2"], "directions": ["OUTBOUND"]})
        total, unknown = harness.figures(answer["total"]), 0
        for counts in expected.values():
            unknown += sum(count for (state, *_), count in counts.items() if state == "UNKNOWN")
        self.assertEqual(total["unknownSessions"], unknown)
        findings = [finding for finding in answer["completeness"]["findings"]
                    if finding["finding"] == "OUTBOUND_TLS_NOT_LOGGED"]
        if shown or unknown == 0:
            self.assertEqual(findings, [])
            return
        self.assertEqual([finding["host"] for finding in findings], ["mx2"])
        self.assertIn("smtp_tls_loglevel", findings[0]["advice"])

    def test_with_tls_lines(self):
        expected = self.check(loglevel=1, sinks=self.sinks(), retries=ONCE)
        self.assertGreaterEqual(sum(counts.total() for counts in expected.values()), 100)

    def test_without_tls_lines(self):
        """smtp_tls_loglevel = 0, the default."""
        sinks = self.sinks()
        del sinks["tlsreuse"]  # Is always logged.
        counts = sum(self.check(loglevel=0, sinks=sinks, retries=ONCE).values(), collections.Counter())
        self.assertGreaterEqual(counts.total(), 100)
        self.assertGreaterEqual(counts[("UNKNOWN", "", "", 1)], 4 * ROUNDS)

    def test_reused_tls_connections_are_always_logged(self):
        sinks = {name: sink for name, sink in self.sinks().items() if name in ("tls13", "tlsreuse", "broken")}
        self.check(loglevel=0, sinks=sinks, retries=ONCE)

    def check_retries(self, loglevel):
        """Postfix tries again at once and without TLS, once a message is old enough."""
        counts = sum(self.check(loglevel, self.failing_sinks(), RETRY).values(), collections.Counter())
        self.assertEqual(counts[("PLAINTEXT", "", "", 1)], 2 * ROUNDS)
        # A message that is too young is deferred.
        self.assertGreater(counts[("FAILED", "", "", 0)], 2 * ROUNDS)
        self.assertEqual(len(counts), 2)

    def test_plaintext_after_failed_handshakes_with_tls_lines(self):
        self.check_retries(loglevel=1)

    def test_plaintext_after_failed_handshakes_without_tls_lines(self):
        self.check_retries(loglevel=0)


if __name__ == "__main__":
    harness.main_as_root()
