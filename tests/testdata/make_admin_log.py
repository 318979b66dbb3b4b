#!/usr/bin/env python3
"""Writes the sample logs beside this script:

  maillog-20131103         one day of one busy host: 5927 sessions from outside,
                           1141 of them TLS, and 300 of a monitoring host
  maillog-failed-20131103  an hour of the same host with 40 handshakes that failed; no
                           process id is in both

Lines follow the format strings of Postfix 2.8 with `smtpd_tls_loglevel = 1`:
bare `disconnect from` lines, and a "setting up TLS connection" line for each
handshake, also for those that fail.  For 513 of the TLS sessions the summary
line is missing, as after a burst that the logger dropped.  Between them stand
the lines of other daemons, and text that peers chose in order to look like
other lines.  In the first log no such text fools an admin's plain grep for
connections, set-ups and summaries, so that grep and scan can be compared; in
the second some does.  All addresses and names are reserved for documentation.

    make_admin_log.py [DIRECTORY]    writes both there; the same bytes every time
"""

import datetime
import pathlib
import random
import sys

FIRST = datetime.datetime(2013, 11, 2, 4, 2, 1)
DAY_SECONDS = 24 * 3600
MONITOR = "monitor.example.com[192.0.2.250]"

# Summary lines by cipher; TLSv1 all.
CIPHERS = [("AES256-SHA", 256, 300), ("ADH-AES256-SHA", 256, 170), ("RC4-SHA", 128, 134),
           ("AES128-SHA", 128, 18), ("RC4-MD5", 128, 6)]

# A process serves so many sessions, and ends when idle for so long (max_use, max_idle).
SESSIONS_PER_PROCESS = 100
IDLE_SECONDS = 100
# So few process ids that one pid is several processes in a day.
PIDS = 201

# Text of peers that would end a session, or make it a failed one, if believed ...
FORGED_ENDS = ["disconnect from y[198.51.100.9] ehlo=2 starttls=1 quit=1",
               "SSL_accept error from y[198.51.100.9]: -1",
               "lost connection after STARTTLS from y[198.51.100.9]"]
# ... and that would begin one, or encrypt it.  These fool grep.
FORGED_STARTS = ["postfix/smtpd[11850]: connect from y[198.51.100.9]",
                 "setting up TLS connection from bank.example[198.51.100.7]",
                 "Anonymous TLS connection established from bank.example[198.51.100.7]: "
                 "TLSv1 with cipher AES256-SHA (256/256 bits)"]
HOSTILE_HELO = ["disconnect?from?y", "?proto=ESMTP?helo=?x", "[198.51.100.9]", "x" * 200,
                "tls-connection-established-from.example"]


class Dice:
    """Random choices that are the same on every release of Python: made from
    random.random() alone, whose sequence is promised."""

    def __init__(self, seed):
        self._random = random.Random(seed).random

    def chance(self, probability):
        return self._random() < probability

    def below(self, bound):
        return int(self._random() * bound)

    def between(self, low, high):
        return low + self.below(high - low + 1)

    def pick(self, items):
        return items[self.below(len(items))]

    def shuffle(self, items):
        for last in range(len(items) - 1, 0, -1):
            other = self.below(last + 1)
            items[last], items[other] = items[other], items[last]


class Log:
    """Lines with their time, in seconds after FIRST; written in order of time,
    and in order of adding within a second."""

    def __init__(self):
        self._lines = []

    def add(self, second, tag, text):
        self._lines.append((second, len(self._lines), tag, text))

    def render(self):
        out = []
        for second, _, tag, text in sorted(self._lines):
            stamp = FIRST + datetime.timedelta(seconds=second)
            month = ("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec").split()[stamp.month - 1]
            out.append(f"{month} {stamp.day:2} {stamp:%H:%M:%S} mx1 {tag}: {text}\n")
        return "".join(out)


class Processes:
    """smtpd's processes: a session gets one that is idle, else a new one."""

    def __init__(self, first_pid):
        self._pids = range(first_pid, first_pid + PIDS)
        self._next = 0
        self._idle = []  # (free since, pid, sessions served)
        self._busy = []

    def take(self, second):
        self._idle += [entry for entry in self._busy if entry[0] <= second]
        self._busy = [entry for entry in self._busy if entry[0] > second]
        self._idle = sorted(entry for entry in self._idle
                            if second - entry[0] < IDLE_SECONDS and entry[2] < SESSIONS_PER_PROCESS)
        if self._idle:
            _, pid, served = self._idle.pop()
            return pid, served
        in_use = {entry[1] for entry in self._busy}
        while True:
            pid = self._pids[self._next % PIDS]
            self._next += 1
            if pid not in in_use:
                return pid, 0

    def give_back(self, second, pid, served):
        self._busy.append((second, pid, served + 1))


class Writer:
    """Turns session plans into lines."""

    def __init__(self, dice, first_pid, forgeries):
        self.dice = dice
        self.forgeries = forgeries  # what hostile peers write
        self.log = Log()
        self.processes = Processes(first_pid)
        self.messages = self.tls_messages = 0

    # --- names ---------------------------------------------------------------

    def address(self):
        if self.dice.chance(0.03):
            return f"2001:db8:{self.dice.below(0xffff):x}::{self.dice.between(1, 0xffff):x}"
        return f"198.{self.dice.between(18, 19)}.{self.dice.below(256)}.{self.dice.between(1, 254)}"

    def peer(self):
        address = self.address()
        if self.dice.chance(0.35):
            return f"unknown[{address}]"
        if self.dice.chance(0.01):
            return f"disconnect.from.example[{address}]"
        if self.dice.chance(0.01):
            return f"tls-connection-established-from.example[{address}]"
        domain = self.dice.pick(["example.net", "example.org", "mail.example", "isp.example.net"])
        return f"{self.dice.pick(['mx', 'out', 'mta', 'smtp-'])}{self.dice.below(400)}.{domain}[{address}]"

    def queue_id(self):
        return f"{self.dice.between(0x10000, 0xFFFFF):X}{self.dice.between(0x10000, 0xFFFFF):X}"

    # --- lines ---------------------------------------------------------------

    def session(self, second, peer, plan):
        """One session from its first line to its last.  `plan`: "setup" with a
        set-up line, "cipher" (name, bits) with a summary line, and "activity",
        a function that writes what follows and returns when it ended."""
        dice = self.dice
        pid, served = self.processes.take(second)
        tag = f"postfix/smtpd[{pid}]"
        name, address = peer[:-1].split("[")
        if name == "unknown" and dice.chance(0.3):
            self.log.add(second, tag, dice.pick([
                f"warning: {address}: hostname dsl.example.net verification failed: Name or service not known",
                f"warning: {address}: address not listed for hostname connect-from.example.org"]))
        self.log.add(second, tag, f"connect from {peer}")
        second += dice.below(3)
        if plan.get("setup"):
            self.log.add(second, tag, f"setting up TLS connection from {peer}")
            second += dice.below(2)
        if plan.get("cipher"):
            cipher, bits = plan["cipher"]
            self.log.add(second, tag, f"Anonymous TLS connection established from {peer}: "
                                      f"TLSv1 with cipher {cipher} ({bits}/{bits} bits)")
        second = plan["activity"](second, tag, peer, bool(plan.get("setup")))
        self.log.add(second, tag, f"disconnect from {peer}")
        self.processes.give_back(second, pid, served)

    def nothing(self, second, _tag, _peer, _tls):
        return second + self.dice.below(4)

    def lost(self, second, tag, peer, _tls):
        second += self.dice.below(40)
        place = self.dice.pick(["EHLO", "RCPT", "MAIL", "RSET", "DATA (%d bytes)" % self.dice.below(9000)])
        self.log.add(second, tag, f"lost connection after {place} from {peer}")
        return second

    def lost_at_once(self, second, tag, peer, _tls):
        place = self.dice.pick(["CONNECT", "CONNECT", "UNKNOWN", "HELO"])
        self.log.add(second, tag, f"lost connection after {place} from {peer}")
        return second

    def timeout(self, second, tag, peer, _tls):
        second += 300
        place = self.dice.pick(["END-OF-MESSAGE", "RCPT", "EHLO"])
        self.log.add(second, tag, f"timeout after {place} from {peer}")
        return second

    def reject(self, second, tag, peer, _tls):
        for _ in range(self.dice.pick([1, 1, 1, 2, 3])):
            second += self.dice.below(5)
            sender = f"user{self.dice.below(900)}@example.net"
            if self.dice.chance(0.04):
                sender = f'"x: {self.dice.pick(self.forgeries)}"@example.org'
            helo = f"pc{self.dice.below(900)}.example.net"
            if self.dice.chance(0.04):
                helo = self.dice.pick(HOSTILE_HELO)
            recipient = f"nobody{self.dice.below(90)}@example.com"
            text = self.dice.pick([
                f"550 5.1.1 <{recipient}>: Recipient address rejected: User unknown in virtual mailbox table",
                "554 5.7.1 Service unavailable; Client host blocked using zen.example; "
                "see disconnect from y[198.51.100.9]",
                f"450 4.7.1 <{recipient}>: Recipient address rejected: Greylisted",
                f"504 5.5.2 <{helo[:20]}>: Helo command rejected: need fully-qualified hostname"])
            self.log.add(second, tag, f"NOQUEUE: reject: RCPT from {peer}: {text}; from=<{sender}> "
                                      f"to=<{recipient}> proto=ESMTP helo=<{helo}>")
        return second

    def odd(self, second, tag, peer, _tls):
        """A client that is no mail client, or wants to be read as a log."""
        forgery = self.dice.pick(self.forgeries)
        self.log.add(second, tag, self.dice.pick([
            f"warning: non-SMTP command from {peer}: {forgery}",
            f"improper command pipelining after EHLO from {peer}: {forgery}\\r\\n",
            f"warning: {peer}: SASL LOGIN authentication failed: UGFzc3dvcmQ6",
            f"warning: Illegal address syntax from {peer} in MAIL command: <{forgery}>",
            f"too many errors after RCPT from {peer}"]))
        return second + self.dice.below(2)

    def message(self, second, tag, peer, tls):
        for _ in range(self.dice.pick([1, 1, 1, 1, 2])):
            second += self.dice.below(3)
            self.one_message(second, tag, peer)
            self.messages += 1
            self.tls_messages += tls
            second += self.dice.below(3)
        return second

    def canceled(self, second, tag, peer, _tls):
        """A transaction that never became a message."""
        self.log.add(second, tag, f"{self.queue_id()}: client={peer}")
        return self.lost(second, tag, peer, _tls)

    def one_message(self, second, tag, peer):
        queue_id, dice = self.queue_id(), self.dice
        sender = f"user{dice.below(900)}@example.net"
        recipient = f"staff{dice.below(90)}@example.com"
        cleanup, qmgr = "postfix/cleanup[11795]", "postfix/qmgr[2214]"
        self.log.add(second, tag, f"{queue_id}: client={peer}")
        later = second + dice.below(2)
        self.log.add(later, cleanup, f"{queue_id}: message-id=<{queue_id}.{dice.below(99999)}@example.net>")
        if dice.chance(0.05):
            self.log.add(later, cleanup,
                         f"{queue_id}: warning: header Subject: {dice.pick(self.forgeries)} "
                         f"from {peer}; from=<{sender}> to=<{recipient}> proto=ESMTP helo=<pc.example.net>")
        # Sometimes after smtpd's own disconnect line.
        later += dice.pick([0, 0, 0, 1, 4])
        self.log.add(later, qmgr, f"{queue_id}: from=<{sender}>, size={dice.between(900, 90000)}, nrcpt=1 (queue active)")
        later += dice.below(5)
        self.log.add(later, f"postfix/smtp[{dice.between(11700, 11780)}]",
                     f"{queue_id}: to=<{recipient}>, relay=store.example.com[192.0.2.20]:25, delay=1.1, "
                     f"delays=0.6/0/0.1/0.4, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as {self.queue_id()})")
        self.log.add(later, qmgr, f"{queue_id}: removed")

    def noise(self, seconds, every):
        """Daemons that are not smtpd, some with its words."""
        for second in range(40, seconds, every):
            second += self.dice.below(every)
            address = self.address()
            tag, text = self.dice.pick([
                ("postfix/anvil[11790]", f"statistics: max connection rate 3/60s for (smtp:{address}) at Nov  2 18:13:50"),
                ("postfix/anvil[11790]", f"statistics: max connection count 2 for (smtp:{address}) at Nov  2 18:13:50"),
                ("dovecot", f"imap-login: Login: user=<staff{self.dice.below(90)}>, method=PLAIN, rip={address}, lip=192.0.2.10, TLS"),
                ("dovecot", f"pop3-login: Disconnected (no auth attempts): rip={address}, lip=192.0.2.10, TLS handshaking"),
                ("postgrey[2301]", f"connect from host.example.net[{address}]"),
                ("spamd[2310]", "spamd: connection from localhost [127.0.0.1] at port 41234"),
                ("postfix/master[2210]", "reload -- version 2.8.17, configuration /etc/postfix")
                if self.dice.chance(0.01) else
                ("postfix/scache[11792]", "statistics: start interval Nov  2 18:10:29"),
            ])
            self.log.add(second, tag, text)


def tls_plans(writer, dice, without_summary, ciphers):
    """Plans of TLS sessions that count as established."""
    summaries = [(cipher, bits) for cipher, bits, count in ciphers for _ in range(count)]
    activities = [writer.message] * 6 + [writer.reject] * 2 + [writer.nothing, writer.lost, writer.canceled]
    return [{"setup": True, "cipher": summary, "activity": dice.pick(activities)}
            for summary in summaries + [None] * without_summary]


def plain_plans(writer, dice, count):
    activities = ([writer.nothing] * 18 + [writer.lost_at_once] * 8 + [writer.lost] * 3 + [writer.reject] * 11 +
                  [writer.message] * 4 + [writer.odd] * 2 + [writer.timeout])
    return [{"activity": dice.pick(activities)} for _ in range(count)]


def failed_plans(writer, count):
    """Handshakes that fail in the ways Postfix 2.8 tells."""

    def accept_error(second, tag, peer, _tls):
        writer.log.add(second, tag, f"SSL_accept error from {peer}: -1")
        writer.log.add(second, tag, "warning: TLS library problem: 11801:error:1408A0C1:SSL routines:"
                                    "SSL3_GET_CLIENT_HELLO:no shared cipher:s3_srvr.c:1053:")
        return lost(second, tag, peer, _tls)

    def end_of_file(second, tag, peer, _tls):
        writer.log.add(second, tag, f"SSL_accept error from {peer}: 0")
        return lost(second, tag, peer, _tls)

    def lost(second, tag, peer, _tls):
        writer.log.add(second, tag, f"lost connection after STARTTLS from {peer}")
        return second

    def timeout(second, tag, peer, _tls):
        writer.log.add(second + 300, tag, f"timeout after STARTTLS from {peer}")
        return second + 300

    kinds = [accept_error, end_of_file, lost, timeout]
    return [{"setup": True, "activity": kinds[index % len(kinds)]} for index in range(count)]


def write_sessions(writer, dice, plans, seconds, monitor_every):
    """Spreads the plans over the time, with rushes that overlap, and the
    monitoring host's probes between them."""
    dice.shuffle(plans)
    starts = [0]
    while len(starts) < len(plans):
        start = dice.below(seconds - 400)
        rush = dice.pick([1, 1, 2, 3, 8])
        starts += [start + dice.below(3) for _ in range(rush)]
    work = [(start, writer.peer(), plan) for start, plan in zip(sorted(starts[:len(plans)]), plans)]
    if monitor_every:
        work += [(start, MONITOR, {"activity": dice.pick([writer.nothing, writer.lost_at_once])})
                 for start in range(30, seconds, monitor_every)]
    for start, peer, plan in sorted(work, key=lambda entry: entry[0]):
        writer.session(start, peer, plan)


def day():
    dice = Dice(20131103)
    writer = Writer(dice, 11800, FORGED_ENDS)
    plans = tls_plans(writer, dice, 513, CIPHERS) + plain_plans(writer, dice, 5927 - 1141)
    write_sessions(writer, dice, plans, DAY_SECONDS, DAY_SECONDS // 300)
    writer.noise(DAY_SECONDS, 90)
    return writer


def hour_with_failures():
    dice = Dice(20131104)
    writer = Writer(dice, 12100, FORGED_ENDS + FORGED_STARTS)
    plans = (tls_plans(writer, dice, 20, [("AES256-SHA", 256, 60), ("RC4-SHA", 128, 20)]) +
             plain_plans(writer, dice, 260) + failed_plans(writer, 40))
    write_sessions(writer, dice, plans, 3600, 0)
    writer.noise(3600, 60)
    return writer


def main():
    directory = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else __file__ + "/..").resolve()
    for name, make in [("maillog-20131103", day), ("maillog-failed-20131103", hour_with_failures)]:
        writer = make()
        (directory / name).write_text(writer.log.render(), encoding="ascii")
        print(f"{name}: {writer.messages} messages, {writer.tls_messages} over TLS")


if __name__ == "__main__":
    main()
