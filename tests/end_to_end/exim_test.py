"""What a real Exim logs about scripted clients and servers, against what they saw: in its own
file and through syslog, with all selectors, with the default ones, which tell less, and with those
that deploy/README.md names.

Exim comes from Debian's package and runs by chroot.  An inbound session is found again by
its client's address, an outbound one by its server's.  Needs root: started by another user, the
test starts itself again with sudo, which must not ask for a password then.
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
REUSED = 6  # Messages that a queue run sends to one server.

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3

SENDER_ADDRESS = "127.0.0.9"

CONFIGURATION = """
primary_hostname = mx1.example.test
domainlist local_domains = b.test
local_interfaces = 127.0.0.1
daemon_smtp_ports = {smtp} : {smtps} : {impatient}
tls_on_connect_ports = {smtps}
tls_advertise_hosts = *
tls_certificate = /etc/exim4/mx1.pem
tls_privatekey = /etc/exim4/mx1.key
tls_require_ciphers = NORMAL:-VERS-TLS1.0:-VERS-TLS1.1:+RSA
smtp_receive_timeout = ${{if eq{{$received_port}}{{{impatient}}}{{2s}}{{5m}}}}
{logging}
keep_environment =
host_lookup =
helo_allow_chars = _
smtp_accept_max = 0
smtp_accept_queue_per_connection = 0
bounce_return_message = false
acl_smtp_rcpt = rcpt
begin acl
rcpt:
  deny domains = refused.test
  warn domains = reuse.test
       control = queue
  accept
begin routers
sinks:
  driver = manualroute
  domains = ! +local_domains
  transport = ${{if eq{{$domain}}{{strict.test}}{{strict}}{{relay}}}}
  route_data = ${{lookup{{$domain}}lsearch{{/etc/exim4/hosts}}}}
  self = send
here:
  driver = redirect
  data = :blackhole:
begin transports
relay:
  driver = smtp
  port = {port}
strict:
  driver = smtp
  port = {port}
  hosts_require_tls = *
  tls_verify_hosts = *
  tls_verify_certificates = /etc/exim4/other.pem
begin retry
* * F,1h,1h
"""


class Client(smtp_clients.Client):
    refusal = 550


SCENARIOS = [
    *[("smtp", scenario) for scenario in (
        smtp_clients.plain_quit, smtp_clients.plain_refused, smtp_clients.plain_one_message,
        smtp_clients.plain_several_messages, smtp_clients.plain_bdat, smtp_clients.plain_dropped_after_ehlo,
        smtp_clients.plain_dropped_in_data, smtp_clients.plain_left_at_once, smtp_clients.tls_several_messages,
        smtp_clients.tls_probe, smtp_clients.tls_dropped_after_recipient, smtp_clients.tls_twice,
        smtp_clients.tls_failed_aborted, smtp_clients.tls_failed_reset, smtp_clients.tls_failed_plain_text,
        smtp_clients.tls_failed_no_shared_protocol, smtp_clients.tls_failed_no_shared_cipher,
        smtp_clients.tls_failed_certificate_rejected, smtp_clients.hostile_subject,
        smtp_clients.tls_message(**smtp_clients.NEWEST),
        *[smtp_clients.tls_message(**smtp_clients.older(cipher)) for cipher in smtp_clients.CIPHERS])],
    *[("smtps", scenario) for scenario in (
        smtp_clients.wrapper_message(**smtp_clients.NEWEST),
        smtp_clients.wrapper_message(**smtp_clients.older(smtp_clients.CIPHERS[1])), smtp_clients.wrapper_refused,
        smtp_clients.wrapper_failed_plain_text, smtp_clients.wrapper_failed_left_at_once)],
    *[("impatient", scenario) for scenario in (smtp_clients.silent_after_starttls, smtp_clients.silent_after_ehlo)],
]


def code_points():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("ALL:@SECLEVEL=0")
    return {cipher["name"]: cipher["id"] & 0xffff for cipher in context.get_ciphers()}


CODE_POINTS = code_points()


class Case(harness.EndToEndTest):
    def setUp(self):
        super().setUp()
        warnings.simplefilter("ignore", DeprecationWarning)  # Old TLS is what we test.
        self.root = package_root.PackageRoot(self.dir / "root", ["exim4-daemon-light"], ["Debian-exim"])
        for name in ("mx1", "other"):
            self.root.certificate("etc/exim4", name)
            for suffix in ("pem", "key"):
                (self.root.dir / f"etc/exim4/{name}.{suffix}").chmod(0o644)
        for folder in ("var/spool/exim4", "var/log/exim4"):
            self.root.dir.joinpath(folder).mkdir(parents=True, exist_ok=True)
            os.chown(self.root.dir / folder, 900, 900)
        self.log = self.root.dir / "var/log/exim4/mainlog"
        self.ports = {name: harness.free_port() for name in ("smtp", "smtps", "impatient")}

    # ---- Servers, clients, Exim

    def start_sinks(self):
        """Servers by the domain whose mail they get, each on an address of its own."""
        context = lambda *arguments: smtp_sinks.server_context(
            self.root.dir / "etc/exim4/mx1.pem", self.root.dir / "etc/exim4/mx1.key", *arguments)
        any_tls = context(TLS12, TLS13)
        port = harness.free_port()
        addresses = (f"127.0.2.{number}" for number in range(1, 100))
        sink = lambda *arguments, **options: smtp_sinks.Sink(*arguments, address=next(addresses), port=port, **options)
        sinks = {
            "tls13": sink("tls13", context(TLS13, TLS13)),
            "tls12": sink("tls12", context(TLS12, TLS12, "AES256-GCM-SHA384")),
            "plain": sink("plain"),
            "refusing": sink("refusing", any_tls, refuse={"RCPT": "550 5.1.1 no such user"}),
            "deaf": sink("deaf", refuse={"CONNECT": "554 5.7.1 go away"}),
            "lost": sink("lost", any_tls, hang_up_after="MAIL"),
            "broken": sink("broken", any_tls, handshake="close"),
            "garbage": sink("garbage", any_tls, handshake="garbage"),
            "strict": sink("strict", any_tls),
            "reuse": sink("reuse", any_tls),
        }
        for each in sinks.values():
            self.addCleanup(each.stop)
        self.root.write("etc/exim4/hosts", "".join(f"{name}.test: {each.address}\n" for name, each in sinks.items())
                        + "closed.test: 127.0.2.100\n")
        return sinks, port

    def start_exim(self, logging, port):
        self.root.write("etc/exim4/exim4.conf", CONFIGURATION.format(logging=logging, port=port, **self.ports))
        self.log.touch()
        os.chown(self.log, 900, 900)
        process = self.start_process("exim", self.root.command("/usr/sbin/exim4", "-bdf"))
        self.wait_until(lambda: self.listens(process), lambda: f"Exim starts:\n{self.text()}{process.tail()}")
        return process

    def listens(self, process):
        if not process.running():
            raise AssertionError(f"Exim ended:\n{self.text()}{process.tail()}")
        return " daemon started: " in self.text()

    def text(self):
        return self.log.read_text(errors="replace")

    def send(self, sinks):
        """Messages for every domain, each third with three recipients."""
        domains = [*(name for name in sinks if name != "reuse"), "closed"]
        for turn in range(OUTBOUND_ROUNDS):
            with smtplib.SMTP("127.0.0.1", self.ports["smtp"], local_hostname="client.test",
                              source_address=(SENDER_ADDRESS, 0)) as client:
                for domain in domains:
                    names = ["u", "v", "refused.w"] if turn % 3 == 0 else ["u"]
                    if domain == "refusing" and turn % 3 == 1:
                        names = ["refused.u"]
                    client.sendmail("", [f"{name}@{domain}.test" for name in names], f"Subject: {turn}\r\n\r\nx\r\n")
            self.wait_for_exim(sinks)
            # A server that failed is tried again with the next message.
            for file in (self.root.dir / "var/spool/exim4/db").glob("retry*"):
                file.unlink()
        with smtplib.SMTP("127.0.0.1", self.ports["smtp"], local_hostname="client.test",
                          source_address=(SENDER_ADDRESS, 0)) as client:
            for turn in range(REUSED):
                client.sendmail("", ["u@reuse.test"], f"Subject: {turn}\r\n\r\nx\r\n")
        self.run_program([str(part) for part in self.root.command("/usr/sbin/exim4", "-qq", "-R", "reuse.test")])
        self.wait_for_exim(sinks)

    def wait_for_exim(self, sinks):
        """Waits until no process of Exim but the daemon is at work."""
        def busy():
            count = 0
            for folder in os.listdir("/proc"):
                if folder.isdigit():
                    try:
                        count += os.readlink(f"/proc/{folder}/exe") == str(self.root.dir / "usr/sbin/exim4")
                    except OSError:
                        pass
            return count
        self.wait_until(lambda: busy() <= 1, lambda: f"Exim has nothing to do, {busy()} processes:\n{self.text()[-2000:]}")
        self.wait_until(lambda: not any(sink.busy() for sink in sinks.values()), "connections to servers end")

    def flush(self):
        """Waits until everything that was logged is in the file."""

    def run_all(self, logging, log):
        sinks, port = self.start_sinks()
        process = self.start_exim(logging, port)
        server = self.start_server()
        agent = self.start_agent(server, "mx1", log, options=UTC)
        seen = smtp_clients.run_by_address(SCENARIOS, self.ports, ROUNDS, Client)
        self.send(sinks)
        process.terminate()
        self.flush()
        for sink in sinks.values():
            sink.stop()
        self.assertGreaterEqual(len(seen), 100)
        self.assertGreaterEqual(sum(len(sink.seen) for sink in sinks.values()), 100)
        return server, agent, seen, sinks

    # ---- What the log can tell

    def facts(self, state, protocol="", cipher=""):
        return (state, protocol, CODE_POINTS[cipher] if cipher else 0)

    def expected_outbound(self, connection):
        """What any selectors show: what a delivery says, and of failures what they say."""
        if connection.sink == "lost":
            return (*self.facts("UNKNOWN"), 0)  # X= is missing, as it is without TLS.
        if connection.sink == "strict":
            return (*self.facts("ESTABLISHED"), 0)  # The certificate was refused.
        return (*self.facts(connection.state, connection.protocol, connection.cipher), connection.messages)

    def expected_all(self, client):
        """With all selectors every connection has lines, which end with its facts, but for what
        ends in mid-transaction."""
        if client.scenario == "plain_dropped_in_data":
            return self.facts("UNKNOWN")
        if client.scenario == "tls_dropped_after_recipient":
            return self.facts("ESTABLISHED")
        return self.facts(client.state, client.protocol, client.cipher)

    def expected_default(self, client):
        """By default Exim tells of messages and of failed handshakes."""
        if not client.messages and client.state != "FAILED":
            return None
        return self.facts(client.state, client.protocol, client.cipher)

    def expected_by_process(self, client):
        """Where each line has its process: rejects, and remarks about how a client left, are
        sessions too."""
        if client.scenario in ("tls_dropped_after_recipient", "tls_probe"):
            return self.facts("ESTABLISHED")
        if client.scenario == "plain_dropped_in_data":
            return self.facts("UNKNOWN")
        if client.end == "TIMEOUT":
            return self.facts(client.state)
        if not client.messages and not client.refused and client.state != "FAILED":
            return None
        return self.facts(client.state, client.protocol, client.cipher)

    # ---- Records

    def found(self, record):
        tls = record["tls"]
        return (tls["state"].removeprefix("TLS_STATE_"), tls.get("protocol", ""), tls.get("cipherCodePoint", 0))

    def check_inbound(self, records, seen, expected):
        """Every session that the log can show has one record, and it says what the client saw."""
        by_address = collections.defaultdict(list)
        for record in records:
            by_address[record["peer"]["address"]].append(record)
        self.assertEqual(len(by_address.pop(SENDER_ADDRESS)), OUTBOUND_ROUNDS + 1)
        shown = 0
        for client in seen:
            with self.subTest(client=client):
                facts, records = expected(client), by_address.pop(client.address, [])
                if facts is None:
                    self.assertEqual(records, [])
                    continue
                shown += 1
                self.assertEqual(len(records), 1)
                record = records[0]
                self.assertEqual(self.found(record), facts)
                self.assertEqual(record.get("messages", 0), client.messages)
                self.assertEqual(record["service"], "smtpd")
                if client.state == "FAILED":
                    self.assertIn(record["tls"]["failure"].removeprefix("TLS_FAILURE_"),
                                  (*client.failure, "PROTOCOL"))
        self.assertEqual(by_address, {})
        return shown

    def check_outbound(self, records, sinks):
        expected = collections.defaultdict(collections.Counter)
        found = collections.defaultdict(collections.Counter)
        names = {sink.address: name for name, sink in sinks.items()}
        for connection in (seen for sink in sinks.values() for seen in sink.seen):
            expected[connection.sink][self.expected_outbound(connection)] += 1
        for record in records:
            self.assertEqual(record["service"], "smtp")
            found[names[record["peer"]["address"]]][(*self.found(record), record.get("messages", 0))] += 1
        for name in sinks:
            with self.subTest(sink=name):
                self.assertEqual(found[name], expected[name])

    def check(self, logging, log, expected):
        server, agent, seen, sinks = self.run_all(logging, log)
        records = self.scan_sessions(*UTC, log)
        self.assertEqual({record["peerClass"] for record in sum(records.values(), [])}, {"PEER_CLASS_LOOPBACK"})
        shown = self.check_inbound(records["INBOUND"], seen, expected) + OUTBOUND_ROUNDS + 1
        self.check_outbound(records["OUTBOUND"], sinks)
        report = self.scan_json("--peer-class", "all", *UTC, log)
        self.assertEqual(report["lines"]["unrecognized"], 0)
        self.assertEqual(report["inbound"]["sessions"], shown)
        self.assertEqual(report["inbound"]["open_sessions"] + report["outbound"]["open_sessions"], 0)
        self.assertEqual(report["inbound"]["messages"], sum(client.messages for client in seen)
                         + OUTBOUND_ROUNDS * len(sinks) + REUSED)
        self.check_server(server, log, report)
        self.assertEqual(agent.stop(), 0)

    def check_server(self, server, log, report):
        """The server counts the live sessions once they have rested, and says what a scan says."""
        with log.open("a") as file:
            file.write(self.later_line())
        for direction in ("inbound", "outbound"):
            figures = report[direction]
            total = self.wait_for_sessions(server, direction.upper(), figures["sessions"])
            self.assertEqual(total["tlsSessions"], figures["tls_sessions"])
            self.assertEqual(total["plaintextSessions"], figures["plaintext_sessions"])
            self.assertEqual(total["failedHandshakes"], figures["failed_handshakes"])
            self.assertEqual(total["messages"], figures["messages"])

    def later_line(self):
        later = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=20)
        return later.strftime("%Y-%m-%d %H:%M:%S End queue run: pid=1\n")


class EximTest(Case):
    def test_all_selectors(self):
        self.check("log_selector = +all", self.log, self.expected_all)

    def test_default_selectors(self):
        self.check("", self.log, self.expected_default)

    def test_selectors_of_the_manual(self):
        self.check("log_selector = +smtp_no_mail +smtp_connection +incoming_port", self.log, self.expected_all)

    def test_process_ids(self):
        self.check("log_selector = +pid", self.log, self.expected_by_process)


class EximSyslogTest(Case):
    def setUp(self):
        super().setUp()
        self.syslog = self.dir / "mail.log"
        self.syslog.touch()
        self.socket = package_root.Syslog(self.root.dir / "dev/log", self.syslog)

    def text(self):
        return self.syslog.read_text(errors="replace")

    def flush(self):
        self.socket.flush()

    def later_line(self):
        later = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=20)
        return later.strftime("%b %d %H:%M:%S mx1 exim[1]: End queue run: pid=1\n")

    def test_all_selectors(self):
        self.check("log_file_path = syslog\nsyslog_duplication = no\nlog_selector = +all", self.syslog,
                   self.expected_all)

    def test_default_selectors(self):
        self.check("log_file_path = syslog\nsyslog_duplication = no", self.syslog, self.expected_by_process)


if __name__ == "__main__":
    harness.main_as_root()
