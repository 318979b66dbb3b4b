"""What a real OpenSMTPD logs about scripted clients and servers, against what those saw.

Each client has a loopback address of its own, by which its session is found again; of
servers it is the port.  OpenSMTPD comes from Debian's package, extracted (package_root.py),
and needs root: started by another user, the test starts itself again with sudo, which must
not ask for a password then.
"""

import collections
import re
import smtplib
import ssl
import subprocess
import warnings

import harness
import package_root
import smtp_clients
import smtp_sinks

UTC = ("--time-zone", "UTC")
ROUNDS = 5
OUTBOUND_ROUNDS = 30
TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
PKI = "mx1.example.test"

CONFIGURATION = """
pki "{pki}" cert "/etc/tls/mx1.pem"
pki "{pki}" key "/etc/tls/mx1.key"
listen on 127.0.0.1 port {smtp} tls pki "{pki}"
listen on 127.0.0.1 port {smtps} smtps pki "{pki}"
listen on 127.0.0.1 port {plain}
mta limit session-mail-max 2
mta limit conn-delay-host 0
mta limit conn-delay-route 0
mta limit conn-delay-source 0
mta limit conn-delay-connector 0
mta limit conn-delay-relay 0
mta limit conn-delay-domain 0
mta limit reconn-delay-route 0
mta limit session-keepalive 0
"""


def suite():
    """Debian 12's OpenSMTPD 6.8 fails in every TLS handshake that it should answer: its
    OpenSSL is newer than what it was written for.  Then Debian 13's."""
    told = subprocess.run(["apt-cache", "policy", "opensmtpd"], capture_output=True, text=True, check=True).stdout
    return "trixie" if "Candidate: 6." in told or "Candidate: (none)" in told else None


class Client(smtp_clients.Client):
    refusal = 550


def tls_to_none(client):
    """Wants TLS of a server that has none."""
    client.greet()
    assert client.command("STARTTLS") >= 500
    client.seen.state, client.seen.failure = "FAILED", ("REFUSED",)
    client.message()
    client.quit()


def failed_commands(client):
    client.greet()
    for command in ("FOO", "MAIL FROM:<a b>", 'FOO" result="250 ok smtp connected', "DATA"):
        assert client.command(command) >= 500
        client.seen.refused += 1
    client.quit()


SCENARIOS = [
    *[("smtp", scenario) for scenario in (
        smtp_clients.plain_quit, smtp_clients.plain_refused, smtp_clients.plain_one_message,
        smtp_clients.plain_several_messages, smtp_clients.plain_message_given_up,
        smtp_clients.plain_dropped_after_ehlo, smtp_clients.plain_dropped_in_data, smtp_clients.plain_left_at_once,
        failed_commands, smtp_clients.tls_several_messages, smtp_clients.tls_probe,
        smtp_clients.tls_dropped_after_recipient, smtp_clients.tls_twice, smtp_clients.tls_failed_aborted,
        smtp_clients.tls_failed_reset, smtp_clients.tls_failed_plain_text,
        smtp_clients.tls_failed_no_shared_protocol, smtp_clients.tls_failed_no_shared_cipher,
        smtp_clients.tls_failed_certificate_rejected, smtp_clients.tls_message(**smtp_clients.NEWEST),
        *[smtp_clients.tls_message(**smtp_clients.older(cipher)) for cipher in smtp_clients.CIPHERS[:3]])],
    *[("smtps", scenario) for scenario in (
        smtp_clients.wrapper_message(**smtp_clients.NEWEST),
        smtp_clients.wrapper_message(**smtp_clients.older(smtp_clients.CIPHERS[1])),
        smtp_clients.wrapper_refused, smtp_clients.wrapper_failed_plain_text)],
    *[("plain", scenario) for scenario in (smtp_clients.plain_one_message, tls_to_none)],
]


class OpensmtpdTest(harness.EndToEndTest):
    def setUp(self):
        super().setUp()
        warnings.simplefilter("ignore", DeprecationWarning)  # Old TLS is what we test.
        self.log = self.dir / "mail.log"
        self.root = package_root.PackageRoot(self.dir / "root", ["opensmtpd"], ["opensmtpd", "opensmtpq"], suite())
        self.root.certificate("etc/tls", "mx1")
        self.root.write("etc/ssl/certs/ca-certificates.crt", (self.root.dir / "etc/tls/mx1.pem").read_text())
        self.syslog = package_root.Syslog(self.root.dir / "dev/log", self.log)
        self.ports = {name: harness.free_port() for name in ("smtp", "smtps", "plain")}

    def start_sinks(self):
        """Servers by the domain whose mail they get, with the scheme of its URL."""
        context = lambda *arguments: smtp_sinks.server_context(
            self.root.dir / "etc/tls/mx1.pem", self.root.dir / "etc/tls/mx1.key", *arguments)
        any_tls = context(TLS12, TLS13)
        # A server's failure counts against its address.
        addresses = (f"127.0.2.{number}" for number in range(1, 100))
        sink = lambda *arguments, **options: smtp_sinks.Sink(
            *arguments, address=next(addresses), port=harness.free_port(), **options)
        sinks = {
            "b": ("smtp", sink("b")),
            "tls13": ("smtp", sink("tls13", context(TLS13, TLS13))),
            "tls12": ("smtp", sink("tls12", context(TLS12, TLS12, "AES256-GCM-SHA384"))),
            "notls": ("smtp+notls", sink("notls", any_tls)),
            "refusing": ("smtp", sink("refusing", any_tls, refuse={"RCPT": "550 5.1.1 no such user"})),
            "deaf": ("smtp", sink("deaf", refuse={"CONNECT": "554 5.7.1 go away"})),
            "lost": ("smtp", sink("lost", any_tls, hang_up_after="MAIL")),
            "broken": ("smtp", sink("broken", any_tls, handshake="close")),
            "garbage": ("smtp", sink("garbage", any_tls, handshake="garbage")),
            "strict": ("smtp+tls", sink("strict", any_tls, handshake="close")),
            "unverified": ("smtp+tls", sink("unverified", any_tls)),
            "unencrypted": ("smtp+tls", sink("unencrypted")),
        }
        for _, sink in sinks.values():
            self.addCleanup(sink.stop)
        return sinks

    def start_opensmtpd(self, sinks):
        text = CONFIGURATION.format(pki=PKI, **self.ports)
        targets = {domain: f"{scheme}://{sink.address}:{sink.port}" for domain, (scheme, sink) in sinks.items()}
        targets["closed"] = f"smtp://127.0.2.100:{harness.free_port()}"
        for domain, url in targets.items():
            text += f'action "{domain}" relay host "{url}"\n'
            text += f'match from any for domain "{domain}.test" action "{domain}"\n'
        self.root.write("etc/smtpd.conf", text)
        process = self.start_process("smtpd", self.root.command("/usr/sbin/smtpd", "-F"))
        self.wait_until(lambda: self.listens(process), lambda: f"OpenSMTPD starts:\n{self.text()}{process.tail()}")
        return process, targets

    def listens(self, process):
        if not process.running():
            raise AssertionError(f"OpenSMTPD ended:\n{self.text()}{process.tail()}")
        try:
            with smtplib.SMTP("127.0.0.1", self.ports["plain"], source_address=("127.0.0.9", 0)):
                return True
        except OSError:
            return False

    def text(self):
        return self.log.read_text(errors="replace")

    def outbound_sessions(self):
        """Ids of those that the log does not show the end of."""
        sessions = lambda ends: set(re.findall(rf"\]: (\w+) mta (?:{ends})", self.text()))
        return sessions("connected") - sessions("disconnected|error|closing")

    def send(self, domains):
        """Messages for every domain, one with three recipients; returns how many recipients."""
        count = 0
        for turn in range(OUTBOUND_ROUNDS):
            names = ["u", "v", "refused.w"] if turn % 3 == 0 else ["u"]
            with smtplib.SMTP("127.0.0.1", self.ports["plain"], local_hostname="client.test",
                              source_address=("127.0.0.9", 0)) as client:
                for domain in domains:
                    client.sendmail("", [f"{name}@{domain}.test" for name in names], f"Subject: {turn}\r\n\r\nx\r\n")
                    count += len(names)
        return count

    def test_sessions(self):
        sinks = self.start_sinks()
        process, targets = self.start_opensmtpd(sinks)
        server = self.start_server()
        agent = self.start_agent(server, "mx1", self.log, options=UTC)
        seen = smtp_clients.run_by_address(SCENARIOS, self.ports, ROUNDS, Client)
        recipients = self.send(targets) + sum(client.recipients for client in seen)
        # The first session of all asked whether OpenSMTPD listens.
        inbound = len(seen) + OUTBOUND_ROUNDS + 1
        self.wait_until(lambda: self.text().count(" smtp disconnected ") >= inbound, "inbound sessions end")
        self.wait_until(lambda: self.text().count(" mta delivery ") >= recipients,
                        lambda: f"{recipients} deliveries, {self.text().count(' mta delivery ')}")
        self.wait_until(lambda: not any(sink.busy() for _, sink in sinks.values()), "outbound sessions end")
        self.wait_until(lambda: not self.outbound_sessions(), lambda: f"{self.outbound_sessions()} end in the log")
        process.terminate()
        self.syslog.flush()

        expected = {sink.port: collections.Counter(self.expected(connection) for connection in sink.seen)
                    for _, sink in sinks.values()}
        total = sum(expected.values(), collections.Counter())
        self.assertGreaterEqual(len(seen), 100)
        self.assertGreaterEqual(total.total(), 100)
        records = self.scan_sessions(*UTC, self.log)
        self.assertEqual({record["peerClass"] for record in sum(records.values(), [])}, {"PEER_CLASS_LOOPBACK"})
        self.check_inbound(records["INBOUND"], seen)
        self.check_outbound(records["OUTBOUND"], expected)
        report = self.scan_json("--peer-class", "all", *UTC, self.log)
        self.assertEqual(report["lines"]["unrecognized"], 0)
        self.assertEqual(report["inbound"]["open_sessions"] + report["outbound"]["open_sessions"], 0)
        self.check_server(server, seen, inbound, total)
        self.assertEqual(agent.stop(), 0)

    def check_inbound(self, records, seen):
        """Every client's session has one record, and it says what the client saw."""
        by_address = collections.defaultdict(list)
        for record in records:
            by_address[record["peer"]["address"]].append(record)
        self.assertEqual(len(by_address.pop("127.0.0.9")), OUTBOUND_ROUNDS + 1)
        for client in seen:
            found = by_address.pop(client.address, [])
            self.assertEqual(len(found), 1, client)
            with self.subTest(client=client):
                record, tls = found[0], found[0]["tls"]
                # No line tells the listener's port.
                self.assertEqual(record["service"], "smtpd")
                self.assertEqual(tls["state"], "TLS_STATE_" + client.state)
                self.assertEqual((tls.get("protocol", ""), tls.get("cipher", "")), (client.protocol, client.cipher))
                if client.state == "FAILED":
                    self.assertIn(tls["failure"].removeprefix("TLS_FAILURE_"), client.failure)
                self.assertEqual(record.get("messages", 0), client.messages)
                self.assertEqual(record.get("rejects", 0), client.refused)
                self.assertEqual(record["endReason"], "END_REASON_" + client.end)
        self.assertEqual(by_address, {})

    def expected(self, connection):
        """What the log can tell.  A certificate that the client refuses ends the handshake
        for it, when the server has finished its own."""
        if connection.sink == "unverified":
            return ("FAILED", "", "", 0)
        return (connection.state, connection.protocol, connection.cipher, connection.messages)

    def check_outbound(self, records, expected):
        found = collections.defaultdict(collections.Counter)
        for record in records:
            tls = record["tls"]
            self.assertEqual(record["service"], "smtp")
            found[record["peer"]["port"]][(tls["state"].removeprefix("TLS_STATE_"), tls.get("protocol", ""),
                                           tls.get("cipher", ""), record.get("messages", 0))] += 1
        self.assertEqual(found, expected)

    def check_server(self, server, seen, inbound, outbound):
        total = self.wait_for_sessions(server, "INBOUND", inbound)
        states = collections.Counter(client.state for client in seen)
        self.assertEqual(total["tlsSessions"], states["ESTABLISHED"])
        self.assertEqual(total["failedHandshakes"], states["FAILED"])
        total = self.wait_for_sessions(server, "OUTBOUND", outbound.total())
        states = collections.Counter()
        for (state, *_), count in outbound.items():
            states[state] += count
        self.assertEqual(total["tlsSessions"], states["ESTABLISHED"])
        self.assertEqual(total["failedHandshakes"], states["FAILED"])
        self.assertEqual(total["messages"], sum(count * messages for (*_, messages), count in outbound.items()))


if __name__ == "__main__":
    harness.main_as_root()
