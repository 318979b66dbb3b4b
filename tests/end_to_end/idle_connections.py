"""Opens connections to a port of loopback and keeps them, idle, until it is killed.

    idle_connections.py SOURCE PORT COUNT

Says "open" on standard error when all are connected.  That the other side closes
some of them again is no error.
"""

import resource
import signal
import socket
import sys


def main():
    source, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    kept = []
    for _ in range(count):
        connection = socket.socket()
        connection.bind((source, 0))
        connection.connect(("127.0.0.1", port))
        kept.append(connection)
    print("open", file=sys.stderr, flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
