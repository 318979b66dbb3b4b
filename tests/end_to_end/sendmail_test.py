"""What a real Sendmail logs about scripted clients and servers, against what those saw.

Clients and servers have a loopback address each, by which their sessions are found again.
Sendmail comes from Debian's packages, extracted (package_root.py), and needs root: started
by another user, the test starts itself again with sudo, which must not ask for a password then.
"""

import collections
import datetime
import os
import smtplib
import ssl
import warnings

import harness
import package_root
import smtp_clients
import smtp_sinks

UTC = ("--time-zone", "UTC")
ROUNDS = 5
OUTBOUND_ROUNDS = 10
TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3

# Of the servers 127.0.2.N, all at one port: mail for [127.0.2.N] goes there.
CONFIGURATION = """
include(`/usr/share/sendmail/cf/m4/cf.m4')dnl
OSTYPE(`debian')dnl
define(`confDOMAIN_NAME', `mx1.example.test')dnl
FEATURE(`accept_unresolvable_domains')dnl
FEATURE(`accept_unqualified_senders')dnl
FEATURE(`nocanonify')dnl
FEATURE(`promiscuous_relay')dnl
undefine(`confDEF_USER_ID')dnl
define(`ESMTP_MAILER_ARGS', `TCP $h {sinks}')dnl
define(`confHOST_STATUS_DIRECTORY', `')dnl
define(`confTO_CONNECT', `5s')dnl
define(`confMIN_QUEUE_AGE', `0')dnl
define(`confCON_EXPENSIVE', `False')dnl
define(`confBAD_RCPT_THROTTLE', `0')dnl
define(`confDONT_PROBE_INTERFACES', `True')dnl
define(`confREFUSE_LA', `1000')dnl
define(`confQUEUE_LA', `1000')dnl
FEATURE(`no_default_msa')dnl
DAEMON_OPTIONS(`Name=MTA-v4, Family=inet, Port={smtp}, Addr=127.0.0.1')dnl
DAEMON_OPTIONS(`Name=MSSL, Family=inet, Port={smtps}, Addr=127.0.0.1, M=s')dnl
define(`confCACERT_PATH', `/etc/mail/tls')dnl
define(`confCACERT', `/etc/mail/tls/mx1.pem')dnl
define(`confSERVER_CERT', `/etc/mail/tls/mx1.pem')dnl
define(`confSERVER_KEY', `/etc/mail/tls/mx1.key')dnl
define(`confCLIENT_CERT', `/etc/mail/tls/mx1.pem')dnl
define(`confCLIENT_KEY', `/etc/mail/tls/mx1.key')dnl
MAILER(`local')dnl
MAILER(`smtp')dnl
LOCAL_RULE_0
R$* < @ b.test $* > $*\t$#esmtp $@ [127.0.2.1] $: $1 < @ b.test $2 > $3
LOCAL_RULESETS
SLocal_check_rcpt
R$* @ refused.test $*\t$#error $@ 5.1.1 $: "550 no such user"
"""


class Client(smtp_clients.Client):
    refusal = 550
    refused = "nouser@refused.test"


SCENARIOS = [
    *[("smtp", scenario) for scenario in (
        smtp_clients.plain_quit, smtp_clients.plain_refused, smtp_clients.plain_one_message,
        smtp_clients.plain_several_messages, smtp_clients.plain_message_given_up,
        smtp_clients.plain_dropped_after_ehlo, smtp_clients.plain_dropped_in_data, smtp_clients.plain_left_at_once,
        smtp_clients.plain_web_browser, smtp_clients.hostile_sender, smtp_clients.hostile_subject,
        smtp_clients.tls_several_messages, smtp_clients.tls_probe, smtp_clients.tls_dropped_after_recipient,
        smtp_clients.tls_failed_aborted, smtp_clients.tls_failed_reset, smtp_clients.tls_failed_plain_text,
        smtp_clients.tls_failed_no_shared_protocol, smtp_clients.tls_failed_no_shared_cipher,
        smtp_clients.tls_failed_certificate_rejected, smtp_clients.tls_message(**smtp_clients.NEWEST),
        *[smtp_clients.tls_message(**smtp_clients.older(cipher)) for cipher in smtp_clients.CIPHERS[:3]])],
    *[("smtps", scenario) for scenario in (
        smtp_clients.wrapper_message(**smtp_clients.NEWEST),
        smtp_clients.wrapper_message(**smtp_clients.older(smtp_clients.CIPHERS[1])),
        smtp_clients.wrapper_refused, smtp_clients.wrapper_failed_plain_text,
        smtp_clients.wrapper_failed_left_at_once)],
]
GIVEN_UP = ("plain_message_given_up",)
LOST_IN_TRANSACTION = ("plain_dropped_in_data", "tls_dropped_after_recipient")
SERVICES = {"smtp": "smtpd", "smtps": "MSSL"}


class SendmailTest(harness.EndToEndTest):
    def setUp(self):
        super().setUp()
        warnings.simplefilter("ignore", DeprecationWarning)  # Old TLS is what we test.
        self.log = self.dir / "mail.log"
        self.root = package_root.PackageRoot(
            self.dir / "root", ["sendmail-bin", "sendmail-cf", "dash", "coreutils", "sed"], ["smmta", "smmsp"])
        self.root.certificate("etc/mail/tls", "mx1")
        self.syslog = package_root.Syslog(self.root.dir / "dev/log", self.log)
        self.ports = {name: harness.free_port() for name in ("smtp", "smtps", "sinks")}
        for folder in ("var/spool/mqueue", "var/lib/sendmail/host_status", "var/run/sendmail/mta"):
            (self.root.dir / folder).mkdir(parents=True, exist_ok=True)
        shell = self.root.dir / "usr/bin/sh"
        if not shell.exists():
            shell.symlink_to("dash")
        self.root.write("etc/mail/local-host-names", "mx1.example.test\n")
        self.root.write("etc/mail/sendmail.mc", CONFIGURATION.format(**self.ports))
        made = self.run_program(self.root.command("m4", "/etc/mail/sendmail.mc"))
        self.root.write("etc/mail/sendmail.cf", made.stdout)

    def sendmail(self, *arguments):
        return self.root.command("/usr/libexec/sendmail/sendmail", "-L", "sm-mta", *arguments)

    def start_sinks(self, network):
        context = lambda *arguments: smtp_sinks.server_context(
            self.root.dir / "etc/mail/tls/mx1.pem", self.root.dir / "etc/mail/tls/mx1.key", *arguments)
        any_tls = context(TLS12, TLS13)
        sink = lambda number, *arguments, **options: smtp_sinks.Sink(
            *arguments, address=f"{network}.{number}", port=self.ports["sinks"], **options)
        sinks = [
            sink(1, "plain"),
            sink(2, "tls13", context(TLS13, TLS13)),
            sink(3, "tls12", context(TLS12, TLS12, "AES256-GCM-SHA384")),
            sink(4, "refusing", any_tls, refuse={"RCPT": "550 5.1.1 no such user"}),
            sink(5, "deaf", refuse={"CONNECT": "554 5.7.1 go away"}),
            sink(6, "lost", any_tls, hang_up_after="MAIL"),
            sink(7, "broken", any_tls, handshake="close"),
            sink(8, "garbage", any_tls, handshake="garbage"),
            sink(9, "lost_plain", hang_up_after="MAIL"),
        ]
        for one in sinks:
            self.addCleanup(one.stop)
        return sinks

    def start_daemon(self, *arguments):
        process = self.start_process("sendmail", self.sendmail("-bD", *arguments))
        self.wait_until(lambda: self.listens(process), lambda: f"Sendmail starts:\n{self.text()}{process.tail()}")
        return process

    def listens(self, process):
        if not process.running():
            raise AssertionError(f"Sendmail ended:\n{self.text()}{process.tail()}")
        try:
            with smtplib.SMTP("127.0.0.1", self.ports["smtp"], source_address=("127.0.0.9", 0)):
                return True
        except OSError:
            return False

    def text(self):
        return self.log.read_text(errors="replace")

    def send(self, addresses):
        """A message for every server and round, every third for three recipients."""
        for turn in range(OUTBOUND_ROUNDS):
            with smtplib.SMTP("127.0.0.1", self.ports["smtp"], source_address=("127.0.0.9", 0)) as client:
                for address in addresses:
                    names = ["u", "v", "refused.w"] if turn % 3 == 0 else ["u"]
                    client.sendmail("", [f"{name}@[{address}]" for name in names], f"Subject: {turn}\r\n\r\nx\r\n")

    def wait_for_last_lines(self, seen):
        """Each client's session leaves a last line, and all but some a queue without its mail."""
        for client in seen:
            wanted = client.messages
            self.wait_until(lambda c=client, w=wanted: self.text().count(f"[{c.address}]") >= max(w, 1), str(client))

    def test_sessions(self):
        # Each message has a process and a connection of its own.
        sinks = self.start_sinks("127.0.2")
        unused = f"127.0.2.{len(sinks) + 1}"  # Refuses.
        server = self.start_server()
        agent = self.start_agent(server, "mx1", self.log, options=UTC)
        daemon = self.start_daemon()
        seen = smtp_clients.run_by_address(SCENARIOS, self.ports, ROUNDS, Client)
        self.send([sink.address for sink in sinks] + [unused])
        relayed = sum(client.messages for client in seen)
        messages = relayed + OUTBOUND_ROUNDS * (len(sinks) + 1)
        self.wait_until(lambda: len(self.message_ids("mailer=esmtp, ")) >= messages,
                        lambda: f"{messages} messages tried, {len(self.message_ids('mailer=esmtp, '))}")
        daemon.terminate()
        # One process delivers a queue, and uses connections again.
        queue_sinks = self.start_sinks("127.0.3")
        daemon = self.start_daemon("-O", "DeliveryMode=queueonly")
        self.send([sink.address for sink in queue_sinks])
        daemon.terminate()
        done = self.run_program(self.sendmail("-qf"), check=False, timeout=120)
        # It ends with what became of the last message, which may be one that was refused.
        self.assertIn(done.returncode, (os.EX_OK, os.EX_NOUSER, os.EX_UNAVAILABLE, os.EX_TEMPFAIL), done.stderr)
        self.wait_until(lambda: not any(sink.busy() for sink in sinks + queue_sinks), "connections end")
        self.wait_for_last_lines(seen)
        self.syslog.flush()

        expected = {}
        for sink in sinks:
            expected[sink.address] = collections.Counter(self.expected(connection) for connection in sink.seen)
        for sink in queue_sinks:
            expected[sink.address] = self.expected_of_queue(sink.seen)
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
        self.check_server(server, len(records["INBOUND"]), seen, total)
        self.assertEqual(agent.stop(), 0)

    def message_ids(self, text):
        return {line.split(": ")[1] for line in self.text().splitlines() if text in line}

    def check_inbound(self, records, seen):
        """Every client's session has one record, and it says what the client saw."""
        by_address = collections.defaultdict(list)
        for record in records:
            by_address[record["peer"]["address"]].append(record)
        # Two asked whether Sendmail listens.
        self.assertEqual(len(by_address.pop("127.0.0.9")), 2 * OUTBOUND_ROUNDS + 2)
        for client in seen:
            found = by_address.pop(client.address, [])
            self.assertEqual(len(found), 1, client)
            with self.subTest(client=client):
                record, tls = found[0], found[0]["tls"]
                self.assertEqual(record["service"], SERVICES[client.service])
                self.assertEqual(tls["state"], "TLS_STATE_" + client.state)
                self.assertEqual((tls.get("protocol", ""), tls.get("cipher", "")), (client.protocol, client.cipher))
                if client.state == "FAILED":
                    self.assertIn(tls["failure"].removeprefix("TLS_FAILURE_"), client.failure)
                self.assertEqual(record.get("messages", 0), client.messages)
                self.assertEqual(record.get("rejects", 0), client.refused)
                self.assertEqual(record.get("endReason"), self.expected_end(client))
        self.assertEqual(by_address, {})

    def expected_end(self, client):
        """A line tells the end of sessions without mail, in whatever way they ended, and of
        those that were lost in a transaction."""
        if client.scenario in LOST_IN_TRANSACTION:
            return "END_REASON_LOST_CONNECTION"
        mail = client.messages or client.refused or client.scenario in GIVEN_UP
        return None if mail else "END_REASON_DISCONNECT"

    def expected(self, connection):
        """The log tells all that the server saw."""
        return (connection.state, connection.protocol, connection.cipher, connection.messages)

    def expected_of_queue(self, connections):
        """Of one process.  Connections without TLS to one server look like one, and that one
        failed is not tried again."""
        counts = collections.Counter()
        plain = [connection for connection in connections if connection.state == "PLAINTEXT"]
        for connection in connections:
            if connection.state != "PLAINTEXT":
                counts[self.expected(connection)] += 1
        if plain:
            counts[("PLAINTEXT", "", "", sum(connection.messages for connection in plain))] += 1
        return counts

    def check_outbound(self, records, expected):
        found = collections.defaultdict(collections.Counter)
        for record in records:
            tls = record["tls"]
            self.assertEqual(record["service"], "smtp")
            found[record["peer"]["address"]][(tls["state"].removeprefix("TLS_STATE_"), tls.get("protocol", ""),
                                              tls.get("cipher", ""), record.get("messages", 0))] += 1
        for address in sorted(set(found) | set(expected)):
            with self.subTest(server=address):
                self.assertEqual(found.get(address), expected.get(address))

    def check_server(self, server, inbound, seen, outbound):
        """The server counts them once an hour of silence has passed."""
        now = datetime.datetime.now(datetime.timezone.utc)
        with self.log.open("a") as file:
            for minutes in (25, 50, 75, 100):
                later = now + datetime.timedelta(minutes=minutes)
                file.write(later.strftime("%b %d %H:%M:%S mx1 cron[1]: x\n"))
        total = self.wait_for_sessions(server, "INBOUND", inbound)
        states = collections.Counter(client.state for client in seen)
        self.assertEqual(total["tlsSessions"], states["ESTABLISHED"])
        self.assertEqual(total["failedHandshakes"], states["FAILED"])
        total = self.wait_for_sessions(server, "OUTBOUND", outbound.total())
        self.assertEqual(total["messages"], sum(count * messages for (*_, messages), count in outbound.items()))


if __name__ == "__main__":
    harness.main_as_root()
