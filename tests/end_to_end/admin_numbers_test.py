"""The admin's figures for one day of one host, by every way there is to ask."""

import hashlib
import json
import os
import pty
import re
import signal
import subprocess
import sys

import harness

LOG = harness.TESTDATA / "maillog-20131103"
FAILED_LOG = harness.TESTDATA / "maillog-failed-20131103"
SHA256 = {
    LOG: "7a551a632946b84ac39547c3477386b72c17735e8030ff6baeed2abbcb9c7136",
    FAILED_LOG: "a8bb2e51f2b42ac55ee9bb5c612ef4ec771189c7aa0618014725dd376be50371",
}
MONITOR = ("--exclude-peer", "192.0.2.250")
UTC = ("--time-zone", "UTC")
WINDOW = "2013-11-02T04:00Z/2013-11-03T05:00Z"

CIPHERS = [("AES256-SHA", "TLS_RSA_WITH_AES_256_CBC_SHA", 300),
           ("ADH-AES256-SHA", "TLS_DH_anon_WITH_AES_256_CBC_SHA", 170),
           ("RC4-SHA", "TLS_RSA_WITH_RC4_128_SHA", 134),
           ("AES128-SHA", "TLS_RSA_WITH_AES_128_CBC_SHA", 18),
           ("RC4-MD5", "TLS_RSA_WITH_RC4_128_MD5", 6)]
# The log says nothing of the other 513 TLS sessions' protocol and cipher.
SUMMARIES = 628


def pipeline(command):
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    return done.stdout


class SampleLogTest(harness.EndToEndTest):
    """The sample is what it says it is."""

    def test_generator_writes_the_committed_logs(self):
        self.run_program([sys.executable, "-B", harness.TESTDATA / "make_admin_log.py", self.dir])
        for log, expected in SHA256.items():
            self.assertEqual(hashlib.sha256(log.read_bytes()).hexdigest(), expected, log)
            self.assertEqual((self.dir / log.name).read_bytes(), log.read_bytes(), log)

    def test_an_admins_greps_find_the_figures(self):
        connections = pipeline(f"grep 'postfix/smtpd' {LOG} | grep ' connect from ' | grep -vF '[192.0.2.250]' | wc -l")
        self.assertEqual(int(connections), 5927)
        self.assertEqual(int(pipeline(f"grep -c 'setting up TLS connection' {LOG}")), 1141)
        ciphers = pipeline(f"grep 'TLS connection established' {LOG} | sed 's/.*with cipher \\([^ ]*\\).*/\\1/' "
                           "| sort | uniq -c | sort -rn")
        self.assertEqual([tuple(line.split()) for line in ciphers.splitlines()],
                         [(str(count), cipher) for cipher, _, count in CIPHERS])


class ScanTest(harness.EndToEndTest):
    def test_json_report(self):
        report = self.scan_json(*MONITOR, *UTC, LOG)
        inbound = report["inbound"]
        self.assertEqual(inbound["sessions"], 5927)
        self.assertEqual(inbound["tls_sessions"], 1141)
        self.assertEqual(inbound["plaintext_sessions"], 4786)
        self.assertEqual(inbound["failed_handshakes"], 0)
        self.assertEqual(inbound["unknown_sessions"], 0)
        self.assertEqual(inbound["open_sessions"], 0)
        self.assertEqual(inbound["tls_share"], 0.19251)
        self.assertEqual(inbound["messages"], 1192)
        self.assertEqual(inbound["tls_messages"], 745)
        self.assertEqual(inbound["message_tls_share"], 0.625)
        self.assertEqual(inbound["by_service"], [{"service": "smtpd", "sessions": 5927, "tls_sessions": 1141}])
        self.assertEqual(inbound["by_protocol"], [{"protocol": "TLSv1", "sessions": SUMMARIES}])
        self.assertEqual([(row["cipher"], row["iana"], row["sessions"]) for row in inbound["by_cipher"]], CIPHERS)
        self.assertEqual({row["peer_class"]: row["sessions"] for row in inbound["by_peer_class"]},
                         {"EXTERNAL": 5927, "EXCLUDED": 300})
        lines = report["lines"]
        self.assertEqual(lines["read"], LOG.read_text().count("\n"))
        self.assertEqual(lines["read"], lines["parsed"] + lines["ignored"])
        self.assertEqual((lines["unrecognized"], lines["oversized"]), (0, 0))
        # The year comes from the file's name, not from its modification time.
        self.assertEqual(report["window"]["start"], "2013-11-02T04:02:01Z")

    def test_table_shows_the_same(self):
        table = self.scan(*MONITOR, *UTC, LOG).stdout
        for pattern in [r"\b5927\b", r"\b1141\b", r"\b19\.2\d* ?%", r"smtpd\b.*\b5927\b", r"TLSv1\b.*\b628\b"]:
            self.assertRegex(table, pattern)
        order = [table.index(cipher) for cipher, _, _ in CIPHERS]
        self.assertEqual(order, sorted(order), "most frequent first")
        for cipher, _, count in CIPHERS:
            self.assertRegex(table, rf"(?<![\w-]){cipher}\b.*\b{count}\b")

    def test_csv_is_one_table(self):
        rows = self.scan("--format", "csv", *MONITOR, *UTC, LOG).stdout.splitlines()
        self.assertEqual({row.count(",") for row in rows}, {rows[0].count(",")})

    def test_without_exclusions_the_monitoring_host_counts(self):
        self.assertEqual(self.scan_json(*UTC, LOG)["inbound"]["sessions"], 6227)

    def test_only_the_excluded(self):
        inbound = self.scan_json(*MONITOR, *UTC, "--peer-class", "excluded", LOG)["inbound"]
        self.assertEqual((inbound["sessions"], inbound["tls_sessions"]), (300, 0))

    def test_session_records_one_a_line(self):
        lines = self.scan("--sessions", *MONITOR, *UTC, LOG).stdout.splitlines()
        by_direction = {}
        for record in (json.loads(line) for line in lines):
            by_direction.setdefault(record["direction"], []).append(record)
        self.assertEqual({direction: len(of) for direction, of in by_direction.items()},
                         {"DIRECTION_INBOUND": 5927, "DIRECTION_OUTBOUND": 1192})
        records = by_direction["DIRECTION_INBOUND"]
        self.assertEqual(len({json.dumps(record["key"], sort_keys=True) for record in records}), 5927)
        self.assertEqual(sum(record["tls"]["state"] == "TLS_STATE_ESTABLISHED" for record in records), 1141)

    def test_standard_input_reads_as_the_file_does(self):
        with open(LOG, encoding="ascii") as log:
            done = subprocess.run([harness.agent_binary(), "scan", "--format", "json", *MONITOR, *UTC,
                                   "--reference-time", "2013-11-03T05:00:00Z", "-"],
                                  stdin=log, capture_output=True, text=True, check=True)
        self.assertEqual(json.loads(done.stdout), self.scan_json(*MONITOR, *UTC, LOG))

    def test_failed_handshakes_are_neither_tls_nor_plaintext(self):
        inbound = self.scan_json(*UTC, FAILED_LOG)["inbound"]
        self.assertEqual(inbound["sessions"], 400)
        self.assertEqual(inbound["tls_sessions"], 100)
        self.assertEqual(inbound["failed_handshakes"], 40)
        self.assertEqual(inbound["plaintext_sessions"], 260)
        self.assertEqual(inbound["tls_share"], 0.25)
        self.assertEqual((inbound["messages"], inbound["tls_messages"]), (83, 64))
        self.assertEqual({row["cipher"]: row["sessions"] for row in inbound["by_cipher"]},
                         {"AES256-SHA": 60, "RC4-SHA": 20})

    def test_bad_usage_and_unreadable_input(self):
        self.assertEqual(self.scan("--format", "xml", LOG, check=False).returncode, 2)
        self.assertEqual(self.scan("--no-such-option", LOG, check=False).returncode, 2)
        done = self.scan("--format", "json", *MONITOR, *UTC, self.dir / "missing", LOG, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("missing", done.stderr)
        self.assertEqual(json.loads(done.stdout)["inbound"]["sessions"], 5927, "the readable rest is reported")


class ServerTest(harness.EndToEndTest):
    """Agent to server gives what scan gives."""

    def test_figures_by_grpcurl(self):
        server = self.start_server()
        self.read_once(server, "mx1", LOG, options=[*MONITOR, *UTC])

        total = server.total(window=WINDOW)
        self.assertEqual(total["sessions"], 5927)
        self.assertEqual(total["tlsSessions"], 1141)
        self.assertEqual(total["plaintextSessions"], 4786)
        self.assertEqual((total["failedHandshakes"], total["unknownSessions"]), (0, 0))
        self.assertAlmostEqual(total["tlsShare"], 1141 / 5927, places=9)
        self.assertEqual((total["messages"], total["tlsMessages"]), (1192, 745))

        answer = server.stats(window=WINDOW, group_by=["cipher"], filter={"tls_states": ["ESTABLISHED"]})
        ciphers = {row["labels"].get("cipher"): (row["labels"].get("cipherIana"), int(row["sessions"]))
                   for row in answer["rows"]}
        self.assertEqual(ciphers.pop(""), (None, 1141 - SUMMARIES))
        self.assertEqual(ciphers, {cipher: (iana, count) for cipher, iana, count in CIPHERS})
        self.assertEqual(harness.left_out(server.stats(window=WINDOW)), {"LOOPBACK": 0, "EXCLUDED": 300})

        answer = server.stats(window=WINDOW, group_by=["host", "service", "protocol"],
                              filter={"protocols": ["TLSv1"]})
        self.assertEqual([row["labels"] for row in answer["rows"]],
                         [{"host": "mx1", "service": "smtpd", "protocol": "TLSv1"}])
        self.assertEqual(int(answer["rows"][0]["sessions"]), SUMMARIES)

    def test_reading_again_changes_nothing(self):
        server = self.start_server()
        self.read_once(server, "mx1", LOG, options=[*MONITOR, *UTC])
        before = server.stats(window=WINDOW, group_by=["cipher"])
        self.read_once(server, "mx1", LOG, options=[*MONITOR, *UTC], state_dir=self.dir / "lost-and-new")
        after = server.stats(window=WINDOW, group_by=["cipher"])
        self.assertEqual(after["rows"], before["rows"])
        self.assertEqual(after["total"], before["total"])

    def test_failed_handshakes(self):
        server = self.start_server()
        self.read_once(server, "mx2", FAILED_LOG, options=UTC)
        total = server.total(window=WINDOW)
        self.assertEqual([total[name] for name in
                          ["sessions", "tlsSessions", "failedHandshakes", "plaintextSessions"]], [400, 100, 40, 260])
        self.assertEqual(total["tlsShare"], 0.25)


class QuickstartTest(harness.EndToEndTest):
    def setUp(self):
        super().setUp()
        self.environment = {
            **os.environ,
            "MXTALLY_TEST_SERVER": harness.server_binary(),
            "MXTALLY_TEST_AGENT": harness.agent_binary(),
            "GRPCURL": harness.grpcurl_binary(),
            "MXTALLY_QUICKSTART_DIR": str(self.dir / "quickstart"),
        }
        self.command = [str(harness.ROOT / "deploy/quickstart")]

    def test_once_prints_the_report_and_stops(self):
        done = self.run_program([*self.command, "--once", *MONITOR, LOG], env=self.environment)
        for pattern in [r"\b5927\b", r"\b1141\b", r"AES256-SHA\b.*\b300\b", r"counts the same: 5927 sessions, 1141 of"]:
            self.assertRegex(done.stdout, pattern)
        self.assertIn(f'"window":"{WINDOW}"', done.stdout)
        self.assertRegex(done.stdout, r"to ask it again:\n\n  .*mxtally-server --database sqlite:")

    def test_several_logs_and_a_log_of_nothing(self):
        done = self.run_program([*self.command, *MONITOR, LOG, FAILED_LOG], env=self.environment)
        self.assertIn("counts the same: 6327 sessions, 1241 of them TLS, 40 failed handshakes", done.stdout)
        nothing = self.dir / "mail.log"
        nothing.write_text("no log line\n")
        done = self.run_program([*self.command, nothing], env=self.environment)
        self.assertIn("counts the same: 0 sessions", done.stdout)
        self.assertIn('{"window":"24h","group_by":["cipher"]}', done.stdout)

    def test_loopback_sessions_are_asked_for_by_class(self):
        log = self.dir / "mail.log"
        log.write_text("Nov  2 04:02:01 mx1 postfix/smtpd[9]: connect from localhost[127.0.0.1]\n"
                       "Nov  2 04:02:01 mx1 postfix/smtpd[9]: disconnect from localhost[127.0.0.1]\n")
        done = self.run_program([*self.command, log], env=self.environment)
        self.assertIn("counts the same: 1 sessions", done.stdout)
        self.assertIn('"filter":{"peer_classes":["all"]}', done.stdout)

    def test_on_a_terminal_it_follows_until_ctrl_c(self):
        log = self.dir / "maillog-20131103"
        log.write_bytes(LOG.read_bytes())
        terminal, its_side = pty.openpty()
        self.addCleanup(os.close, terminal)
        process = subprocess.Popen([*self.command, *MONITOR, str(log)], env=self.environment,
                                   stdin=subprocess.DEVNULL, stdout=its_side, stderr=subprocess.STDOUT,
                                   start_new_session=True)
        os.close(its_side)
        self.addCleanup(process.wait)
        self.addCleanup(lambda: process.poll() is None and os.killpg(process.pid, signal.SIGKILL))
        output = ""

        def read_until(text):
            nonlocal output
            while text not in output:
                try:
                    part = os.read(terminal, 4096).decode()
                except OSError:  # The other side is closed.
                    part = ""
                if not part:
                    self.fail(f"ended without {text!r}:\n{output}")
                output += part

        read_until("Ctrl-C ends")
        line = re.search(r"^  (\S*grpcurl -plaintext -d '.*' .*GetTlsStats)\r?$", output, re.MULTILINE)
        self.assertTrue(line, output)

        def sessions():
            return int(json.loads(pipeline(line[1]))["total"]["sessions"])

        self.assertEqual(sessions(), 5927)
        with open(log, "a", encoding="ascii") as more:
            more.write("Nov  3 04:30:00 mx1 postfix/smtpd[9]: connect from unknown[198.51.100.1]\n"
                       "Nov  3 04:30:01 mx1 postfix/smtpd[9]: disconnect from unknown[198.51.100.1]\n")
        self.wait_until(lambda: sessions() == 5928, "the new session is counted")
        os.killpg(process.pid, signal.SIGINT)
        read_until("to ask it again")
        self.assertEqual(process.wait(harness.PATIENCE_SECONDS), 0)

    def test_help_and_bad_usage(self):
        self.assertIn("--exclude-peer", self.run_program([*self.command, "--help"]).stdout)
        self.assertEqual(self.run_program([*self.command, "--nonsense"], check=False).returncode, 2)
        done = self.run_program([*self.command, "--once", self.dir / "missing"], check=False)
        self.assertIn("missing: no such file", done.stderr)


if __name__ == "__main__":
    harness.main()
