"""What a real Postfix logs about clients that postscreen ends or hands on, that come
through HAProxy, or whose mail goes through a before-queue filter, against what the
clients saw.

Each session is found again by its client's port.  Postfix needs root: started by another
user, the test starts itself again with sudo, which must not ask for a password then.
"""

import collections
import concurrent.futures
import contextlib
import itertools
import json
import ssl
import threading
import warnings

import harness
import postfix_instance
import smtp_clients
from smtp_clients import tls_context

UTC = ("--time-zone", "UTC")
ROUNDS = 4  # times the sessions of one round
EVERYONE = {"peer_classes": ["all"]}

MAIN_CF = """
postscreen_greet_wait = 2s
postscreen_access_list = cidr:{dir}/access
postscreen_denylist_action = drop
postscreen_blacklist_action = drop
postscreen_greet_action = drop
tlsproxy_tls_loglevel = {loglevel}
"""

ACCESS = "127.2.0.0/16 permit\n127.3.0.0/16 reject\n"

DEEP = ("-o postscreen_greet_action=enforce -o postscreen_pipelining_enable=yes "
        "-o postscreen_non_smtp_command_enable=yes -o postscreen_bare_newline_enable=yes "
        "-o postscreen_tls_security_level=may")

# For clients that are not of this host.
OPEN = "-o mynetworks=127.0.0.0/8,203.0.113.0/24"

# Services of postscreen and smtpd by what they do with a client.
POSTSCREENS = {
    "screen": "",
    # Waits as long as it takes a client to talk.
    "patient": "-o postscreen_greet_wait=60s",
    "lenient": "-o postscreen_greet_action=ignore",
    "deep": DEEP,
    "impatient_deep": DEEP + " -o postscreen_command_time_limit=2s",
    "proxied_screen": "-o postscreen_upstream_proxy_protocol=haproxy",
    "proxied_patient": "-o postscreen_upstream_proxy_protocol=haproxy -o postscreen_greet_wait=60s",
}
SMTPDS = {
    "proxied": f"-o smtpd_upstream_proxy_protocol=haproxy {OPEN}",
    "filtered": f"-o smtpd_upstream_proxy_protocol=haproxy {OPEN} -o syslog_name=postfix/filtered "
                "-o smtpd_proxy_filter=127.0.0.1:{reinject}",
    "reinject": "-o syslog_name=postfix/reinject",
}

MASTER_CF = f"""
smtpd    pass - - n - - smtpd {OPEN}
dnsblog  unix - - n - 0 dnsblog
tlsproxy unix - - n - 0 tlsproxy
"""


class Sources:
    """Loopback addresses, none twice: postscreen remembers whom it let pass."""

    def __init__(self):
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)

    def take(self, network="127.1"):
        with self._lock:
            number = next(self._numbers)
        return f"{network}.{number // 250}.{number % 250 + 1}"


# --- What clients do.  Each is called with a Client and says where its session ends. ----


def until_closed(client):
    with contextlib.suppress(OSError):
        while client.socket.recv(4096):
            pass
    client.socket.close()


def own(client, end="DISCONNECT"):
    """The session is postscreen's."""
    client.seen.service, client.seen.end = "postscreen", end


def handed_on(client):
    client.greet()
    client.quit()


def handed_on_with_tls(client):
    client.greet()
    client.starttls(tls_context())
    client.message()
    client.quit()


def denied(client):
    own(client)
    until_closed(client)


def talks_early(client):
    own(client)
    client.send("EHLO early.test\r\n")
    until_closed(client)


def talks_early_in_tls(client):
    own(client)
    client.send(b"\x16\x03\x01\x01\x00 DISCONNECT [192.0.2.1]:1 PASS NEW [192.0.2.1]:1\r\n")
    until_closed(client)


def hangs_up_early(client):
    own(client, "LOST_CONNECTION")
    client.socket.recv(100)
    client.socket.close()


def talks_early_and_is_let_pass(client):
    """Is handed on, and no line says so."""
    client.send("EHLO early.test\r\n")
    client.seen.end = None  # Newer releases end the session.
    client.socket.recv(4096)  # The greeting, or what they say in its place.
    client.socket.close()


def until_closed_or_idle(client):
    client.socket.settimeout(4)
    with contextlib.suppress(OSError):
        while client.socket.recv(4096):
            pass
    client.socket.close()


def refused(client, count=1):
    client.command("MAIL FROM:<a@a.test>", 250)
    for _ in range(count):
        client.command("RCPT TO:<b@b.test>", 450)
        client.seen.refused += 1


def passes_deep_tests(client):
    own(client)
    client.greet()
    refused(client, 2)
    client.quit()


def names_no_sender(client):
    """Passes the deep tests too, and nothing is refused."""
    own(client)
    client.greet()
    client.command("RCPT TO:<b@b.test>", 503)
    client.quit()


def quits(client):
    own(client)
    client.greet()
    client.quit()


def hangs_up_late(client):
    own(client, "LOST_CONNECTION")
    client.greet()
    client.socket.close()


def hangs_up_after_passing(client):
    own(client, "LOST_CONNECTION")
    client.greet()
    refused(client)
    client.socket.close()


def talks_early_and_goes_on(client):
    own(client)
    client.send("EHLO early.test\r\n")
    client.reply()
    client.command("MAIL FROM:<a@a.test>", 250)
    client.command("RCPT TO:<b@b.test>", 550)
    client.seen.refused += 1
    client.quit()


def pipelines(client):
    own(client)
    client.greet()
    client.send("MAIL FROM:<a@a.test>\r\nRCPT TO:<DISCONNECT [192.0.2.1]:1>\r\nQUIT\r\n")
    client.seen.refused += 1
    until_closed(client)


def speaks_another_protocol(client):
    own(client)
    client.greet()
    client.send("GET / HTTP/1.1\r\n")
    until_closed(client)


def ends_lines_wrong(client):
    own(client)
    client.greet()
    client.send("NOOP\n")
    until_closed_or_idle(client)
    client.seen.end = None  # The client or the server.


def gives_too_many_commands(client):
    own(client)
    client.greet()
    with contextlib.suppress(smtp_clients.TooLate, EOFError, OSError):
        for _ in range(30):
            client.command("NOOP")
    until_closed(client)


def hides_lines_in_its_name(client):
    own(client)
    client.greet(helo="x>;disconnect,PASS=NEW,[192.0.2.1]:1,helo=<y>")
    refused(client)
    client.quit()


def is_silent(client):
    own(client, "TIMEOUT")
    with contextlib.suppress(smtp_clients.TooLate):
        client.greet()
    until_closed(client)


def refused_in_tls(**options):
    def scenario(client):
        own(client)
        client.greet()
        client.starttls(tls_context(**options))
        refused(client)
        client.quit()

    scenario.__name__ = f"refused_in_tls {options}"
    return scenario


def looks_at_the_certificate(client):
    """Nothing but its line tells that the handshake succeeded."""
    own(client, "LOST_CONNECTION")
    client.greet()
    client.command("STARTTLS", 220)
    client.handshake(tls_context(maximum=ssl.TLSVersion.TLSv1_2))
    client.socket.close()


def fails(client):
    own(client, "LOST_CONNECTION")
    client.greet()
    client.command("STARTTLS", 220)
    client.seen.state = "FAILED"


def leaves_in_handshake(client):
    fails(client)
    client.socket.close()


def resets_in_handshake(client):
    fails(client)
    client.reset()


def speaks_plainly_in_handshake(client):
    fails(client)
    client.send("EHLO again\r\n")
    until_closed(client)


def has_another_version(client):
    fails(client)
    client.fails(tls_context(minimum=ssl.TLSVersion.TLSv1_1, maximum=ssl.TLSVersion.TLSv1_1))


def distrusts_the_certificate(client):
    fails(client)
    client.fails(tls_context(verify=True, maximum=ssl.TLSVersion.TLSv1_2))


SCENARIOS = [
    ("screen", "127.1", handed_on), ("screen", "127.1", handed_on_with_tls), ("screen", "127.2", handed_on),
    ("screen", "127.2", handed_on_with_tls), ("screen", "127.3", denied),
    *[("patient", "127.1", scenario) for scenario in (talks_early, talks_early_in_tls, hangs_up_early)],
    ("lenient", "127.1", handed_on), ("lenient", "127.1", talks_early_and_is_let_pass),
    *[("deep", "127.1", scenario) for scenario in (
        passes_deep_tests, names_no_sender, quits, hangs_up_late, hangs_up_after_passing, talks_early_and_goes_on,
        pipelines, speaks_another_protocol, ends_lines_wrong, gives_too_many_commands, hides_lines_in_its_name,
        refused_in_tls(minimum=ssl.TLSVersion.TLSv1_3),
        refused_in_tls(maximum=ssl.TLSVersion.TLSv1_2, ciphers="ECDHE-RSA-AES128-GCM-SHA256"),
        refused_in_tls(maximum=ssl.TLSVersion.TLSv1_2, ciphers="AES256-SHA"), looks_at_the_certificate,
        leaves_in_handshake, resets_in_handshake, speaks_plainly_in_handshake, has_another_version,
        distrusts_the_certificate)],
    ("impatient_deep", "127.1", is_silent),
]

# Those that a balancer announces: the log shows their own addresses.
PROXIED = [("proxied_screen", handed_on_with_tls), ("proxied_patient", talks_early),
           ("proxied", handed_on), ("proxied", handed_on_with_tls), ("filtered", handed_on_with_tls)]


class PostscreenTest(harness.EndToEndTest):
    def setUp(self):
        super().setUp()
        warnings.simplefilter("ignore", DeprecationWarning)  # Old TLS is what we test.

    def start_postfix(self, loglevel):
        self.ports = {name: harness.free_port() for name in (*POSTSCREENS, *SMTPDS)}
        directory = self.dir / "postfix"
        (self.dir / "access").write_text(ACCESS)
        # Newer packages have no Berkeley DB.
        database = self.run_program(["/usr/sbin/postconf", "-hd", "default_database_type"]).stdout.strip()
        cache = "lmdb" if database == "lmdb" else "btree"
        services = [f"127.0.0.1:{self.ports[name]} inet n - n - 1 postscreen {options} "
                    f"-o postscreen_cache_map={cache}:$data_directory/{name}\n" for name, options in POSTSCREENS.items()]
        services += [f"127.0.0.1:{self.ports[name]} inet n - n - - smtpd {options.format(**self.ports)}\n"
                     for name, options in SMTPDS.items()]
        return postfix_instance.Postfix(
            self, directory, loglevel, main_cf=MAIN_CF.format(dir=self.dir, loglevel=loglevel),
            master_cf=MASTER_CF + "".join(services))

    def clients(self):
        """Every client's session, as it saw it."""
        ports, sources = smtp_clients.Ports(), Sources()

        def one(service, scenario, source, announced=None):
            seen = smtp_clients.Seen(scenario.__name__, "smtpd")
            client = smtp_clients.Client(ports, seen, ("127.0.0.1", self.ports[service]), source)
            if announced:
                client.send(f"PROXY TCP4 {announced} 198.51.100.1 {seen.port} 25\r\n")
                seen.address = announced
            scenario(client)
            return seen

        def twice(service, scenario, network):
            """The second session of one that passed is handed on at once."""
            source = sources.take(network)
            sessions = [one(service, scenario, source)]
            if scenario in (handed_on, passes_deep_tests, names_no_sender):
                sessions.append(one(service, handed_on, source))
            return sessions

        def proxied(service, scenario, number):
            seen = one(service, scenario, "127.0.0.1", f"203.0.113.{number}")
            if service == "filtered":
                seen.service = "filtered"
            return [seen]

        numbers = itertools.count(1)
        work = [lambda s=service, f=scenario, n=network: twice(s, f, n) for service, network, scenario in SCENARIOS]
        work += [lambda s=service, f=scenario: proxied(s, f, next(numbers)) for service, scenario in PROXIED]
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            jobs = [pool.submit(task) for _ in range(ROUNDS) for task in work]
            return [seen for job in jobs for seen in job.result()]

    def check(self, loglevel):
        postfix = self.start_postfix(loglevel)
        server = self.start_server()
        agent = self.start_agent(server, "mx1", postfix.log, options=UTC)
        seen = self.clients()
        self.assertGreaterEqual(len(seen), 100)
        filtered = sum(client.messages for client in seen if client.service == "filtered")
        self.assertEqual(filtered, ROUNDS)
        own_sessions = sum(client.service == "postscreen" for client in seen)
        postfix.wait_for_end_of_sessions(len(seen) - own_sessions + filtered)
        self.wait_until(lambda: len([line for line in postfix.text().splitlines()
                                     if "/postscreen[" in line and "]: DISCONNECT [" in line]) >= own_sessions,
                        "postscreen ends its sessions")
        postfix.stop()
        self.check_records(postfix.log, seen, filtered, loglevel)
        self.check_totals(server, seen, filtered, loglevel)
        self.assertEqual(agent.stop(), 0)

    def expected_state(self, client, loglevel):
        """Without its line nothing tells of a handshake that came last."""
        unknown = loglevel == 0 and client.scenario == "looks_at_the_certificate"
        return "UNKNOWN" if unknown else client.state

    def check_records(self, log, seen, filtered, loglevel):
        records = collections.defaultdict(list)
        reinjected = 0
        for record in map(json.loads, self.scan("--sessions", "--peer-class", "all", *UTC, log).stdout.splitlines()):
            if record["service"] == "reinject":
                self.assertEqual(record["peerClass"], "PEER_CLASS_LOOPBACK")
                reinjected += record["messages"]
                continue
            records[record["peer"]["port"]].append(record)
        self.assertEqual(reinjected, filtered)
        for client in seen:
            found = records.pop(client.port, [])
            self.assertEqual(len(found), 1, client)
            with self.subTest(client=client):
                self.check_record(found[0], client, loglevel)
        self.assertEqual(records, {})
        report = self.scan_json("--peer-class", "all", *UTC, log)
        self.assertEqual(report["lines"]["unrecognized"], 0)
        self.assertEqual(report["inbound"]["open_sessions"], 0)

    def check_record(self, record, client, loglevel):
        tls = record["tls"]
        self.assertEqual(record["direction"], "DIRECTION_INBOUND")
        self.assertEqual(record["service"], client.service)
        self.assertEqual(record["peer"]["address"], client.address)
        external = client.address.startswith("203.")
        self.assertEqual(record["peerClass"], "PEER_CLASS_EXTERNAL" if external else "PEER_CLASS_LOOPBACK")
        self.assertEqual(tls["state"], "TLS_STATE_" + self.expected_state(client, loglevel))
        self.assertEqual(record.get("messages", 0), client.messages)
        self.assertEqual(record.get("rejects", 0), client.refused)
        if client.end:
            self.assertEqual(record["endReason"], "END_REASON_" + client.end)
        shown = (client.protocol, client.cipher) if loglevel > 0 else ("", "")
        self.assertEqual((tls.get("protocol", ""), tls.get("cipher", "")), shown)
        self.assertNotIn("@", json.dumps(record))

    def check_totals(self, server, seen, filtered, loglevel):
        count = len(seen) + filtered
        self.wait_until(lambda: server.total(filter=EVERYONE)["sessions"] >= count, "all sessions are stored")
        total = server.total(filter=EVERYONE)
        states = collections.Counter(self.expected_state(client, loglevel) for client in seen)
        self.assertEqual(total["sessions"], count)
        self.assertEqual(total["tlsSessions"], states["ESTABLISHED"])
        self.assertEqual(total["plaintextSessions"], states["PLAINTEXT"] + filtered)
        self.assertEqual(total["failedHandshakes"], states["FAILED"])
        self.assertEqual(total["unknownSessions"], states["UNKNOWN"])
        answer = server.stats(filter=EVERYONE, group_by=["service"])
        services = collections.Counter(client.service for client in seen)
        services["reinject"] = filtered
        self.assertEqual({row["labels"]["service"]: int(row["sessions"]) for row in answer["rows"]}, services)
        # Shares are over those that came from outside; neither the filter nor postscreen counts them twice.
        external = [client for client in seen if client.address.startswith("203.")]
        total = server.total()
        self.assertEqual(total["sessions"], len(external))
        self.assertEqual(total["tlsSessions"], sum(client.state == "ESTABLISHED" for client in external))
        self.assertEqual(total["messages"], sum(client.messages for client in external))

    def test_with_tls_lines(self):
        self.check(loglevel=1)

    def test_without_tls_lines(self):
        self.check(loglevel=0)


if __name__ == "__main__":
    harness.main_as_root()
