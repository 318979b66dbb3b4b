"""A Postfix host that never was: it writes log lines and keeps the true counts.

Time is simulated and runs much faster than the clock.  In a busy second each
of several smtpd processes has five sessions or more, of one and the same
client, so that nothing but their order tells them apart.
"""

import collections
import datetime
import os
import random
import shutil

# Numbers of mxtally.v1, as the database holds them.
EXTERNAL, LOOPBACK = 1, 2
ESTABLISHED, FAILED, PLAINTEXT, UNKNOWN = 1, 2, 3, 4
UNSPECIFIED, HANDSHAKE_LINE, STARTTLS_COUNTER, IMPLICIT_TLS = 0, 1, 2, 3

CLIENT = "client.example.net[192.0.2.10]"
FILTER = "localhost[127.0.0.1]"
TLS13 = ("TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519 "
         "server-signature RSA-PSS (2048 bits) server-digest SHA256")
TLS12 = "TLSv1.2 with cipher ECDHE-RSA-AES128-GCM-SHA256 (128/128 bits)"

SESSIONS_PER_PROCESS = 100
SLOW_SESSIONS = 6

# What a session counts as.  `hour` is that of its first line, since 1970 in UTC.
Labels = collections.namedtuple("Labels", "hour service peer_class tls_state evidence cipher")


def last_autumn_change(zone, before):
    """The last whole hour before `before`, in seconds since 1970, at which clocks went back."""
    offset = lambda seconds: datetime.datetime.fromtimestamp(seconds, zone).utcoffset()
    moment = int(before) // 3600 * 3600
    while offset(moment) >= offset(moment - 1):
        moment -= 3600
    return moment


class Truth:
    """What was written."""

    def __init__(self):
        # [sessions, messages, messages over TLS] by labels.
        self.counts = collections.defaultdict(lambda: [0, 0, 0])
        self.sessions = 0
        self.lines = 0

    def add(self, labels, messages=0):
        self.sessions += 1
        count = self.counts[labels]
        count[0] += 1
        count[1] += messages
        count[2] += messages if labels.tls_state == ESTABLISHED else 0

    def by_labels(self):
        return {labels: tuple(count) for labels, count in self.counts.items()}


class Mailhost:
    """Makes the log of one host, second by second."""

    def __init__(self, seed, start, zone=datetime.timezone.utc, name="mx1"):
        self.truth = Truth()
        # Seconds since 1970.  May be set back, as a clock is.
        self.now = int(start)
        self._random = random.Random(seed)
        self._zone = zone
        self._name = name
        self._pid = 1000
        self._queue_id = 0xA0000
        self._processes = []  # [tag, sessions to come]
        self._slow = []       # Lines to come of sessions that last, by process.
        self._later = []      # Lines of other processes that follow in the next second.
        self._kinds = [kind for kind, weight in (
            (self._plain, 6), (self._one_message, 8), (self._two_messages, 2),
            (self._tls_without_tls_line, 3), (self._lost_handshake, 2), (self._chunked, 2),
            (self._rejected, 3), (self._no_command, 2), (self._reinjected, 1),
            (self._superseded, 1)) for _ in range(weight)]

    def busy_second(self):
        """Returns the lines of one second; one to three seconds pass."""
        streams = [self._later, self._wrapper_mode(), self._slow_sessions(), self._chatter()]
        self._later = []
        while len(self._processes) < 8:
            self._processes.append([self._new_process(), SESSIONS_PER_PROCESS])
        for process in self._random.sample(self._processes, self._random.randint(2, 5)):
            streams.append(self._busy_process(process))
        return self._written(streams)

    def finish(self):
        """Returns the lines that are left to write of what has begun."""
        lines = []
        while self._slow or self._later:
            streams = [self._later] + [stream[:1] for stream in self._slow]
            self._later = []
            self._slow = [stream[1:] for stream in self._slow if len(stream) > 1]
            lines += self._written(streams)
        return lines

    def leave_open(self, count):
        """Returns lines of sessions that never end; they count nowhere."""
        return self._written([[f"{self._new_process()}connect from {CLIENT}"]
                              for _ in range(count)])

    def _written(self, streams):
        """Lines of the streams, mixed at random, each stream's in its own order."""
        stamp = datetime.datetime.fromtimestamp(self.now, self._zone)
        header = stamp.strftime("%b %e %H:%M:%S ") + self._name + " postfix/"
        order = [i for i, stream in enumerate(streams) for _ in stream]
        self._random.shuffle(order)
        readers = [iter(stream) for stream in streams]
        self.now += self._random.choice((1, 1, 2, 3))
        self.truth.lines += len(order)
        return [header + next(readers[i]) for i in order]

    def _busy_process(self, process):
        lines = []
        for _ in range(self._random.randint(5, 7)):
            lines += self._random.choice(self._kinds)(process[0])
            process[1] -= 1
        if self._random.random() < 0.01:
            lines += self._killed(process[0])
            process[1] = 0
        if process[1] <= 0:
            self._processes.remove(process)
        return lines

    def _new_process(self, service=""):
        self._pid += self._random.randint(1, 9)
        return f"{service}smtpd[{self._pid}]: "

    def _new_queue_id(self):
        self._queue_id += self._random.randint(1, 5)
        return f"{self._queue_id:X}"

    def _count(self, tls_state, evidence, cipher="", messages=0, service="smtpd",
               peer_class=EXTERNAL):
        self.truth.add(Labels(self.now // 3600, service, peer_class, tls_state, evidence, cipher),
                       messages)

    # Kinds of sessions: each counts one and returns its lines.

    def _plain(self, tag):
        self._count(PLAINTEXT, STARTTLS_COUNTER)
        return [f"{tag}connect from {CLIENT}",
                f"{tag}disconnect from {CLIENT} ehlo=1 quit=1 commands=2"]

    def _message(self, tag, peer=CLIENT):
        queue_id = self._new_queue_id()
        return [f"{tag}{queue_id}: client={peer}",
                f"cleanup[77]: {queue_id}: message-id=<{queue_id}@mail.example.net>",
                f"qmgr[78]: {queue_id}: from=<a@example.net>, size=302, nrcpt=1 (queue active)"]

    def _one_message(self, tag):
        self._count(ESTABLISHED, HANDSHAKE_LINE, "TLS_AES_256_GCM_SHA384", messages=1)
        return [f"{tag}connect from {CLIENT}",
                f"{tag}Anonymous TLS connection established from {CLIENT}: {TLS13}",
                *self._message(tag),
                f"{tag}disconnect from {CLIENT} ehlo=2 starttls=1 mail=1 rcpt=1 data=1 quit=1 "
                "commands=7"]

    def _two_messages(self, tag):
        self._count(ESTABLISHED, HANDSHAKE_LINE, "ECDHE-RSA-AES128-GCM-SHA256", messages=2)
        return [f"{tag}connect from {CLIENT}",
                f"{tag}Anonymous TLS connection established from {CLIENT}: {TLS12}",
                *self._message(tag), *self._message(tag),
                f"{tag}disconnect from {CLIENT} ehlo=2 starttls=1 mail=2 rcpt=2 data=2 quit=1 "
                "commands=10"]

    def _tls_without_tls_line(self, tag):
        self._count(ESTABLISHED, STARTTLS_COUNTER)
        return [f"{tag}connect from {CLIENT}",
                f"{tag}disconnect from {CLIENT} ehlo=2 starttls=1 quit=1 commands=4"]

    def _lost_handshake(self, tag):
        self._count(FAILED, HANDSHAKE_LINE)
        return [f"{tag}connect from {CLIENT}",
                f"{tag}SSL_accept error from {CLIENT}: lost connection",
                f"{tag}lost connection after STARTTLS from {CLIENT}",
                f"{tag}disconnect from {CLIENT} ehlo=1 starttls=0/1 commands=1/2"]

    def _chunked(self, tag):
        """Only the queue manager tells, later, that there was a message."""
        self._count(PLAINTEXT, STARTTLS_COUNTER, messages=1)
        accepted, *confirmed = self._message(tag)
        self._later += confirmed
        return [f"{tag}connect from {CLIENT}", accepted,
                f"{tag}disconnect from {CLIENT} ehlo=1 mail=1 rcpt=1 bdat=3 quit=1 commands=7"]

    def _rejected(self, tag):
        self._count(PLAINTEXT, STARTTLS_COUNTER)
        return [f"{tag}connect from {CLIENT}",
                f"{tag}NOQUEUE: reject: RCPT from {CLIENT}: 554 5.7.1 <x@example.org>: Relay "
                "access denied; from=<a@example.net> to=<x@example.org> proto=ESMTP "
                "helo=<mail.example.net>",
                f"{tag}disconnect from {CLIENT} ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4"]

    def _no_command(self, tag):
        self._count(PLAINTEXT, STARTTLS_COUNTER)
        return [f"{tag}connect from {CLIENT}",
                f"{tag}lost connection after CONNECT from {CLIENT}",
                f"{tag}disconnect from {CLIENT} commands=0/0"]

    def _reinjected(self, tag):
        self._count(PLAINTEXT, STARTTLS_COUNTER, messages=1, peer_class=LOOPBACK)
        return [f"{tag}connect from {FILTER}", *self._message(tag, FILTER),
                f"{tag}disconnect from {FILTER} ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5"]

    def _superseded(self, tag):
        """Its end line is lost; the next session of the process ends it."""
        self._count(UNKNOWN, UNSPECIFIED)
        return [f"{tag}connect from {CLIENT}", *self._plain(tag)]

    def _killed(self, tag):
        self._count(UNKNOWN, UNSPECIFIED)
        pid = tag[tag.index("[") + 1:tag.index("]")]
        return [f"{tag}connect from {CLIENT}",
                f"master[76]: warning: process /usr/lib/postfix/sbin/smtpd pid {pid} killed by "
                "signal 9"]

    def _wrapper_mode(self):
        if self._random.random() < 0.5:
            return []
        self._count(ESTABLISHED, IMPLICIT_TLS, service="submissions")
        tag = self._new_process("submissions/")
        return [f"{tag}connect from {CLIENT}",
                f"{tag}disconnect from {CLIENT} ehlo=1 quit=1 commands=2"]

    def _slow_sessions(self):
        """Sessions over many seconds, so that files, batches and kills cut them."""
        if len(self._slow) < SLOW_SESSIONS:
            self._count(PLAINTEXT, STARTTLS_COUNTER)
            tag = self._new_process()
            count = self._random.randint(1, 80)
            reject = (f"{tag}NOQUEUE: reject: RCPT from {CLIENT}: 450 4.2.0 <x@example.org>: try "
                      "later; from=<a@example.net> to=<x@example.org> proto=ESMTP helo=<a>")
            self._slow.append([
                f"{tag}connect from {CLIENT}", *[reject] * count,
                f"{tag}disconnect from {CLIENT} ehlo=1 mail=1 rcpt=0/{count} commands=2/{count + 2}"])
            return [self._slow[-1].pop(0)]
        stream = self._random.choice(self._slow)
        line = stream.pop(0)
        if not stream:
            self._slow.remove(stream)
        return [line]

    def _chatter(self):
        if self._random.random() < 0.7:
            return []
        return ["anvil[79]: statistics: max connection count 1 for (smtpd:192.0.2.10) at Oct 26 "
                "18:13:50",
                "smtp[80]: A1: to=<x@example.org>, relay=mx.example.org[198.51.100.1]:25, delay=1, "
                "delays=0/0/1/0, dsn=2.0.0, status=sent (250 disconnect from ok)"]


class LogFile:
    """A log file as syslog writes it and logrotate moves it.  Keeps every rotated file."""

    def __init__(self, path):
        self.path = str(path)
        self._descriptor = self._open()
        self._rotated = 0

    def _open(self):
        return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, lines):
        """Appends lines in two writes, of which the first ends anywhere."""
        data = "".join(line + "\n" for line in lines).encode()
        for part in (data[:len(data) * 2 // 3], data[len(data) * 2 // 3:]):
            while part:
                part = part[os.write(self._descriptor, part):]

    def rotate_by_rename(self, late_lines):
        """Renames the file; the writer gets to know only after `late_lines`."""
        self._shift()
        os.rename(self.path, f"{self.path}.1")
        self.write(late_lines)
        os.close(self._descriptor)
        self._descriptor = self._open()

    def rotate_by_copying(self):
        """Copies the file and truncates it, while nothing is written."""
        self._shift()
        shutil.copy2(self.path, f"{self.path}.1")
        os.truncate(self.path, 0)

    def _shift(self):
        for number in range(self._rotated, 0, -1):
            os.rename(f"{self.path}.{number}", f"{self.path}.{number + 1}")
        self._rotated += 1
