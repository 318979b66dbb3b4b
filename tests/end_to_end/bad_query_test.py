"""grpcurl with every wrong argument.

Each is refused with the status code that says whose fault it is, and a message that
names the field, what was expected and what was found.  What grpcurl itself
refuses, because the protocol has no such field or type, it tells in its own words.
"""

import json

import harness
import tls_fleet

STATS = harness.STATS
FLEET = "mxtally.v1.FleetService"
YEARS_100 = "is longer than 100 years"
ONE_SUCH_AS = "expected a duration such as"
LABELS = "expected any of host, service, direction, peer_class, protocol, cipher, kex_group, "

# Request of GetTlsStats, what the message begins with, what else is in it.
REFUSED = [
    # Names that there are not.
    ({"group_by": ["ciphers"]}, 'group_by has "ciphers": ', LABELS),
    ({"group_by": ["cipher", ""]}, 'group_by has "": ', LABELS),
    ({"group_by": ["HOST"]}, 'group_by has "HOST": ', LABELS),
    ({"order_by": ["share"]}, 'order_by has "share": ', LABELS),
    ({"order_by": ["--host"]}, 'order_by has "--host": ', LABELS),
    ({"bucket": "week"}, 'bucket is "week": ', 'expected "hour", "day", or hours that divide a day'),
    ({"bucket": "5h"}, 'bucket is "5h": ', "hours that divide a day"),
    ({"bucket": "99999999999999999999h"}, "bucket is ", "hours that divide a day"),
    ({"time_zone": "Mars/Olympus"}, 'time_zone "Mars/Olympus" ', 'expected "UTC", an offset such as'),
    ({"time_zone": "../../etc/passwd"}, 'time_zone "../../etc/passwd" ', 'expected "UTC"'),
    ({"time_zone": "+25:00"}, 'time_zone "+25:00" is no offset', 'expected "UTC"'),
    ({"time_zone": "Asia/Kolkata"}, 'time_zone "Asia/Kolkata" is +05:30', "only offsets of whole hours"),
    # Values of enumerations that there are not.
    ({"filter": {"directions": ["sideways"]}}, 'filter.directions has "sideways": ', 'INBOUND, OUTBOUND, or "all"'),
    ({"filter": {"peer_classes": ["internal"]}}, 'filter.peer_classes has "internal": ',
     'EXTERNAL, LOOPBACK, EXCLUDED, or "all"'),
    ({"filter": {"tls_states": ["TLS"]}}, 'filter.tls_states has "TLS": ',
     "ESTABLISHED, FAILED, PLAINTEXT, UNKNOWN"),
    ({"filter": {"trusts": ["-1"]}}, 'filter.trusts has "-1": ', "ANONYMOUS, UNTRUSTED"),
    ({"filter": {"evidences": ["rumour"]}}, 'filter.evidences has "rumour": ', "HANDSHAKE_LINE"),
    ({"filter": {"handshakes": ["x"]}}, 'filter.handshakes has "x": ', "NEW, RESUMED, REUSED"),
    # Numbers and lists beyond their bounds.
    ({"limit": -1}, "limit is -1: ", "expected 1 to 10000, or 0 for 1000"),
    ({"limit": 10_001}, "limit is 10001: ", "expected 1 to 10000"),
    ({"limit": 2**31 - 1}, "limit is 2147483647: ", "expected 1 to 10000"),
    ({"filter": {"hosts": [f"mx{i}" for i in range(1001)]}}, "filter.hosts has 1001 values: ",
     "expected at most 1000"),
    ({"filter": {"ciphers": ["x"] * 5000}}, "filter.ciphers has 5000 values: ", "expected at most 1000"),
    # Windows in the future.
    ({"window": "2126-01-01/2127-01-01"}, 'window "2126-01-01/2127-01-01" begins in the future: ',
     "on the server"),
    ({"window": "9999-12-31T23:00Z/9999-12-31T23:59Z"}, "window ", "begins in the future"),
    ({"window": "-24h"}, 'window "-24h" is not understood: ', ONE_SUCH_AS),
    # Of 100 years and more.
    ({"window": "36526d"}, 'window "36526d" ', YEARS_100),
    ({"window": "5219w"}, 'window "5219w" ', YEARS_100),
    ({"window": "9223372036854775807h"}, "window ", YEARS_100),
    ({"window": "1900-01-01/2026-01-01"}, 'window "1900-01-01/2026-01-01" ', YEARS_100),
    ({"window": "0001-01-01/9999-12-31"}, "window ", YEARS_100),
    # Reversed.
    ({"window": "2026-02-01/2026-01-01"}, "window ", "ends before it begins: write the earlier time first"),
    ({"window": "2026-01-01T00:00Z/2026-01-01T00:00+01:00"}, "window ", "ends before it begins"),
    # Empty.
    ({"window": "0h"}, 'window "0h" is empty: ', ONE_SUCH_AS),
    ({"window": "2026-01-01/2026-01-01"}, "window ", "is empty, because its end is excluded"),
    ({"window": "/"}, "window ", 'has the time "": expected one such as'),
    ({"window": "2026-01-01/"}, "window ", 'has the time "": expected one such as'),
    # Not to be understood.
    ({"window": "yesterday"}, 'window "yesterday" is not understood: ', ONE_SUCH_AS),
    ({"window": "1y"}, 'window "1y" is not understood: ', ONE_SUCH_AS),
    ({"window": "24"}, 'window "24" is not understood: ', ONE_SUCH_AS),
    ({"window": "1.5h"}, 'window "1.5h" is not understood: ', ONE_SUCH_AS),
    ({"window": "2026-13-01/2027-01-01"}, "window ", 'has the time "2026-13-01": expected one such as'),
    ({"window": "2026-02-30/2026-03-01"}, "window ", 'has the time "2026-02-30": expected one such as'),
    ({"window": "2026-01-01/2026-01-02/2026-01-03"}, "window ", "expected one such as"),
    ({"window": "a\x00\n'; DROP TABLE host"}, r'window "a\000\n\'; DROP TABLE host" ', ONE_SUCH_AS),
    ({"window": "9" * 100_000}, 'window "999', ONE_SUCH_AS),
]

# Request of GetTlsStats as it is typed, and what grpcurl says.
NOT_SENT = [
    ('{"windows":"24h"}', "has no known field named windows"),
    ('{"filter":{"host":["mx1"]}}', "has no known field named host"),
    ('{"window":24}', "expecting string"),
    ('{"limit":"many"}', "invalid syntax"),
    ('{"limit":1.5}', "invalid syntax"),
    ('{"limit":99999999999}', "out of range"),
    ('{"filter":"mx1"}', "expecting start of JSON object"),
    ('{"group_by":[1]}', "expecting string"),
    ('{"window":"24h"', "unexpected EOF"),
    ("window=24h", "invalid character"),
]

# Wrong in nothing: 100 years are the most, a window may end in the future, limits their bounds.
TAKEN = [{}, {"window": "36525d"}, {"window": "2026-01-01/2099-01-01"}, {"limit": 10_000}, {"limit": 0},
         {"filter": {"hosts": ["nobody"]}}, {"window": " 24h "}]


class BadQueryTest(harness.EndToEndTest):
    def setUp(self):
        super().setUp()
        self.server = self.start_server()

    def assert_refused(self, method, request, code, begins, *more):
        with self.subTest(method=method, request=str(request)[:100]):
            found = self.server.call_error(method, request)
            self.assertEqual(found[0], code)
            self.assertTrue(found[1].startswith(begins), found[1])
            self.assertLess(len(found[1]), 1000)
            for text in more:
                self.assertIn(text, found[1])

    def test_statistics(self):
        for request, begins, more in REFUSED:
            self.assert_refused(STATS, request, "InvalidArgument", begins, more)
        for request in TAKEN:
            self.assertEqual(self.server.stats(**request)["total"]["sessions"], "0")

    def test_hosts(self):
        self.assert_refused(f"{FLEET}/GetHost", {}, "InvalidArgument",
                            "host: expected the name of a host, found none")
        self.assert_refused(f"{FLEET}/GetHost", {"host": "nobody"}, "NotFound",
                            'host: expected one that is known, found "nobody"')
        self.assert_refused(f"{FLEET}/GetHost", {"host": "x" * 100_000}, "NotFound", 'host: expected')
        self.assert_refused(f"{FLEET}/GetHost", {"host": "a\x00\nb"}, "NotFound",
                            r'host: expected one that is known, found "a\000\nb"')
        self.assert_refused(f"{FLEET}/ListHosts", {"hosts": ["x"] * 1001}, "InvalidArgument",
                            "hosts has 1001 names: expected at most ")
        self.assertEqual(self.server.call(f"{FLEET}/ListHosts", {"hosts": ["nobody"]}).get("hosts"), None)

    def test_what_the_protocol_has_not_is_told_by_grpcurl(self):
        for data, error in NOT_SENT:
            with self.subTest(data):
                done = self.server.grpcurl("-d", data, self.server.address, STATS, check=False)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(error, done.stderr)
        for method, error in (("mxtally.v1.StatsService/GetStats", "does not include a method named"),
                              ("mxtally.v1.Stats/GetTlsStats", "does not expose service"),
                              ("GetTlsStats", "is not in expected format")):
            done = self.server.grpcurl(self.server.address, method, check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(error, done.stderr)


class BadRetirementTest(tls_fleet.TlsFleetTest):
    def test_host_and_time(self):
        (self.dir / "mail.log").write_text("")
        server = self.start_tls_server()
        agent = self.start_tls_agent(server, "mx1")
        agent.process.wait_for_line("connected")
        self.wait_until(lambda: "mx1" in server.hosts(), "mx1 is known")
        server.transport = self.as_caller(token=self.token("chief"))
        for request, code, error in (
                ({}, "InvalidArgument", "host: expected the name of a host, found none"),
                ({"host": "nobody"}, "NotFound", 'host: expected one that is known, found "nobody"'),
                ({"host": "mx1"}, "FailedPrecondition", "the agent of host mx1 is connected: stop it first"),
                ({"host": "mx1", "retired_time": "2099-01-01T00:00:00Z"}, "InvalidArgument",
                 "retired_time: expected a time up to now, found 2099-01-01T00:00:00Z")):
            with self.subTest(json.dumps(request)):
                self.assertEqual(server.call_error(f"{FLEET}/RetireHost", request), (code, error))
        self.assertEqual(agent.stop(), 0)
        self.wait_until(lambda: not server.hosts()["mx1"].get("connected"), "mx1 is gone")
        code, error = server.call_error(f"{FLEET}/RetireHost",
                                        {"host": "mx1", "retired_time": "2001-01-01T00:00:00Z"})
        self.assertEqual(code, "InvalidArgument")
        self.assertRegex(error, r"retired_time: host mx1 is expected since \S+: expected a later time, "
                                r"found 2001-01-01T00:00:00Z")
        server.call(f"{FLEET}/RetireHost", {"host": "MX1"})
        self.assertEqual(server.hosts()["mx1"]["state"], "HOST_STATE_RETIRED")


if __name__ == "__main__":
    harness.main()
