"""A central log host over TLS: one agent, the collector, sends for many hosts.

The main test writes the lines of five hosts into one log, mixed, with the same
process ids on all; one host's clock is hours behind, one is known without its
domain, and one is a stranger.  The log is rotated, collector and server are
killed again and again.  In the end every host's sessions and lines are counted
exactly once, as its own.

MXTALLY_TEST_SEED repeats a run, as far as the processes' timing lets it.
"""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time

import database
import harness
import maillog
import tls_fleet

HOUR = 3600
ROUNDS = 34
SECONDS_PER_ROUND = 30
# Log time that passes between two rounds; less than five minutes, in which the
# queue manager must have told of a message.
PAUSE = 240
KILLS_AT_EACH_POINT = 3
KILL_PROBABILITY = {"after_commit": 0.15, "before_checkpoint": 0.4}


class CollectorTest(tls_fleet.TlsFleetTest):
    def setUp(self):
        super().setUp()
        self.certs("collector", "loghost", "mx1", "*.dmz.example.net", "mx3.example.net")
        self.log = self.dir / "mail.log"
        self.start = int(time.time()) // HOUR * HOUR - 24 * HOUR

    def start_collector(self, server, *options):
        return self.start_tls_agent(server, "loghost", "--hosts-from-log", "--time-zone", "UTC",
                                    *options, log=self.log)

    def append(self, *lines):
        with open(self.log, "a") as log:
            log.write("".join(line + "\n" for line in lines))

    def session(self, host, second, pid=100):
        stamp = time.strftime("%b %e %H:%M:%S", time.gmtime(self.start + second))
        self.append(f"{stamp} {host} postfix/smtpd[{pid}]: connect from {maillog.CLIENT}",
                    f"{stamp} {host} postfix/smtpd[{pid}]: disconnect from {maillog.CLIENT} "
                    "ehlo=1 quit=1 commands=2")

    def sessions(self, server):
        return {name: int(host.get("sessions", 0)) for name, host in server.hosts().items()}

    def test_every_host_is_counted_once_as_its_own_whatever_is_killed(self):
        KilledCollector(self).run()

    def test_an_ordinary_agent_may_not_take_hosts_from_its_log(self):
        server = self.start_tls_server()
        self.session("mx1", 0)
        self.session("mx2", 1)
        agent = self.start_tls_agent(server, "mx1", "--hosts-from-log", "--once")
        self.assertEqual(agent.wait(), 1)
        expected = ('hosts from the log: expected the role collector, which the server\'s access '
                    'list gives, found certificate "mx1" with agent')
        self.assertIn(expected, agent.process.tail())
        server.process.wait_for_line(
            r'denied /mxtally\.v1\.IngestService/StreamSessions to certificate "mx1" at ipv4:127'
            r'\S+: PERMISSION_DENIED: hosts from the log: expected the role collector')
        self.assertEqual(self.metric(server, 'mxtally_server_auth_denied_total{reason="role"}'), 1)
        self.assertEqual(server.hosts(), {})
        # It stays an agent of its own host.
        agent = self.start_tls_agent(server, "mx1", "--once")
        self.assertEqual(agent.wait(), 0, agent.process.tail())
        self.assertEqual(self.sessions(server), {"mx1": 1})

    def test_without_the_option_other_hosts_are_foreign(self):
        server = self.start_tls_server()
        self.session("loghost", 0)
        self.session("mx1", 1)
        agent = self.start_tls_agent(server, "loghost", "--once")
        self.assertEqual(agent.wait(), 0, agent.process.tail())
        self.assertEqual(self.sessions(server), {"loghost": 1})
        self.assertEqual(database.exceptions(server.database), {"foreign_host": 2})
        # With it all is read again, and the rest is counted too.
        agent = self.start_collector(server, "--once")
        self.assertEqual(agent.wait(), 0, agent.process.tail())
        self.assertEqual(self.sessions(server), {"loghost": 1, "mx1": 1})

    def test_hosts_that_are_not_listed_are_named_until_they_are(self):
        server = self.start_tls_server("--connection-age", "25s")
        self.session("mx1", 0)
        self.session("mx9", 1)
        collector = self.start_collector(server)
        collector.process.wait_for_line(
            "lines of these hosts are not counted, because the server does not list them for this "
            "collector: mx9")
        self.assertEqual(self.sessions(server), {"loghost": 0, "mx1": 1})
        status = subprocess.run(
            [harness.agent_binary(), "status", "--state-dir", collector.state_dir],
            capture_output=True, text=True, check=False)
        self.assertIn("hosts       1 collected", status.stdout)
        self.assertIn("foreign     mx9", status.stdout)
        [finding] = [finding for finding in server.call(harness.HOSTS)["hosts"][0]["findings"]
                     if finding["finding"] == "FOREIGN_HOST"]
        self.assertIn("a collector that the server's access list names for them",
                      finding["advice"])
        # Listed, with its next stream it is one of them.
        with open(self.pki / "access", "a") as access:
            access.write("collector certificate loghost mx9\n")
        server.process.wait_for_line("certificates and access list were read again")

        def counted():
            self.second = getattr(self, "second", 10) + 1
            self.session("mx9", self.second)
            return self.sessions(server).get("mx9", 0) > 0

        self.wait_until(counted, "sessions of mx9")
        # Taken off the list, it is a stranger again.
        lines = (self.pki / "access").read_text().splitlines()
        (self.pki / "access").write_text("\n".join(lines[:-1]) + "\n")
        foreign = 'SELECT lines_foreign_host FROM log'

        def foreign_lines():
            with database.opened(server.database) as connection:
                return sum(row[0] for row in connection.execute(foreign))

        before = foreign_lines()

        def is_foreign():
            self.second += 1
            self.session("mx9", self.second)
            return foreign_lines() > before

        self.wait_until(is_foreign, "foreign lines of mx9")

    def test_hosts_beyond_the_bounds_are_counted_and_told(self):
        server = self.start_tls_server("--collector-hosts", "2")
        for second, host in enumerate(("a.dmz.example.net", "b.dmz.example.net",
                                       "c.dmz.example.net", "d.dmz.example.net")):
            self.session(host, second)
        for bound, told in ((1, 1), (1000, 2)):
            collector = self.start_collector(server, "--once", "--hosts-max", bound)
            self.assertEqual(collector.wait(), 0, collector.process.tail())
            self.assertIn(f"lines of hosts beyond {told} are not counted: raise --hosts-max, or the "
                          "server's --collector-hosts", collector.process.tail())
            shutil.rmtree(collector.state_dir)
        self.assertEqual(self.sessions(server),
                         {"a.dmz.example.net": 1, "b.dmz.example.net": 1, "loghost": 0})
        self.assertEqual(database.exceptions(server.database), {"foreign_host": 6})


class KilledCollector:
    """The main test."""

    def __init__(self, test):
        self.test = test
        seed = int(os.environ.get("MXTALLY_TEST_SEED", random.randrange(2**31)))
        print(f"MXTALLY_TEST_SEED={seed}", flush=True)
        self.random = random.Random(seed)
        start = test.start - 600
        hosts = {"loghost": 0, "mx1": 0, "mx2.dmz.example.net": -3 * HOUR, "mx3": 5, "stranger": 0}
        # By the name in the log's headers.
        self.hosts = {name: maillog.Mailhost(seed + i, start + ahead, name=name)
                      for i, (name, ahead) in enumerate(hosts.items())}
        self.log = maillog.LogFile(test.log)
        self.kills = {point: 0 for point in KILL_PROBABILITY}

    def run(self):
        self.server = self._start("after_commit", self.test.start_tls_server)
        self.collector = self._start("before_checkpoint",
                                     lambda: self.test.start_collector(self.server))
        rounds = 0
        while rounds < ROUNDS or min(self.kills.values()) < KILLS_AT_EACH_POINT:
            self._write_round(pause=PAUSE if rounds < ROUNDS else 0)
            if rounds % 5 == 4:
                self.log.rotate_by_rename(late_lines=self._seconds(1))
            if rounds % 3 == 2:
                self._kill(self.random.choice([[self.server], [self.collector],
                                               [self.server, self.collector]]))
            self._restart_what_killed_itself()
            time.sleep(self.random.uniform(0, 0.3))  # Kills come at any time.
            rounds += 1
        for host in self.hosts.values():
            self.log.write(host.finish())
        self._deliver_the_rest()
        self._check()

    def _seconds(self, count):
        """Lines of all hosts, mixed, each host's in their order."""
        streams = []
        for host in self.hosts.values():
            streams.append([line for _ in range(count) for line in host.busy_second()])
        order = [i for i, stream in enumerate(streams) for _ in stream]
        self.random.shuffle(order)
        readers = [iter(stream) for stream in streams]
        return [next(readers[i]) for i in order]

    def _write_round(self, pause):
        self.log.write(self._seconds(SECONDS_PER_ROUND))
        for host in self.hosts.values():
            host.now += pause

    @contextlib.contextmanager
    def _killing_itself(self, point):
        os.environ["MXTALLY_TEST_KILL"] = (
            f"{point}:{KILL_PROBABILITY[point]}:{self.random.randrange(2**31)}")
        try:
            yield
        finally:
            del os.environ["MXTALLY_TEST_KILL"]

    def _start(self, point, start):
        with self._killing_itself(point):
            return start()

    def _programs(self):
        return ((self.server, "after_commit"), (self.collector, "before_checkpoint"))

    def _restart(self, program, point):
        try:
            self._start(point, program.start)
        except AssertionError:
            # A server takes streams a moment before it says that it is ready.
            if program.process.running() or program.process.wait() != -signal.SIGKILL:
                raise

    def _restart_what_killed_itself(self):
        for program, point in self._programs():
            if program.process.running():
                continue
            status = program.process.wait()
            if status != -signal.SIGKILL:
                self.test.fail(f"{point}: ended with {status}\n{program.process.tail()}")
            self.kills[point] += 1
            self._restart(program, point)

    def _kill(self, programs):
        self._restart_what_killed_itself()
        for program in programs:
            program.kill()
        for program, point in self._programs():
            if program in programs:
                self._restart(program, point)

    def _expected(self):
        """(sessions, lines) by host; a stranger's lines are the log's."""
        truth = {name: host.truth for name, host in self.hosts.items()}
        expected = {known_as(name): (truth[name].sessions, truth[name].lines) for name in truth}
        _, lines = expected.pop("stranger")
        sessions, own_lines = expected["loghost"]
        expected["loghost"] = (sessions, own_lines + lines)
        return expected

    def _progress(self):
        return {name: database.progress(self.server.database, name) for name in self._expected()}

    def _deliver_the_rest(self):
        for program in (self.server, self.collector):
            if program.process.running():
                program.kill()
            program.start()
        self.test.wait_until(lambda: self._progress() == self._expected(),
                             lambda: f"{self._progress()} of {self._expected()}")
        self._check_completeness()
        # Late duplicates, if there are any, come with the next batch.
        self.test.assertEqual(self.collector.stop(), 0)
        self.test.assertEqual(self.server.stop(), 0)

    def _check_completeness(self):
        """Whole hours in the middle of each host's log are complete."""
        for name, host in self.hosts.items():
            if name == "stranger":
                continue
            end = host.now // HOUR * HOUR
            window = f"{iso(end - 2 * HOUR)}/{iso(end)}"
            stats = self.server.stats(window=window, filter={"hosts": [known_as(name)]})
            reasons = stats["completeness"].get("reasons", [])
            if name == "loghost":  # Only the strangers' lines, which are in its log.
                self.test.assertRegex(reasons.pop(0), "lines of other hosts")
            self.test.assertEqual(reasons, [], name)
        hosts = self.server.hosts()
        log = f"loghost:{self.test.log}"
        self.test.assertEqual([entry["log"] for entry in hosts["mx1"]["logs"]], [log])
        self.test.assertEqual(hosts["mx1"]["sourceKind"], "SOURCE_KIND_COLLECTOR")
        self.test.assertEqual(hosts["loghost"]["sourceKind"], "SOURCE_KIND_FILES")

    def _check(self):
        print(f"kills {self.kills}, {self._progress()}", flush=True)
        path = self.server.database
        wrong = database.audit(path)
        for name, host in self.hosts.items():
            if name != "stranger":
                wrong += [f"{name}: {line}" for line in database.differences(
                    host.truth.by_labels(), database.counts(path, known_as(name)))]
        self.test.assertEqual(wrong, [])
        self.test.assertEqual(database.exceptions(path),
                              {"foreign_host": self.hosts["stranger"].truth.lines})


def known_as(header):
    return "mx3.example.net" if header == "mx3" else header


def iso(seconds):
    return time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime(seconds))


if __name__ == "__main__":
    harness.main()
