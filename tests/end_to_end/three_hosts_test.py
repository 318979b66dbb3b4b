"""A small fleet: one host of every kind of session, one whose log cannot show
TLS, one that is quiet; and what the server says of them.

The logs are made from a list of sessions, so that what each query must answer
is counted from the same list.
"""

import collections
import dataclasses
import datetime
import itertools
import json

import harness

UTC = datetime.timezone.utc
LABELS = ["host", "service", "direction", "peer_class", "protocol", "cipher", "kex_group", "signature",
          "trust", "tls_state", "evidence", "handshake"]
MONITOR = "192.0.2.250"

SUMMARY_13 = ("Anonymous TLS connection established from {peer}: TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 "
              "(256/256 bits) key-exchange X25519 server-signature RSA-PSS (2048 bits)")
SUMMARY_12 = ("Untrusted TLS connection established from {peer}: TLSv1.2 with cipher "
              "ECDHE-RSA-AES128-GCM-SHA256 (128/128 bits)")
NEWEST = {"protocol": "TLSv1.3", "cipher": "TLS_AES_256_GCM_SHA384", "kex_group": "x25519", "signature": "RSA-PSS",
          "trust": "ANONYMOUS", "tls_state": "ESTABLISHED", "evidence": "HANDSHAKE_LINE"}

# Kind of session -> lines between connect and disconnect, counters, labels.
KINDS = {
    "newest": ([SUMMARY_13 + " server-digest SHA256"], "ehlo=2 starttls=1 mail=1 rcpt=1 data=1 quit=1 commands=7",
               {**NEWEST, "handshake": "NEW"}, 1),
    "resumed": ([SUMMARY_13], "ehlo=2 starttls=1 mail=2 rcpt=2 data=2 quit=1 commands=10",
                {**NEWEST, "handshake": "RESUMED"}, 2),
    "older": ([SUMMARY_12], "ehlo=2 starttls=1 quit=1 commands=4",
              {"protocol": "TLSv1.2", "cipher": "ECDHE-RSA-AES128-GCM-SHA256", "trust": "UNTRUSTED",
               "tls_state": "ESTABLISHED", "evidence": "HANDSHAKE_LINE"}, 0),
    "counter": ([], "ehlo=2 starttls=1 mail=1 rcpt=1 data=1 quit=1 commands=7",
                {"tls_state": "ESTABLISHED", "evidence": "STARTTLS_COUNTER"}, 1),
    "plain": ([], "ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5",
              {"tls_state": "PLAINTEXT", "evidence": "STARTTLS_COUNTER"}, 1),
    "failed": (["SSL_accept error from {peer}: -1",
                "warning: TLS library problem: error:0A000102:SSL routines::unsupported protocol:"
                "../ssl/statem/statem_srvr.c:1657:",
                "lost connection after STARTTLS from {peer}"], "ehlo=1 starttls=0/1 commands=1/2",
               {"tls_state": "FAILED", "evidence": "HANDSHAKE_LINE"}, 0),
    "aborted": (["lost connection after STARTTLS from {peer}"], "ehlo=1 starttls=0/1 commands=1/2",
                {"tls_state": "FAILED", "evidence": "STARTTLS_COUNTER"}, 0),
    "implicit": ([], "ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5",
                 {"tls_state": "ESTABLISHED", "evidence": "IMPLICIT_TLS"}, 1),
    # The next session of the process begins before an end was logged.
    "cut off": ([], None, {"tls_state": "UNKNOWN", "evidence": ""}, 0),
    # Postfix 2.x: no counters.
    "bare": ([], "", {"tls_state": "PLAINTEXT", "evidence": "NO_TLS_LINE"}, 0),
}


@dataclasses.dataclass
class Session:
    host: str
    start: datetime.datetime
    kind: str
    service: str
    peer: str
    peer_class: str = "EXTERNAL"

    @property
    def labels(self):
        fixed = {"host": self.host, "service": self.service, "direction": "INBOUND", "peer_class": self.peer_class}
        return {label: {**fixed, **KINDS[self.kind][2]}.get(label, "") for label in LABELS}

    @property
    def state(self):
        return self.labels["tls_state"]

    @property
    def messages(self):
        return KINDS[self.kind][3]

    def lines(self):
        program = "smtpd" if self.service == "smtpd" else f"{self.service}/smtpd"
        between, counters, _, _ = KINDS[self.kind]
        texts = [f"connect from {self.peer}", *(text.format(peer=self.peer) for text in between)]
        if counters is not None:
            texts.append(f"disconnect from {self.peer} {counters}".rstrip())
        return [f"{line(self.start + datetime.timedelta(milliseconds=100 * index), self.host)} "
                f"postfix/{program}[{100 + len(self.service)}]: {text}\n" for index, text in enumerate(texts)]


def line(stamp, host):
    return f"{stamp:%Y-%m-%dT%H:%M:%S.%f}+00:00 {host}"


def make_sessions(first_hour):
    """Three hours of mx1 and mx2."""
    plan = [
        # hour, host, service, kind, how many
        (0, "mx1", "smtpd", "newest", 7), (0, "mx1", "smtpd", "plain", 5), (0, "mx1", "smtpd", "older", 3),
        (0, "mx1", "submission", "counter", 2), (1, "mx1", "smtps", "implicit", 4), (1, "mx1", "smtpd", "resumed", 2),
        (1, "mx1", "smtpd", "failed", 3), (1, "mx1", "smtpd", "cut off", 1), (1, "mx1", "smtpd", "plain", 6),
        (2, "mx1", "smtpd", "aborted", 1), (2, "mx1", "submission", "newest", 8), (2, "mx1", "smtpd", "plain", 1),
        (0, "mx2", "smtpd", "bare", 9), (2, "mx2", "smtpd", "bare", 4),
    ]
    sessions, clock = [], collections.Counter()
    for hour, host, service, kind, count in plan:
        for number in range(count):
            clock[host, hour] += 5
            start = first_hour + datetime.timedelta(hours=hour, seconds=clock[host, hour])
            sessions.append(Session(host, start, kind, service, f"out{number}.example.net[198.51.100.{number + 1}]"))
    for number, (peer, peer_class) in enumerate([("localhost[127.0.0.1]", "LOOPBACK"),
                                                 (f"monitor.example.com[{MONITOR}]", "EXCLUDED")] * 3):
        start = first_hour + datetime.timedelta(minutes=30, seconds=number)
        sessions.append(Session("mx1", start, "plain", "smtpd", peer, peer_class))
    return sorted(sessions, key=lambda session: session.start)


def counts(sessions):
    """The figures that a row over these sessions must show."""
    states = collections.Counter(session.state for session in sessions)
    known = len(sessions) - states["UNKNOWN"]
    messages = sum(session.messages for session in sessions)
    over_tls = sum(session.messages for session in sessions if session.state == "ESTABLISHED")
    row = {"sessions": len(sessions), "tlsSessions": states["ESTABLISHED"],
           "plaintextSessions": states["PLAINTEXT"], "failedHandshakes": states["FAILED"],
           "unknownSessions": states["UNKNOWN"], "messages": messages, "tlsMessages": over_tls, "unknownMessages": 0}
    if known:
        row["tlsShare"] = states["ESTABLISHED"] / known
    if messages:
        row["messageTlsShare"] = over_tls / messages
    return row


class FleetTest(harness.EndToEndTest):
    def setUp(self):
        super().setUp()
        now = datetime.datetime.now(UTC)
        self.first_hour = now.replace(minute=0, second=0, microsecond=0) - datetime.timedelta(hours=3)
        self.sessions = make_sessions(self.first_hour)
        self.external = [session for session in self.sessions if session.peer_class == "EXTERNAL"]
        self.logs = {host: self.dir / host / "mail.log" for host in ("mx1", "mx2", "mx3")}
        for host, log in self.logs.items():
            log.parent.mkdir()
            # Other programs write before and after; mx3 has nothing else.
            log.write_text(self.other_line(self.first_hour, host)
                           + "".join(text for session in self.sessions if session.host == host
                                     for text in session.lines())
                           + self.other_line(now, host))
        self.server = self.start_server()

    @staticmethod
    def other_line(stamp, host):
        return f"{line(stamp, host)} dovecot: imap-login: Aborted login\n"

    def start_agents(self):
        self.agents = {host: self.start_agent(self.server, host, log, options=["--exclude-peer", MONITOR])
                       for host, log in self.logs.items()}
        self.wait_until(lambda: self.completeness().get("hostsReporting") == "3", "three hosts report")

    def completeness(self, **request):
        return self.server.stats(**request)["completeness"]

    def assert_row(self, row, sessions):
        expected = counts(sessions)
        found = harness.figures(row)
        found.pop("bucketStart", None)
        for share in ("tlsShare", "messageTlsShare"):
            self.assertAlmostEqual(found.pop(share, -1), expected.pop(share, -1), places=9)
        self.assertEqual(found, expected)

    def assert_groups(self, answer, group_by, sessions):
        """The answer's rows are those of `sessions` grouped by these labels."""
        groups = collections.defaultdict(list)
        for session in sessions:
            groups[tuple(session.labels[label] for label in group_by)].append(session)
        rows = answer.get("rows", [])
        for row in rows:
            key = tuple(row["labels"][harness.camel(label)] for label in group_by)
            self.assertIn(key, groups)
            self.assert_row(row, groups.pop(key))
        self.assertEqual(dict(groups), {}, "every group has its row")
        self.assert_row(answer["total"], sessions)


class QueriesTest(FleetTest):
    """One server, read once, for all that a query can ask."""

    def setUp(self):
        super().setUp()
        for host, log in self.logs.items():
            self.read_once(self.server, host, log, options=["--exclude-peer", MONITOR])

    def test_every_query(self):
        for check in (self.empty_request, self.every_group, self.pairs_of_groups, self.every_filter, self.buckets,
                      self.order_and_limit, self.windows, self.wrong_names, self.zero_and_false):
            with self.subTest(check.__name__):
                check()

    def empty_request(self):
        answer = self.server.call(harness.STATS)
        self.assertEqual(len(answer["rows"]), 1)
        self.assert_row(answer["total"], self.external)
        self.assert_row(answer["rows"][0], self.external)
        self.assertEqual(harness.left_out(answer), {"LOOPBACK": 3, "EXCLUDED": 3})

    def every_group(self):
        for label in LABELS:
            with self.subTest(group_by=label):
                self.assert_groups(self.server.stats(group_by=[label]), [label], self.external)
        answer = self.server.stats(group_by=LABELS, filter={"peer_classes": ["all"]})
        self.assert_groups(answer, LABELS, self.sessions)

    def pairs_of_groups(self):
        for pair in itertools.combinations(["host", "service", "tls_state", "cipher", "peer_class"], 2):
            with self.subTest(group_by=pair):
                answer = self.server.stats(group_by=pair, filter={"peer_classes": ["all"]})
                self.assert_groups(answer, pair, self.sessions)

    def every_filter(self):
        fields = {"host": "hosts", "service": "services", "direction": "directions", "peer_class": "peer_classes",
                  "protocol": "protocols", "cipher": "ciphers", "kex_group": "kex_groups", "signature": "signatures",
                  "trust": "trusts", "tls_state": "tls_states", "evidence": "evidences", "handshake": "handshakes"}
        for label, field in fields.items():
            for value in sorted({session.labels[label] for session in self.sessions} - {""}):
                for spelling in {value, value.lower()}:
                    with self.subTest(field=field, value=spelling):
                        answer = self.server.stats(filter={"peer_classes": ["all"], field: [spelling]})
                        self.assert_row(answer["total"],
                                        [session for session in self.sessions if session.labels[label] == value])
        # By the registered name too, and several at a time.
        answer = self.server.stats(filter={"ciphers": ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"]})
        self.assert_row(answer["total"], [session for session in self.external if session.kind == "older"])
        answer = self.server.stats(group_by=["service"],
                                   filter={"hosts": ["mx1"], "services": ["smtpd", "smtps"],
                                           "tls_states": ["ESTABLISHED", "FAILED"]})
        self.assert_groups(answer, ["service"],
                           [session for session in self.external if session.host == "mx1"
                            and session.service in ("smtpd", "smtps") and session.state in ("ESTABLISHED", "FAILED")])

    def buckets(self):
        for bucket, hours in [("hour", 1), ("3h", 3), ("day", 24)]:
            with self.subTest(bucket=bucket):
                def start_of(stamp, hours=hours):
                    return stamp.replace(hour=stamp.hour // hours * hours, minute=0, second=0, microsecond=0)

                expected = collections.defaultdict(list)
                for session in self.external:
                    expected[start_of(session.start)].append(session)
                answer = self.server.stats(window="2d", bucket=bucket)
                rows = {datetime.datetime.fromisoformat(row["bucketStart"].replace("Z", "+00:00")): row
                        for row in answer["rows"] if row["sessions"] != "0"}
                self.assertEqual(sorted(rows), sorted(expected))
                for start, sessions in expected.items():
                    self.assert_row(rows[start], sessions)
        # Days of another zone.
        answer = self.server.stats(window="3d", bucket="day", time_zone="+05:00")
        self.assertEqual({row["bucketStart"][11:] for row in answer["rows"]}, {"19:00:00Z"})
        self.assert_row(answer["total"], self.external)

    def order_and_limit(self):
        rows = self.server.stats(group_by=["service"])["rows"]
        self.assertEqual([row["labels"]["service"] for row in rows], ["smtpd", "submission", "smtps"])
        rows = self.server.stats(group_by=["service"], order_by=["-service"])["rows"]
        self.assertEqual([row["labels"]["service"] for row in rows], ["submission", "smtps", "smtpd"])
        answer = self.server.stats(group_by=["service"], limit=1)
        self.assertEqual([row["labels"]["service"] for row in answer["rows"]], ["smtpd"])
        self.assertEqual(answer["rowsOmitted"], "2")
        self.assert_row(answer["total"], self.external)

    def windows(self):
        second_hour = self.first_hour + datetime.timedelta(hours=1)
        third_hour = second_hour + datetime.timedelta(hours=1)
        # Widened to whole hours.
        answer = self.server.stats(window=f"{second_hour:%Y-%m-%dT%H:10Z}/{second_hour:%Y-%m-%dT%H:20Z}")
        self.assertEqual(answer["effectiveWindow"],
                         f"{second_hour:%Y-%m-%dT%H:00:00Z}/{third_hour:%Y-%m-%dT%H:00:00Z}")
        self.assert_row(answer["total"], [session for session in self.external
                                          if second_hour <= session.start < third_hour])
        for window in ("24h", "2d", "1w", "1440m"):
            self.assert_row(self.server.stats(window=window)["total"], self.external)
        # An empty answer says where to look.
        answer = self.server.stats(window="2001-01-01T00:00Z/2001-01-02T00:00Z")
        self.assertEqual(answer["total"]["sessions"], "0")
        self.assertNotIn("tlsShare", answer["total"])
        self.assertEqual(answer["newestDataHour"], f"{third_hour:%Y-%m-%dT%H:00:00Z}")

    def wrong_names(self):
        for request, expected in [
                ({"group_by": ["ciper"]}, ["ciper", *LABELS]),
                ({"order_by": ["-sesions"]}, ["sesions", "tls_share"]),
                ({"window": "yesterday"}, ["yesterday", "24h"]),
                ({"bucket": "7h"}, ["7h"]),
                ({"time_zone": "Europe/Atlantis"}, ["Europe/Atlantis"]),
                ({"limit": 10001}, ["10000"]),
                ({"filter": {"tls_states": ["ENCRYPTED"]}}, ["ENCRYPTED", "ESTABLISHED", "PLAINTEXT"]),
                ({"filter": {"peer_classes": ["internal"]}}, ["internal", "EXTERNAL", "LOOPBACK"])]:
            with self.subTest(request=request):
                code, message = self.server.call_error(harness.STATS, request)
                self.assertEqual(code, "InvalidArgument")
                for word in expected:
                    self.assertIn(word, message.replace(",", "") if word.isdigit() else message)

    def zero_and_false(self):
        answer = self.server.stats(filter={"services": ["no-such"], "hosts": ["mx77"]})
        for field in ("sessions", "tlsSessions", "plaintextSessions", "failedHandshakes", "unknownSessions",
                      "messages", "tlsMessages", "unknownMessages"):
            self.assertEqual(answer["total"][field], "0")
        self.assertEqual(answer["rowsOmitted"], "0")
        self.assertIs(answer["completeness"]["complete"], False)
        self.assertEqual(answer["completeness"]["hostsExpected"], "0")


class CompletenessTest(FleetTest):
    """Hosts that report, are quiet, lag, fall silent and come back."""

    def test_completeness(self):
        self.start_agents()
        with self.subTest("all report"):
            self.all_report()
        with self.subTest("a log that is not there"):
            self.lagging()
        with self.subTest("live sessions"):
            self.live_sessions()
        with self.subTest("silent"):
            self.silent_and_back()

    def all_report(self):
        completeness = self.completeness()
        self.assertEqual(completeness["complete"], True, completeness)
        self.assertEqual((completeness["hostsExpected"], completeness["hostsReporting"]), ("3", "3"))
        self.assertEqual(completeness.get("quietHosts"), ["mx3"])
        for empty in ("laggingHosts", "silentHosts", "gaps", "reasons"):
            self.assertEqual(completeness.get(empty, []), [])
        self.assertEqual(set(completeness["exceptions"].values()), {"0"})
        self.assertEqual([(finding["host"], finding["finding"]) for finding in completeness["findings"]],
                         [("mx2", "TLS_NOT_LOGGED")])
        self.assertTrue(completeness["findings"][0]["advice"])
        # Only the hosts asked for.
        completeness = self.completeness(filter={"hosts": ["mx1"]})
        self.assertEqual((completeness["hostsExpected"], completeness.get("findings", [])), ("1", []))
        # A name that no host has is not an idle host.
        self.assertEqual(self.completeness(filter={"hosts": ["mx77"]})["complete"], False)

        # Hellos are written down together with life signs.
        self.wait_until(lambda: all(host["agentVersion"] for host in self.server.hosts().values()), "agents' versions")
        hosts = self.server.hosts()
        self.assertEqual(sorted(hosts), ["mx1", "mx2", "mx3"])
        self.assertEqual(hosts["mx3"]["state"], "HOST_STATE_QUIET")
        for host in hosts.values():
            self.assertEqual(host["connected"], True)
            self.assertLess(host["lagSeconds"], 60)
        self.assertEqual({name: int(host["sessions"]) for name, host in hosts.items()},
                         {"mx1": sum(session.host == "mx1" for session in self.sessions), "mx2": 13, "mx3": 0})

    def lagging(self):
        agent = self.start_agent(self.server, "mx4", self.dir / "mx4" / "mail.log")
        self.wait_until(lambda: self.completeness().get("laggingHosts") == ["mx4"], "mx4 lags")
        completeness = self.completeness()
        self.assertEqual(completeness["complete"], False)
        self.assertIn("mx4", " ".join(completeness["reasons"]))
        self.assertEqual(self.server.hosts()["mx4"]["state"], "HOST_STATE_LAGGING")
        # The log appears.
        (self.dir / "mx4").mkdir(exist_ok=True)
        (self.dir / "mx4" / "mail.log").write_text(self.logs["mx3"].read_text().replace("mx3", "mx4"))
        self.wait_until(lambda: sorted(self.completeness().get("quietHosts", [])) == ["mx3", "mx4"], "mx4 reports")
        self.assertEqual(self.completeness()["complete"], True)
        self.assertEqual(agent.stop(), 0)

    def live_sessions(self):
        now = datetime.datetime.now(UTC)
        session = Session("mx3", now, "newest", "smtpd", "out.example.net[198.51.100.77]")
        with open(self.logs["mx3"], "a", encoding="ascii") as log:
            log.writelines(session.lines())
        self.wait_until(lambda: self.server.total(filter={"hosts": ["mx3"]})["sessions"] == 1, "the session is counted")
        self.wait_until(lambda: self.server.hosts()["mx3"]["state"] == "HOST_STATE_REPORTING", "mx3 is not quiet any more")

    def silent_and_back(self):
        self.agents["mx2"].kill()
        self.wait_until(lambda: self.completeness().get("silentHosts") == ["mx2", "mx4"], "mx2 and mx4 are silent")
        completeness = self.completeness()
        self.assertEqual(completeness["complete"], False)
        self.assertEqual((completeness["hostsExpected"], completeness["hostsReporting"]), ("4", "2"))
        self.assertEqual(self.server.hosts()["mx2"]["state"], "HOST_STATE_SILENT")
        # What was read stays complete.
        past = f"{self.first_hour:%Y-%m-%dT%H:00Z}/{self.first_hour + datetime.timedelta(hours=2):%Y-%m-%dT%H:00Z}"
        completeness = self.completeness(window=past)
        self.assertEqual(completeness["complete"], True, completeness)
        self.agents["mx2"].start()
        self.wait_until(lambda: self.completeness().get("silentHosts") == ["mx4"], "mx2 is back")
        self.assertEqual(self.server.total(filter={"hosts": ["mx2"]})["sessions"], 13)


class FacesTest(harness.EndToEndTest):
    """Reflection, health and HTTP, on an empty server."""

    def test_reflection_lists_and_describes(self):
        server = self.start_server()
        services = server.grpcurl(server.address, "list").stdout.split()
        for service in ("mxtally.v1.StatsService", "mxtally.v1.FleetService", "mxtally.v1.IngestService",
                        "grpc.health.v1.Health"):
            self.assertIn(service, services)
        described = server.grpcurl(server.address, "describe", "mxtally.v1.GetTlsStatsRequest").stdout
        self.assertIn("string window = 1;", described)

    def test_health(self):
        server = self.start_server()
        answer = server.call("grpc.health.v1.Health/Check")
        self.assertEqual(answer, {"status": "SERVING"})

    def test_http(self):
        server = self.start_server()
        self.assertIn("ok", server.http("/healthz"))
        server.http("/readyz")
        metrics = server.http("/metrics")
        self.assertRegex(metrics, r"(?m)^# TYPE mxtally_\w+ (counter|gauge)$")

    def test_no_data_does_not_look_like_no_encryption(self):
        server = self.start_server()
        answer = server.call(harness.STATS)
        self.assertEqual(answer["total"]["sessions"], "0")
        self.assertNotIn("tlsShare", answer["total"])
        self.assertNotIn("newestDataHour", answer)
        self.assertEqual(answer["completeness"]["complete"], False, json.dumps(answer))
        self.assertEqual(server.call(harness.HOSTS).get("hosts", []), [])

    def test_stops_on_sigterm(self):
        self.assertEqual(self.start_server().stop(), 0)


if __name__ == "__main__":
    harness.main()
