"""What is between agent and server: kept byte by byte, made bad, or forged.

Recorder keeps every byte; frames(), headers() and messages() tell what HTTP/2
and gRPC say in them.  Link is a bad network, AnsweringServer a wrong server.  Plaintext only.  Messages that gRPC compressed are shown as they were before.
"""

import socket
import threading
import time
import zlib

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS, PING, GOAWAY = 4, 6, 7
_DATA, _HEADERS, _CONTINUATION = 0, 1, 9
_END_STREAM, _ACKNOWLEDGED, _END_HEADERS, _PADDED, _PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20


class Recorder:
    """Listens on loopback and passes on to `port` until close()."""

    def __init__(self, port):
        self._target = ("127.0.0.1", port)
        self._lock = threading.Lock()
        self._connections = []  # [bytes of the client, bytes of the server]
        self._sockets = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        with self._lock:
            for open_socket in [self._listener, *self._sockets]:
                open_socket.close()

    def forget(self):
        """Begins anew with the connections that follow."""
        with self._lock:
            self._connections = []

    def connections(self):
        """(bytes of the client, bytes of the server), one pair for each connection."""
        with self._lock:
            return [(bytes(client), bytes(server)) for client, server in self._connections]

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._target)
            record = [bytearray(), bytearray()]
            with self._lock:
                self._connections.append(record)
                self._sockets += [client, server]
            for source, target, kept in ((client, server, record[0]), (server, client, record[1])):
                threading.Thread(target=self._pass_on, args=(source, target, kept),
                                 daemon=True).start()

    def _pass_on(self, source, target, kept):
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    target.shutdown(socket.SHUT_WR)
                    return
                with self._lock:
                    kept += data
                target.sendall(data)
        except OSError:
            pass  # The other side is gone.


def frames(data):
    """(type, flags, stream, payload) of each HTTP/2 frame; a cut last one is left out."""
    if data.startswith(PREFACE):
        data = data[len(PREFACE):]
    while len(data) >= 9:
        length = int.from_bytes(data[:3], "big")
        kind, flags = data[3], data[4]
        stream = int.from_bytes(data[5:9], "big") & 0x7fffffff
        if len(data) < 9 + length:
            return
        yield kind, flags, stream, data[9:9 + length]
        data = data[9 + length:]


def _without_padding(flags, payload):
    return payload[1:len(payload) - payload[0]] if flags & _PADDED else payload


def headers(data):
    """Header blocks as they were sent (HPACK)."""
    blocks = []
    for kind, flags, _, payload in frames(data):
        if kind == _HEADERS:
            block = _without_padding(flags, payload)
            blocks.append(block[5:] if flags & _PRIORITY else block)
        elif kind == _CONTINUATION:
            blocks[-1] += payload
    return blocks


def messages(data):
    """gRPC messages in their order, decompressed."""
    streams = {}
    for kind, flags, stream, payload in frames(data):
        if kind == _DATA:
            streams[stream] = streams.get(stream, b"") + _without_padding(flags, payload)
    found = []
    for body in streams.values():
        while len(body) >= 5:
            length = int.from_bytes(body[1:5], "big")
            message = body[5:5 + length]
            # Takes gzip and deflate alike; anything else is an error.
            found.append(zlib.decompress(message, wbits=47) if body[0] else message)
            body = body[5 + length:]
    return found


class Link:
    """A network between an agent and `port` that can be made bad.

    `silent`: connections are accepted, and nothing more happens.
    `bytes_per_second`: so many arrive, in each direction; 0: no limit.
    """

    def __init__(self, port, silent=False, bytes_per_second=0):
        self.silent = silent
        self.bytes_per_second = bytes_per_second
        self.accepted = 0
        self._target = ("127.0.0.1", port)
        self._sockets = []
        self._held = 0  # Connections up to this one are on hold.
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def hold(self):
        """From now on nothing arrives on the connections that are there.  No end is told."""
        self._held = self.accepted

    def close(self):
        for open_socket in [self._listener, *self._sockets]:
            open_socket.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            self._sockets.append(client)
            if self.silent:
                continue
            try:
                server = socket.create_connection(self._target)
            except OSError:
                client.close()
                continue
            self._sockets.append(server)
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=self._pass_on, args=(self.accepted, source, target),
                                 daemon=True).start()

    def _pass_on(self, number, source, target):
        size = 4096 if self.bytes_per_second else 65536
        try:
            while number > self._held:
                data = source.recv(size)
                # What came in meanwhile is held too.
                if number <= self._held:
                    return
                if not data:
                    target.shutdown(socket.SHUT_WR)
                    return
                target.sendall(data)
                if self.bytes_per_second:
                    time.sleep(len(data) / self.bytes_per_second)
        except OSError:
            pass  # The other side is gone.


def literal(name, value):
    """A header field in HPACK's simplest form: not indexed, not Huffman coded."""
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


class AnsweringServer:
    """Ends each call of a gRPC client with a status; or answers what is no gRPC at all."""

    def __init__(self, status=None, message="", answer=b""):
        self.accepted = 0
        self._greeting = b""
        self._answer = answer
        if status is not None:
            block = (b"\x88"  # :status 200
                     + literal(b"content-type", b"application/grpc")
                     + literal(b"grpc-status", str(status).encode())
                     + literal(b"grpc-message", message.encode()))
            self._greeting = frame(SETTINGS, 0, 0, b"")
            self._answer = (frame(SETTINGS, _ACKNOWLEDGED, 0, b"")
                            + frame(_HEADERS, _END_STREAM | _END_HEADERS, 1, block))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self):
        self._listener.close()

    def _serve(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._answer_one, args=(client,), daemon=True).start()

    def _answer_one(self, client):
        received = b""
        with client:
            try:
                client.sendall(self._greeting)
                while True:
                    data = client.recv(65536)
                    if not data:
                        return
                    received += data
                    called = any(kind == _HEADERS for kind, *_ in frames(received))
                    if self._answer and (called or not self._greeting):
                        client.sendall(self._answer)
                        if not self._greeting:
                            return
                        while client.recv(65536):
                            pass
                        return
            except OSError:
                pass  # The client is gone.


def frame(kind, flags, stream, payload):
    """One of HTTP/2."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload
