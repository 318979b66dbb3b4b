"""What of the peers leaves a host, by --peer-detail.

Reads every byte between agent and server and every byte the server stored.
In the log, "zzfull" marks what only `full` may tell and "zzdomain" what `prefix`
may tell too; "zznever" is in texts that are never told.
"""

import gzip
import hashlib
import hmac
import signal
import stat

import database
import harness
import wire

ADDRESS = "198.51.100.77"
ADDRESS6 = "2001:db8:7:aaaa::beef"
NAME = "host-zzfull.office.zzdomain-name.example"
HELO = "Helo-zzfull.zzdomain-helo.example"
SNI = "sni-zzfull.mx.zzdomain-sni.example"
ORIGINAL_ID = "ZZFULLABCDEF"
PEER = f"{NAME}[{ADDRESS}]:54321"
PEER6 = f"unknown[{ADDRESS6}]"

# As the record's field number 3 of a peer holds it.
PORT = b"\x18\xb1\xa8\x03"

# Lower case.  Each is in what `full` sends and stores.
ONLY_FULL = [text.lower().encode() for text in
             (ADDRESS, ADDRESS6, NAME, HELO, SNI, ORIGINAL_ID)] + [b"zzfull", PORT]
FULL_AND_PREFIX = [b"198.51.100.", b"2001:db8:7:", b"zzdomain-name.example",
                   b"zzdomain-helo.example", b"zzdomain-sni.example"]
NEVER = [b"zznever", b"/etc/zz"]

TLS = ("TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519 "
       "server-signature RSA-PSS (2048 bits) server-digest SHA256")

KEY3, KEY4 = b"\x33" * 32, b"\x44" * 32
KEYS = f"2026q3 2026-07-01 {KEY3.hex()}\n2026q4 2026-10-01 {KEY4.hex()}\n"


def session_lines(stamp, pid, peer=PEER, host="mx1"):
    """A session that shows its peer in every way."""
    lines = [
        f"smtpd[{pid}]: connect from {peer}",
        f"smtpd[{pid}]: Anonymous TLS connection established from {peer} to {SNI}: {TLS}",
        f"smtpd[{pid}]: NOQUEUE: reject: RCPT from {peer}: 554 5.7.1 <to-zznever@example.org>: "
        "Relay access denied; from=<from-zznever@example.net> to=<to-zznever@example.org> "
        f"proto=ESMTP helo=<{HELO}>",
        f"smtpd[{pid}]: 4A1B2C{pid}: client={peer}, orig_queue_id={ORIGINAL_ID}, "
        "orig_client=zznever.example[203.0.113.99]",
        f"cleanup[77]: 4A1B2C{pid}: message-id=<zznever@example.net>",
        f"qmgr[78]: 4A1B2C{pid}: from=<zznever@example.net>, size=302, nrcpt=1 (queue active)",
        f"smtpd[{pid}]: 4A1B2D{pid}: client={peer}, sasl_method=PLAIN, sasl_username=zznever",
        f"qmgr[78]: 4A1B2D{pid}: from=<zznever@example.net>, size=302, nrcpt=1 (queue active)",
        f"smtpd[{pid}]: disconnect from {peer} ehlo=2 starttls=1 mail=3 rcpt=2/3 data=2 quit=1 "
        "commands=10/11",
    ]
    return [f"{stamp} {host} postfix/{line}" for line in lines]


def failed_lines(stamp, pid, reason, host="mx1"):
    """A handshake that fails, for a reason in the library's words."""
    lines = [
        f"smtpd[{pid}]: connect from {PEER6}",
        f"smtpd[{pid}]: SSL_accept error from {PEER6}: -1",
        f"smtpd[{pid}]: warning: TLS library problem: error:0A000102:SSL routines::{reason}:"
        "../ssl/statem/statem_srvr.c:1657:",
        f"smtpd[{pid}]: lost connection after STARTTLS from {PEER6}",
        f"smtpd[{pid}]: disconnect from {PEER6} ehlo=1 starttls=0/1 commands=1/2",
    ]
    return [f"{stamp} {host} postfix/{line}" for line in lines]


def other_lines(stamp):
    """What no record holds: the MTA's start, a line nobody understands, an open session."""
    return [
        f"{stamp} mx1 postfix/master[70]: daemon started -- version 3.7.11, configuration /etc/zz",
        f"{stamp} mx1 postfix/smtpd[900]: frobnicated zznever.example[203.0.113.99]",
        f"{stamp} zznever.example postfix/smtpd[901]: connect from zznever.example[203.0.113.99]",
        f"{stamp} mx1 postfix/smtpd[902]: connect from open-zznever.example[203.0.113.99]",
    ]


def hashed(epoch, key, text):
    return f"{epoch}:{hmac.new(key, text.lower().encode(), hashlib.sha256).hexdigest()[:32]}"


class PeerDetailTest(harness.EndToEndTest):
    def setUp(self):
        super().setUp()
        self.server = self.start_server()
        self.recorder = wire.Recorder(self.server.port)
        self.addCleanup(self.recorder.close)
        self.runs = 0
        self.key_file = self.dir / "peer-keys"
        self.write_keys(KEYS)
        self.log = self.dir / "mail.log"
        self.write(self.log, other_lines("2026-11-02T09:59:59+00:00")
                   + session_lines("2026-11-02T10:00:00+00:00", 101)
                   + failed_lines("2026-11-02T10:00:01+00:00", 102, "unsupported protocol")
                   + failed_lines("2026-11-02T10:00:02+00:00", 103,
                                  f"no certificate for {SNI} [{ADDRESS}]"))

    def write(self, path, lines):
        with open(path, "a", encoding="utf-8") as file:
            file.write("".join(line + "\n" for line in lines))

    def write_keys(self, text):
        self.key_file.write_text(text)
        self.key_file.chmod(0o640)

    def read(self, detail, log=None, host="mx1", server=None):
        """Reads a log to its end, with a state that nothing else has used."""
        self.runs += 1
        options = ["--peer-detail", detail] if detail else []
        if detail == "hmac":
            options += ["--peer-key-file", self.key_file]
        return self.read_once(server or self.recorder, host, log or self.log, options=options,
                              state_dir=self.dir / f"state-{self.runs}")

    # ---- What was sent and what was stored, in lower case

    def sent(self):
        connections = self.recorder.connections()
        self.assertEqual(len(connections), 1)
        bytes_sent = b"".join(connections[0])
        decoded = [message for side in connections[0] for message in wire.messages(side)]
        # The hello, the batches, the status; the welcome, the acknowledgements.
        self.assertGreaterEqual(len(decoded), 5)
        return b"\n".join([bytes_sent, *decoded]).lower()

    def stored(self):
        """Every column of every row; then, when the server has ended, every byte of its files."""
        found = []
        with database.opened(self.server.database) as db:
            for (table,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'"):
                for row in db.execute(f'SELECT * FROM "{table}"'):
                    found += [value if isinstance(value, bytes) else str(value).encode()
                              for value in row]
        files = [path for path in self.dir.iterdir()
                 if path.name.startswith(self.server.database.name)]
        self.assertTrue(files)
        found += [path.read_bytes() for path in files]
        self.assertEqual(self.server.stop(), 0)
        found.append(self.server.database.read_bytes())
        return b"\n".join(found).lower()

    def check(self, found, told, not_told):
        self.assertEqual([text for text in told if text not in found], [], "is missing")
        self.assertEqual([text for text in not_told if text in found], [], "was to be masked")

    def sessions(self):
        """Rows without what may be masked, and what they count as."""
        with database.opened(self.server.database) as db:
            return db.execute(
                "SELECT host_id, stamp_ns, tag, ordinal, key_version, rank, label_set_id, messages,"
                " tls_messages, end_ns, key_conflict FROM session ORDER BY 1, 2, 3, 4").fetchall()

    def peers(self):
        """(address, name) of each session, by its tag."""
        with database.opened(self.server.database) as db:
            return {tag: (address, name) for tag, address, name in
                    db.execute("SELECT tag, peer_address, peer_name FROM session")}

    def exceptions(self):
        harmless = {"unrecognized", "foreign_host"}
        return {name: count for name, count in database.exceptions(self.server.database).items()
                if name not in harmless}

    # ---- Each choice

    def test_full_is_the_default_and_tells_all_that_a_record_can_hold(self):
        for detail in ("full", None):
            self.recorder.forget()
            self.read(detail)
            self.check(self.sent(), ONLY_FULL + FULL_AND_PREFIX, NEVER)
        self.assertEqual(self.peers()["postfix/smtpd[101]"], (ADDRESS, NAME))
        self.check(self.stored(), ONLY_FULL + FULL_AND_PREFIX, NEVER)

    def test_prefix_tells_networks_and_domains(self):
        self.read("prefix")
        told = FULL_AND_PREFIX + [b"198.51.100.0/24", b"2001:db8:7::/48", b"unsupported protocol"]
        self.check(self.sent(), told, ONLY_FULL + NEVER)
        self.assertEqual(self.peers()["postfix/smtpd[101]"],
                         ("198.51.100.0/24", "zzdomain-name.example"))
        self.check(self.stored(), told, ONLY_FULL + NEVER)

    def test_hmac_tells_keyed_hashes(self):
        self.read("hmac")
        told = [hashed("2026q4", KEY4, text).encode()
                for text in (ADDRESS, ADDRESS6, NAME, HELO, SNI)] + [b"unsupported protocol"]
        secrets = [KEY3, KEY4, KEY3.hex().encode(), KEY4.hex().encode()]
        self.check(self.sent(), told, ONLY_FULL + FULL_AND_PREFIX + NEVER + secrets)
        self.check(self.stored(), told, ONLY_FULL + FULL_AND_PREFIX + NEVER + secrets)

    def test_none_tells_nothing(self):
        self.read("none")
        told = [b"unsupported protocol"]
        self.check(self.sent(), told, ONLY_FULL + FULL_AND_PREFIX + NEVER)
        self.assertEqual(set(self.peers().values()), {("", "")})
        self.check(self.stored(), told, ONLY_FULL + FULL_AND_PREFIX + NEVER)

    def test_headers_are_the_same_whatever_the_log_says(self):
        """Header blocks are compressed in a way of their own: they hold nothing of a log."""
        empty = self.dir / "empty.log"
        empty.touch()
        blocks = []
        for log in (empty, self.log):
            self.recorder.forget()
            self.read("none", log)
            [(client, server)] = self.recorder.connections()
            self.assertEqual(len(wire.headers(client)), 1)
            # The first of the server; its trailers end the stream.
            blocks.append((wire.headers(client), wire.headers(server)[:1]))
        self.assertEqual(blocks[0], blocks[1])

    def test_the_recorder_sees_through_compression(self):
        message = gzip.compress(b"some text")
        body = b"\x01" + len(message).to_bytes(4, "big") + message
        frame = len(body).to_bytes(3, "big") + b"\x00\x00" + (1).to_bytes(4, "big") + body
        self.assertEqual(wire.messages(wire.PREFACE + frame), [b"some text"])

    # ---- Choices that change

    def test_keys_and_counts_are_the_same_with_every_choice(self):
        rows = []
        for detail in ("full", "prefix", "hmac", "none"):
            server = self.start_server(database=self.dir / f"{detail}.db")
            self.read(detail, server=server)
            self.server = server
            rows.append(self.sessions())
            self.assertEqual(len(rows[-1]), 3)
        self.assertEqual(rows[1:], rows[:-1])

    def test_reading_again_with_another_choice_changes_nothing_that_is_stored(self):
        for first in ("full", "prefix", "hmac", "none"):
            self.server = self.start_server(database=self.dir / f"{first}.db")
            self.read(first, server=self.server)
            peers, sessions = self.peers(), self.sessions()
            for again in ("full", "prefix", "hmac", "none"):
                self.read(again, server=self.server)
                self.assertEqual(self.peers(), peers, f"{first}, then {again}")
                self.assertEqual(self.sessions(), sessions, f"{first}, then {again}")
                self.assertEqual(self.exceptions(), {}, f"{first}, then {again}")
            self.assertEqual(database.audit(self.server.database), [])

    def test_what_is_logged_after_a_change_is_told_by_the_new_choice(self):
        state = self.dir / "state"
        for detail, pid in (("full", 201), ("none", 202), ("prefix", 203)):
            self.write(self.log, session_lines("2026-11-02T11:00:00+00:00", pid))
            self.read_once(self.server, "mx1", self.log, options=("--peer-detail", detail),
                           state_dir=state)
        peers = self.peers()
        self.assertEqual(peers["postfix/smtpd[201]"], (ADDRESS, NAME))
        self.assertEqual(peers["postfix/smtpd[202]"], ("", ""))
        self.assertEqual(peers["postfix/smtpd[203]"], ("198.51.100.0/24", "zzdomain-name.example"))

    def test_what_stays_on_the_host_is_for_its_user_alone(self):
        """The checkpoint holds open sessions as the log tells them, beside that log."""
        self.read("none")
        checkpoint = self.dir / f"state-{self.runs}" / "checkpoint"
        self.assertIn(b"open-zznever.example", checkpoint.read_bytes())
        self.assertEqual(stat.S_IMODE(checkpoint.stat().st_mode), 0o600)

    # ---- Epochs

    def test_peers_join_within_an_epoch_on_all_hosts(self):
        for host in ("mx1", "mx2"):
            log = self.dir / f"{host}.log"
            self.write(log, session_lines("2026-06-30T23:59:59+00:00", 301, host=host)
                       + session_lines("2026-07-01T00:00:00+00:00", 302, host=host)
                       + session_lines("2026-09-30T23:59:59+00:00", 303, host=host)
                       + session_lines("2026-10-01T00:00:00+00:00", 304, host=host))
            self.read("hmac", log, host)
            peers = self.peers()
            third = (hashed("2026q3", KEY3, ADDRESS), hashed("2026q3", KEY3, NAME))
            fourth = (hashed("2026q4", KEY4, ADDRESS), hashed("2026q4", KEY4, NAME))
            self.assertEqual(peers["postfix/smtpd[301]"], ("", ""))
            self.assertEqual(peers["postfix/smtpd[302]"], third)
            self.assertEqual(peers["postfix/smtpd[303]"], third)
            self.assertEqual(peers["postfix/smtpd[304]"], fourth)

    def test_sighup_brings_the_key_of_a_coming_epoch(self):
        """A fleet's keys are rotated without a restart."""
        agent = self.start_agent(self.server, "mx1", self.log, options=(
            "--peer-detail", "hmac", "--peer-key-file", self.key_file))
        agent.process.wait_for_line("all up to the end is delivered")
        key = b"\x55" * 32
        new_keys = f"{KEYS}2027q1 2027-01-01 {key.hex()}\n"
        self.write_keys(new_keys)
        agent.process.send_signal(signal.SIGHUP)
        agent.process.wait_for_line("reloaded, keys for peers too")
        self.write(self.log, session_lines("2026-12-31T23:59:59+00:00", 501)
                   + session_lines("2027-01-01T00:00:00+00:00", 502))
        self.wait_until(lambda: "postfix/smtpd[502]" in self.peers(), "the session of the new year")
        self.assertEqual(self.peers()["postfix/smtpd[501]"][0], hashed("2026q4", KEY4, ADDRESS))
        self.assertEqual(self.peers()["postfix/smtpd[502]"][0], hashed("2027q1", key, ADDRESS))
        # What would make two records of one session changes nothing.
        self.write_keys(new_keys.replace(key.hex(), "66" * 32))
        agent.process.send_signal(signal.SIGHUP)
        agent.process.wait_for_line("not reloaded: peer keys: expected the key of epoch 2027q1 as it "
                                    "was, found another; give a new key a new name")
        self.write_keys("not a key\n")
        agent.process.send_signal(signal.SIGHUP)
        agent.process.wait_for_line(rf"not reloaded: --peer-key-file: {self.key_file}:1: ")
        self.write(self.log, session_lines("2027-01-01T00:00:09+00:00", 503))
        self.wait_until(lambda: "postfix/smtpd[503]" in self.peers(), "one more session")
        self.assertEqual(self.peers()["postfix/smtpd[503]"][0], hashed("2027q1", key, ADDRESS))
        # A session of November that nobody ended.
        self.assertEqual(self.exceptions(), {"evicted_sessions": 1})

    def test_key_file_that_others_can_read_is_refused(self):
        self.key_file.chmod(0o644)
        self.refused(rf"--peer-key-file: {self.key_file}: expected mode 0640 or stricter, found 0644")

    def test_key_file_with_a_wrong_line_is_refused(self):
        self.write_keys(KEYS + "2027q1 2027-01-01 abc\n")
        self.refused(rf"--peer-key-file: {self.key_file}:3: key: expected 64 hexadecimal digits, found 3 characters")

    def test_key_file_that_is_not_there_is_refused(self):
        self.key_file.unlink()
        self.refused(rf"--peer-key-file: open {self.key_file}: No such file")

    def refused(self, message):
        agent = self.start_agent(self.recorder, "mx1", self.log, options=(
            "--once", "--peer-detail", "hmac", "--peer-key-file", self.key_file))
        agent.process.wait_for_line(message)
        self.assertEqual(agent.wait(), 2)
        self.assertEqual(self.recorder.connections(), [])


if __name__ == "__main__":
    harness.main()
