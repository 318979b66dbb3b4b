"""A TCP proxy that keeps every byte, and what HTTP/2 and gRPC say in them.

Plaintext only.  Messages that gRPC compressed are shown as they were before.
"""

import socket
import threading
import zlib

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _CONTINUATION = 0, 1, 9
_PADDED, _PRIORITY = 0x8, 0x20


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
