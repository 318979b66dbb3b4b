"""Scripted SMTP clients: each has one session with a Postfix and says what it saw.

A scenario is a function of a Client; it returns nothing.  The client notes what
happens to it: TLS state, protocol, cipher and messages accepted.
"""

import concurrent.futures
import contextlib
import dataclasses
import ipaddress
import re
import socket
import ssl
import struct
import subprocess
import threading

import harness

TIMEOUT_SECONDS = 60
REFUSED = "nobody@refused.test"


@dataclasses.dataclass
class Seen:
    """What a client knows of its session."""

    scenario: str
    service: str
    address: str = ""
    port: int = 0
    state: str = "PLAINTEXT"
    protocol: str = ""
    cipher: str = ""
    resumed: bool = False
    messages: int = 0
    recipients: int = 0  # of messages
    refused: int = 0  # recipients
    failure: tuple = ()  # what a failed handshake may count as
    end: str = "DISCONNECT"


class Ports:
    """Local ports, none twice, so that a port names a session."""

    def __init__(self):
        self._lock = threading.Lock()
        self._used = set()

    def take(self, address="127.0.0.1"):
        """A socket and the local port that it is bound to."""
        while True:
            client = socket.socket()
            client.bind((address, 0))
            port = client.getsockname()[1]
            with self._lock:
                if port not in self._used:
                    self._used.add(port)
                    return client, port
            client.close()


def tls_context(maximum=None, minimum=None, ciphers=None, verify=False):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED if verify else ssl.CERT_NONE
    context.set_ciphers((ciphers or "DEFAULT") + ":@SECLEVEL=0")
    if minimum:
        context.minimum_version = minimum
    if maximum:
        context.maximum_version = maximum
    return context


class Addresses:
    """Loopback addresses, none twice: they name sessions where a server logs no port."""

    def __init__(self):
        self._lock = threading.Lock()
        self._next = ipaddress.IPv4Address("127.1.0.1")

    def take(self):
        with self._lock:
            address, self._next = self._next, self._next + 1
            return str(address)


class TooLate(Exception):
    """The server gave up waiting, on a busy machine before the client meant it to."""


class Client:
    refused, refusal = REFUSED, 554  # a recipient

    def __init__(self, ports, seen, address, source="127.0.0.1"):
        self.seen = seen
        self.socket, seen.port = ports.take(source)
        seen.address = source
        self.socket.settimeout(TIMEOUT_SECONDS)
        self.socket.connect(address)
        self._buffer = b""

    def line(self):
        while b"\n" not in self._buffer:
            part = self.socket.recv(4096)
            if not part:
                raise EOFError
            self._buffer += part
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line.decode()

    def reply(self):
        while True:
            line = self.line()
            if line[3:4] != "-":
                return int(line[:3])

    def send(self, text):
        self.socket.sendall(text if isinstance(text, bytes) else text.encode())

    def command(self, text, expected=None):
        self.send(text + "\r\n")
        code = self.reply()
        if code == 421:
            raise TooLate(f"{self.seen}: {text}")
        if expected and code != expected:
            raise AssertionError(f"{self.seen}: {text}: {code}, not {expected}")
        return code

    def greet(self, helo=None):
        assert self.reply() == 220
        self.ehlo(helo)

    def ehlo(self, helo=None):
        self.command(f"EHLO {helo or f'c{self.seen.port}.client.test'}", 250)

    def handshake(self, context, session=None):
        self.socket = context.wrap_socket(self.socket, session=session)
        self.seen.state = "ESTABLISHED"
        self.seen.protocol = self.socket.version()
        self.seen.cipher = self.socket.cipher()[0]
        self.seen.resumed = bool(self.socket.session_reused)

    def starttls(self, context, session=None):
        self.command("STARTTLS", 220)
        self.handshake(context, session)
        self.ehlo()

    def message(self, recipients=1, subject="hello"):
        self.command("MAIL FROM:<a@a.test>", 250)
        for number in range(recipients):
            self.command(f"RCPT TO:<b{number}@b.test>", 250)
        self.command("DATA", 354)
        self.command(f"Subject: {subject}\r\n\r\nbody\r\n.", 250)
        self.seen.messages += 1
        self.seen.recipients += recipients

    def refused_recipient(self, sender="<a@a.test>"):
        self.command(f"MAIL FROM:{sender}", 250)
        self.command(f"RCPT TO:<{self.refused}>", self.refusal)
        self.seen.refused += 1

    def quit(self):
        self.command("QUIT", 221)
        self.socket.close()

    def reset(self):
        """Leaves with a reset, as a crashed client does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def fails(self, context, *failure):
        """A handshake that must fail."""
        self.seen.state, self.seen.failure = "FAILED", failure
        self.seen.end = "LOST_CONNECTION"
        try:
            wrapped = context.wrap_socket(self.socket)
        except (ssl.SSLError, OSError):
            self.socket.close()
            return
        wrapped.close()
        raise AssertionError(f"{self.seen}: the handshake succeeded")


# --- Plaintext ----------------------------------------------------------------


def plain_quit(client):
    client.greet()
    client.quit()


def plain_refused(client):
    client.greet()
    client.refused_recipient()
    client.command("RSET", 250)
    client.refused_recipient()
    client.quit()


def plain_one_message(client):
    client.greet()
    client.message(recipients=2)
    client.quit()


def plain_several_messages(client):
    client.greet()
    for _ in range(3):
        client.message()
    client.refused_recipient()
    client.quit()


def plain_bdat(client):
    client.greet()
    client.command("MAIL FROM:<a@a.test>", 250)
    client.command("RCPT TO:<b@b.test>", 250)
    client.command("BDAT 16\r\nSubject: hello", 250)
    client.command("BDAT 8 LAST\r\n\r\nbody", 250)
    client.seen.messages += 1
    client.quit()


def plain_message_given_up(client):
    client.greet()
    client.command("MAIL FROM:<a@a.test>", 250)
    client.command("RCPT TO:<b@b.test>", 250)
    client.command("RSET", 250)
    client.quit()


def plain_dropped_after_ehlo(client):
    client.greet()
    client.seen.end = "LOST_CONNECTION"
    client.socket.close()


def plain_dropped_in_data(client):
    client.greet()
    client.command("MAIL FROM:<a@a.test>", 250)
    client.command("RCPT TO:<b@b.test>", 250)
    client.command("DATA", 354)
    client.send("Subject: hel")
    client.seen.end = "LOST_CONNECTION"
    client.socket.close()


def plain_left_at_once(client):
    assert client.reply() == 220
    client.seen.end = "LOST_CONNECTION"
    client.socket.close()


def plain_web_browser(client):
    assert client.reply() == 220
    client.send("GET /a disconnect from x[192.0.2.1] starttls=1 HTTP/1.1\r\nHost: mx\r\n\r\n")
    with contextlib.suppress(EOFError, OSError):
        while client.line():
            pass
    client.socket.close()


def hello_in_tls_without_starttls(client):
    assert client.reply() == 220
    client.send(b"\x16\x03\x01\x01\x00\x01\x00\x00\xfc\x03\x03 TLS connection established from y\r\n")
    client.seen.end = None  # "lost connection" or none, by release.
    with contextlib.suppress(EOFError, OSError):
        client.reply()
    client.socket.close()


# --- Text that wants to be read as a log --------------------------------------

FORGERIES = ["disconnect from y[192.0.2.1] ehlo=2 starttls=1 quit=1 commands=4",
             "Anonymous TLS connection established from bank.example[192.0.2.7]: "
             "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)",
             "SSL_accept error from y[192.0.2.1]: -1",
             "connect from y[192.0.2.1]"]


def hostile_helo(client):
    client.greet(helo='x<y> z;"q" @a proto=ESMTP helo=<z> disconnect from y[192.0.2.1]')
    client.refused_recipient()
    client.quit()


def hostile_sender(client):
    client.greet()
    for forgery in FORGERIES:
        client.refused_recipient(sender=f'<"{forgery}"@a.test>'.replace("[", "(").replace("]", ")"))
        client.command("RSET", 250)
    client.quit()


def hostile_subject(client):
    client.greet()
    for forgery in FORGERIES:
        client.message(subject=forgery)
    client.quit()


def hostile_pipelining(client):
    assert client.reply() == 220
    client.send("EHLO x\r\n" + "".join(f"{forgery}\r\n" for forgery in FORGERIES))
    # From Postfix 3.9 on the session ends here.
    with contextlib.suppress(EOFError, OSError):
        while client.line():
            if client._buffer == b"":  # pylint: disable=protected-access
                break
    client.seen.end = None
    client.socket.close()


# --- STARTTLS and wrapper mode ------------------------------------------------

NEWEST = dict(minimum=ssl.TLSVersion.TLSv1_3)


def older(cipher):
    return dict(maximum=ssl.TLSVersion.TLSv1_2, ciphers=cipher)


CIPHERS = ["ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-CHACHA20-POLY1305",
           "DHE-RSA-AES256-GCM-SHA384", "AES256-GCM-SHA384", "ECDHE-RSA-AES256-SHA", "AES128-SHA"]


def tls_message(**options):
    def scenario(client):
        client.greet()
        client.starttls(tls_context(**options))
        client.message()
        client.quit()

    scenario.__name__ = f"tls_message {options}"
    return scenario


def tls_several_messages(client):
    client.greet()
    client.starttls(tls_context(**NEWEST))
    for _ in range(4):
        client.message()
    client.refused_recipient()
    client.quit()


def tls_probe(client):
    """Looks at the certificate and leaves."""
    client.greet()
    client.command("STARTTLS", 220)
    client.handshake(tls_context(maximum=ssl.TLSVersion.TLSv1_2))
    client.seen.end = "LOST_CONNECTION"
    client.socket.close()


def tls_dropped_after_recipient(client):
    client.greet()
    client.starttls(tls_context())
    client.command("MAIL FROM:<a@a.test>", 250)
    client.command("RCPT TO:<b@b.test>", 250)
    client.seen.end = "LOST_CONNECTION"
    client.socket.close()


def tls_twice(client):
    client.greet()
    client.starttls(tls_context())
    assert client.command("STARTTLS") in (503, 554)
    client.quit()


def tls_failed_aborted(client):
    client.greet()
    client.command("STARTTLS", 220)
    client.seen.state, client.seen.failure = "FAILED", ("LOST_CONNECTION",)
    client.seen.end = "LOST_CONNECTION"
    client.socket.close()


def tls_failed_reset(client):
    client.greet()
    client.command("STARTTLS", 220)
    client.seen.state, client.seen.failure = "FAILED", ("SYSTEM", "LOST_CONNECTION")
    client.seen.end = "LOST_CONNECTION"
    client.reset()


def tls_failed_plain_text(client):
    client.greet()
    client.command("STARTTLS", 220)
    client.send("EHLO again\r\n")
    client.seen.state, client.seen.failure = "FAILED", ("PROTOCOL",)
    client.seen.end = "LOST_CONNECTION"
    with contextlib.suppress(OSError):
        client.socket.recv(100)
    client.socket.close()


def tls_failed_no_shared_protocol(client):
    client.greet()
    client.command("STARTTLS", 220)
    client.fails(tls_context(minimum=ssl.TLSVersion.TLSv1_1, maximum=ssl.TLSVersion.TLSv1_1), "PROTOCOL")


def tls_failed_no_shared_cipher(client):
    client.greet()
    client.command("STARTTLS", 220)
    client.fails(tls_context(**older("ECDHE-ECDSA-AES256-GCM-SHA384")), "PROTOCOL")


def tls_failed_certificate_rejected(client):
    client.greet()
    client.command("STARTTLS", 220)
    client.fails(tls_context(verify=True, maximum=ssl.TLSVersion.TLSv1_2), "ALERT", "PROTOCOL", "SYSTEM")


def silent(client):
    """Waits until the server closes."""
    with contextlib.suppress(OSError):
        while client.socket.recv(100):
            pass
    client.socket.close()


def silent_after_starttls(client):
    try:
        client.greet()
        client.command("STARTTLS", 220)
        client.seen.state, client.seen.failure = "FAILED", ("TIMEOUT",)
        client.seen.end = "LOST_CONNECTION"
    except TooLate:
        client.seen.end = "TIMEOUT"
    silent(client)


def silent_after_ehlo(client):
    with contextlib.suppress(TooLate):
        client.greet()
    client.seen.end = "TIMEOUT"
    silent(client)


def wrapper_message(**options):
    def scenario(client):
        client.handshake(tls_context(**options))
        client.greet()
        client.message()
        client.quit()

    scenario.__name__ = f"wrapper_message {options}"
    return scenario


def wrapper_refused(client):
    client.handshake(tls_context())
    client.greet()
    client.refused_recipient()
    client.quit()


def wrapper_failed_plain_text(client):
    client.send("EHLO plain\r\n")
    client.seen.state, client.seen.failure = "FAILED", ("PROTOCOL",)
    client.seen.end = "LOST_CONNECTION"
    with contextlib.suppress(OSError):
        client.socket.recv(100)
    client.socket.close()


def wrapper_failed_left_at_once(client):
    client.seen.state, client.seen.failure = "FAILED", ("LOST_CONNECTION",)
    client.seen.end = "LOST_CONNECTION"
    client.socket.close()


SCENARIOS = [
    *[("smtpd", scenario) for scenario in (
        plain_quit, plain_refused, plain_one_message, plain_several_messages, plain_bdat, plain_message_given_up,
        plain_dropped_after_ehlo, plain_dropped_in_data, plain_left_at_once, plain_web_browser,
        hello_in_tls_without_starttls, hostile_helo, hostile_sender, hostile_subject, hostile_pipelining,
        tls_several_messages, tls_probe, tls_dropped_after_recipient, tls_twice, tls_failed_aborted,
        tls_failed_reset, tls_failed_plain_text, tls_failed_no_shared_protocol, tls_failed_no_shared_cipher,
        tls_failed_certificate_rejected, tls_message(**NEWEST),
        *[tls_message(**older(cipher)) for cipher in CIPHERS])],
    *[("submission", scenario) for scenario in (
        plain_quit, tls_message(**NEWEST), tls_message(**older(CIPHERS[0])), tls_several_messages)],
    *[("smtps", scenario) for scenario in (
        wrapper_message(**NEWEST), wrapper_message(**older(CIPHERS[1])), wrapper_refused,
        wrapper_failed_plain_text, wrapper_failed_left_at_once)],
    *[("impatient", scenario) for scenario in (silent_after_starttls, silent_after_ehlo)],
]

OPENSSL_SUITES = ["TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"]


def run_by_address(scenarios, services, rounds, client=Client, at_a_time=8):
    """Each (service, scenario) so many times, each from an address of its own; returns what the
    clients saw.  `services`: ports by name."""
    ports, addresses = Ports(), Addresses()

    def one(service, scenario):
        scripted = client(ports, Seen(scenario.__name__, service), ("127.0.0.1", services[service]), addresses.take())
        scenario(scripted)
        return scripted.seen

    with concurrent.futures.ThreadPoolExecutor(at_a_time) as pool:
        jobs = [pool.submit(one, *scenario) for _ in range(rounds) for scenario in scenarios]
        return [job.result() for job in jobs]


class Crowd:
    """Many clients at a time against the services of one Postfix."""

    def __init__(self, services, at_a_time=8):
        self._services = services
        self._ports = Ports()
        self._at_a_time = at_a_time

    def run(self, rounds):
        """Each scenario so many times; returns what the clients saw."""
        work = [lambda s=service, f=scenario: [self._one(s, f)] for service, scenario in SCENARIOS]
        work += [lambda suite=suite: [self._openssl(suite)] for suite in OPENSSL_SUITES]
        work += [self._resuming]
        with concurrent.futures.ThreadPoolExecutor(self._at_a_time) as pool:
            jobs = [pool.submit(task) for _ in range(rounds) for task in work]
            return [seen for job in jobs for seen in job.result()]

    def _client(self, service, name):
        return Client(self._ports, Seen(name, service), ("127.0.0.1", self._services[service]))

    def _one(self, service, scenario):
        client = self._client(service, scenario.__name__)
        scenario(client)
        return client.seen

    def _resuming(self):
        """Two sessions, of which the second resumes the first one's TLS."""
        context, tls, seen = tls_context(**NEWEST), None, []
        for _ in range(2):
            client = self._client("smtpd", "resuming")
            client.greet()
            client.starttls(context, tls)
            client.message()
            tls = client.socket.session
            client.quit()
            seen.append(client.seen)
        return seen

    def _openssl(self, suite):
        """The suites of TLS 1.3 can be chosen with openssl only."""
        seen = Seen("openssl", "smtpd", state="ESTABLISHED", end="LOST_CONNECTION")
        seen.port = harness.free_port()
        done = subprocess.run(
            ["openssl", "s_client", "-starttls", "smtp", "-name", "openssl.client.test", "-tls1_3", "-ciphersuites", suite,
             "-bind", f"127.0.0.1:{seen.port}", "-connect", f"127.0.0.1:{self._services['smtpd']}"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
        told = re.search(r"^New, (\S+), Cipher is (\S+)$", done.stdout, re.MULTILINE)
        if not told:
            raise AssertionError(f"openssl s_client: {done.stdout}{done.stderr}")
        seen.protocol, seen.cipher = told[1], told[2]
        return seen
