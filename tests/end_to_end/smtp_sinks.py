"""Scripted SMTP servers: each has one behaviour and notes what every connection to
it saw: TLS, cipher, messages.
"""

import collections
import dataclasses
import re
import socket
import ssl
import threading
import warnings

TIMEOUT_SECONDS = 60


@dataclasses.dataclass
class Seen:
    """What a sink knows of one connection."""

    sink: str
    port: int
    order: int = 0
    state: str = "PLAINTEXT"
    protocol: str = ""
    cipher: str = ""
    messages: int = 0


def server_context(certificate, key, minimum, maximum, ciphers=None):
    warnings.simplefilter("ignore", DeprecationWarning)  # Old TLS is what we test.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.minimum_version, context.maximum_version = minimum, maximum
    if ciphers:
        context.set_ciphers(ciphers)
    return context


class Sink:
    """An SMTP server on a port of `address` of its own until stop().

    `starttls` offers it with `context`; `handshake` is "good", or what happens in
    its place: "close", "garbage".  `refuse` holds commands and the answers that they
    get, "RCPT" for recipients that begin with "refused", say.  `hang_up_after` is a
    command behind whose answer the connection is closed.
    """

    def __init__(self, name, context=None, handshake="good", refuse=None, hang_up_after=None, address="127.0.0.1", port=0):
        self.name = name
        self.address = address
        self.context = context
        self.handshake = handshake
        self.refuse = refuse or {}
        self.hang_up_after = hang_up_after
        self.seen = []
        self._lock = threading.Lock()
        self._threads = []
        self._listener = socket.create_server((address, port), backlog=128)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self):
        """Ends the sink; waits for its connections."""
        if self._listener.fileno() >= 0:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        for thread in self._threads:
            thread.join(TIMEOUT_SECONDS)

    def busy(self):
        """Whether a connection is open."""
        return any(thread.is_alive() for thread in list(self._threads))

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.settimeout(TIMEOUT_SECONDS)
            with self._lock:
                seen = Seen(self.name, self.port, len(self.seen))
                self.seen.append(seen)
            thread = threading.Thread(target=self._serve, args=(connection, seen), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection, seen):
        session = _Connection(self, connection, seen)
        try:
            session.run()
        except OSError:
            pass  # The client went away, or the handshake failed: `seen` says so.
        finally:
            session.socket.close()


class _Connection:
    def __init__(self, sink, connection, seen):
        self.sink = sink
        self.socket = connection
        self.seen = seen
        self.buffer = b""

    def line(self):
        while b"\n" not in self.buffer:
            received = self.socket.recv(65536)
            if not received:
                raise ConnectionError
            self.buffer += received
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line.rstrip(b"\r").decode(errors="replace")

    def say(self, *lines):
        self.socket.sendall("".join(line + "\r\n" for line in lines).encode())

    def run(self):
        if "CONNECT" in self.sink.refuse:
            self.say(self.sink.refuse["CONNECT"])
            self.line()
            return
        self.say("220 sink.test ESMTP")
        accepted, lmtp = 0, False
        while True:
            text = self.line()
            command = re.split(r"[ :]", text, maxsplit=1)[0].upper()
            if command in ("EHLO", "LHLO"):
                lmtp = command == "LHLO"
                offers = self.sink.context is not None and not isinstance(self.socket, ssl.SSLSocket)
                self.say("250-sink.test", *(["250-STARTTLS"] if offers else []), "250 8BITMIME")
            elif command == "STARTTLS":
                self.say("220 go ahead")
                self.start_tls()
            elif command in self.sink.refuse and (command != "RCPT" or "refused" in text):
                self.say(self.sink.refuse[command])
            elif command == "RCPT":
                accepted += 1
                self.say("250 2.1.5 Ok")
            elif command == "DATA" and accepted:
                self.say("354 go")
                while self.line() != ".":
                    pass
                self.seen.messages += 1
                # LMTP answers for each recipient.
                self.say(*["250 2.0.0 Ok: queued as X"] * (accepted if lmtp else 1))
                accepted = 0
            elif command == "DATA":
                self.say("554 5.5.1 no recipients")
            elif command == "QUIT":
                self.say("221 bye")
                return
            else:
                accepted = 0 if command in ("MAIL", "RSET") else accepted
                self.say("250 2.0.0 Ok")
            if command == self.sink.hang_up_after:
                return

    def start_tls(self):
        self.seen.state = "FAILED"
        if self.sink.handshake == "close":
            self.socket.recv(1)
            raise ConnectionError
        if self.sink.handshake == "garbage":
            self.socket.recv(1)
            self.socket.sendall(b"450 4.3.0 this is not TLS at all\r\n" * 20)
            raise ConnectionError
        self.socket = self.sink.context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.socket.do_handshake()
        self.buffer = b""
        self.seen.state = "ESTABLISHED"
        self.seen.protocol = self.socket.version()
        self.seen.cipher = self.socket.cipher()[0]


def by_port(sinks):
    """Connections of all sinks, in their order, by the sink's port."""
    seen = collections.defaultdict(list)
    for sink in sinks:
        seen[sink.port].extend(sink.seen)
    return seen
