"""What a real Postfix logs about scripted clients, against what the clients saw.

Each session is found again by its client's port, one row for each client.
Postfix needs root: started by another user, the test starts itself again with
sudo, which must not ask for a password then.
"""

import collections
import json
import warnings

import harness
import postfix_instance
import smtp_clients

UTC = ("--time-zone", "UTC")
ROUNDS = 5  # times the 49 sessions of one round


def rsyslog_file_format(text, year):
    """The lines as rsyslog's RSYSLOG_FileFormat writes them: stamps in RFC 3339
    with microseconds and offset; those are made up, growing within a second."""
    months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
    lines, second, micros = [], None, 0
    for line in text.splitlines():
        month, day, time, rest = line.split(" ", 3)
        micros = micros + 17 if (month, day, time) == second else 1
        second = (month, day, time)
        lines.append(f"{year}-{months.index(month) + 1:02}-{day}T{time}.{micros:06}+00:00 {rest}\n")
    return "".join(lines)


class RealPostfixTest(harness.EndToEndTest):
    def setUp(self):
        super().setUp()
        warnings.simplefilter("ignore", DeprecationWarning)  # Old TLS is what we test.

    def check(self, tls_loglevel):
        postfix = postfix_instance.Postfix(self, self.dir / "postfix", tls_loglevel)
        server = self.start_server()
        # The live log, while the sessions take place.
        agent = self.start_agent(server, "mx1", postfix.log, options=UTC)
        seen = smtp_clients.Crowd(postfix.ports).run(ROUNDS)
        self.assertGreaterEqual(len(seen), 200)
        postfix.wait_for_end_of_sessions(len(seen))
        postfix.stop()

        self.check_records(postfix.log, seen, tls_loglevel)
        self.check_totals(server, seen)
        self.assertEqual(agent.stop(), 0)
        self.check_rfc3339(server, postfix.log, seen, tls_loglevel)

    def check_records(self, log, seen, tls_loglevel):
        """Every client's session has one record, and it says what the client saw."""
        lines = self.scan("--sessions", "--peer-class", "all", *UTC, log).stdout.splitlines()
        records = collections.defaultdict(list)
        for record in map(json.loads, lines):
            records[record["peer"]["port"]].append(record)
        self.assertEqual(len(lines), len(seen))
        for client in seen:
            found = records.pop(client.port, [])
            self.assertEqual(len(found), 1, client)
            with self.subTest(client=client):
                self.check_record(found[0], client, tls_loglevel)
        self.assertEqual(records, {})

        report = self.scan_json("--peer-class", "all", *UTC, log)
        self.assertEqual(report["lines"]["unrecognized"], 0)
        self.assertEqual(report["inbound"]["open_sessions"], 0)

    def check_record(self, record, client, tls_loglevel):
        tls = record["tls"]
        self.assertEqual(record["direction"], "DIRECTION_INBOUND")
        self.assertEqual(record["service"], client.service)
        self.assertEqual(record["peerClass"], "PEER_CLASS_LOOPBACK")
        self.assertEqual(record["peer"]["address"], "127.0.0.1")
        self.assertEqual(record["peer"]["name"], "localhost")
        self.assertEqual(tls["state"], "TLS_STATE_" + client.state)
        self.assertEqual(record.get("messages", 0), client.messages)
        self.assertEqual(record.get("rejects", 0), client.refused)
        if client.end:
            self.assertEqual(record["endReason"], "END_REASON_" + client.end)
        if client.state == "FAILED":
            self.assertIn(tls["failure"].removeprefix("TLS_FAILURE_"), client.failure)
        if client.state == "PLAINTEXT":
            self.assertEqual(tls["evidence"], "TLS_EVIDENCE_STARTTLS_COUNTER")
        self.assertNotIn("@", json.dumps(record))

        if tls_loglevel == 0:
            self.assertEqual((tls.get("protocol", ""), tls.get("cipher", "")), ("", ""))
            if client.state == "ESTABLISHED":
                wrapper = client.service == "smtps"
                self.assertEqual(tls["evidence"],
                                 "TLS_EVIDENCE_IMPLICIT_TLS" if wrapper else "TLS_EVIDENCE_STARTTLS_COUNTER")
            return
        self.assertEqual((tls.get("protocol", ""), tls.get("cipher", "")), (client.protocol, client.cipher))
        if client.state == "ESTABLISHED":
            self.assertEqual(tls["evidence"], "TLS_EVIDENCE_HANDSHAKE_LINE")
            self.assertEqual(tls["trust"], "TLS_TRUST_ANONYMOUS")
            self.assertTrue(tls["cipherIana"].startswith("TLS_"))
        if client.protocol == "TLSv1.3":
            self.assertEqual(tls["handshake"], "TLS_HANDSHAKE_RESUMED" if client.resumed else "TLS_HANDSHAKE_NEW")
            self.assertTrue(tls["kexGroup"])

    def check_totals(self, server, seen):
        """The server counts the live sessions; none is external."""
        everyone = {"peer_classes": ["all"]}
        self.wait_until(lambda: server.total(filter=everyone)["sessions"] >= len(seen), "all sessions are stored")
        total = server.total(filter=everyone)
        states = collections.Counter(client.state for client in seen)
        self.assertEqual(total["sessions"], len(seen))
        self.assertEqual(total["tlsSessions"], states["ESTABLISHED"])
        self.assertEqual(total["plaintextSessions"], states["PLAINTEXT"])
        self.assertEqual(total["failedHandshakes"], states["FAILED"])
        self.assertEqual(total["messages"], sum(client.messages for client in seen))
        self.assertEqual(total["tlsMessages"], sum(client.messages for client in seen if client.state == "ESTABLISHED"))
        answer = server.stats(filter=everyone, group_by=["service"])
        self.assertEqual({row["labels"]["service"]: int(row["sessions"]) for row in answer["rows"]},
                         collections.Counter(client.service for client in seen))

        answer = server.stats()
        self.assertEqual(int(answer["total"]["sessions"]), 0)
        self.assertEqual(harness.left_out(answer), {"LOOPBACK": len(seen), "EXCLUDED": 0})

    def check_rfc3339(self, server, log, seen, tls_loglevel):
        """The same day as rsyslog writes it, read as another host's log."""
        text = log.read_text(errors="surrogateescape")
        year = json.loads(self.scan("--format", "json", *UTC, log).stdout)["window"]["start"][:4]
        converted = self.dir / "mail.log"
        converted.write_text(rsyslog_file_format(text, year), errors="surrogateescape")
        self.check_records(converted, seen, tls_loglevel)
        self.read_once(server, "mx1-rsyslog", converted)
        total = server.total(filter={"peer_classes": ["all"], "hosts": ["mx1-rsyslog"]})
        self.assertEqual(total["sessions"], len(seen))

    def test_sessions_with_tls_lines(self):
        self.check(tls_loglevel=1)

    def test_sessions_without_tls_lines(self):
        self.check(tls_loglevel=0)


if __name__ == "__main__":
    harness.main_as_root()
