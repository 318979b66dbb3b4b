"""Two agents for one host, and two kinds of source for one host.

Whatever is set up wrongly, it is told to the agent, in the server's log and as
a finding of the host, it is counted, and no session is lost or counted twice.
"""

import json
import shutil
import time

import database
import harness
import maillog
import tls_fleet

HOUR = 3600
RETIRE = "mxtally.v1.FleetService/RetireHost"
INGEST_PROTO = "mxtally/v1/ingest.proto"


class TwoAgentsTest(tls_fleet.TlsFleetTest):
    def setUp(self):
        super().setUp()
        self.start = int(time.time()) // HOUR * HOUR - 24 * HOUR
        self.log = self.dir / "mail.log"
        self.server = self.start_tls_server()

    def append(self, lines, log=None):
        with open(log or self.log, "a") as file:
            file.write("".join(line + "\n" for line in lines))

    def session(self, host, second, counters="ehlo=1 quit=1 commands=2", pid=100):
        stamp = time.strftime("%b %e %H:%M:%S", time.gmtime(self.start + second))
        return [f"{stamp} {host} postfix/smtpd[{pid}]: connect from {maillog.CLIENT}",
                f"{stamp} {host} postfix/smtpd[{pid}]: disconnect from {maillog.CLIENT} {counters}"]

    def agent(self, name, state, *options, log=None):
        return self.start_tls_agent(self.server, name, "--time-zone", "UTC", *options, log=log,
                                    state_dir=self.dir / state)

    def finding(self, host, name):
        for finding in self.server.hosts()[host].get("findings", []):
            if finding["finding"] == name:
                return finding["advice"]
        return None

    def sessions(self):
        return {name: int(host.get("sessions", 0)) for name, host in self.server.hosts().items()}

    def assert_warned_of_two_agents(self):
        address = r"ipv4:127\.0\.0\.1:\d+"
        self.server.process.wait_for_line(
            rf'two agents call themselves host "mx1", at {address} and {address}: give each a name')
        self.assertGreater(self.metric(self.server, "mxtally_server_ingest_two_agents_total"), 0)
        self.assertGreater(
            self.metric(self.server, "mxtally_server_ingest_streams_of_one_host_total"), 0)
        self.assertRegex(self.finding("mx1", "TWO_AGENTS"),
                         rf"^Two agents call themselves by this name, at {address} and {address} "
                         r"\(seen \d+ times, last at \S+Z\): give each a name")

    def test_two_agents_that_read_one_log_are_told_and_count_it_once(self):
        host = maillog.Mailhost(seed=3, start=self.start)
        self.append(host.busy_second())
        agents = [self.agent("mx1", "state-1"), self.agent("mx1", "state-2")]
        for agent in agents:
            agent.process.wait_for_line("all up to the end is delivered")

        def warned():
            self.append(host.busy_second())
            return any("two agents call themselves" in line for line in self.server.process.lines)

        self.wait_until(warned, "two agents are noticed")
        self.assert_warned_of_two_agents()
        self.append(host.finish())
        # Lines are counted by the agent whose stream goes on from the stored cut.
        for agent in agents:
            self.assertEqual(agent.stop(), 0)
        agents[1].start()
        truth = (host.truth.sessions, host.truth.lines)
        self.wait_until(lambda: database.progress(self.server.database) == truth,
                        lambda: f"{database.progress(self.server.database)} of {truth}")
        wrong = database.differences(host.truth.by_labels(), database.counts(self.server.database))
        wrong += database.audit(self.server.database)
        self.assertEqual(wrong, [])
        self.assertEqual(database.exceptions(self.server.database), {})

    def test_two_machines_with_one_certificate_are_told_and_lose_nothing(self):
        hosts = [maillog.Mailhost(seed=4, start=self.start),
                 maillog.Mailhost(seed=5, start=self.start + 6 * HOUR)]
        agents = []
        for number, host in enumerate(hosts):
            log = self.dir / str(number) / "mail.log"
            log.parent.mkdir()
            for _ in range(30):
                self.append(host.busy_second(), log)
            self.append(host.finish(), log)
            # One session of both has one key, and is not the same.
            self.append(self.session("mx1", 12 * HOUR, f"ehlo={number + 1} quit=1 commands=3"), log)
            agents.append(self.agent("mx1", f"state-{number}", log=log))
        for agent in agents:
            agent.process.wait_for_line("all up to the end is delivered")
        self.assert_warned_of_two_agents()
        sessions = sum(host.truth.sessions for host in hosts)
        lines = sum(host.truth.lines for host in hosts)
        self.wait_until(
            lambda: database.progress(self.server.database) == (sessions + 1, lines + 4),
            lambda: f"{database.progress(self.server.database)} of {(sessions + 1, lines + 4)}")
        self.assertEqual(database.exceptions(self.server.database), {"key_conflicts": 1})
        self.assertEqual(database.audit(self.server.database), [])
        reasons = self.server.stats(window="48h")["completeness"]["reasons"]
        self.assertIn("1 session records contradict one with the same key", reasons)

    def hello(self, kind):
        """What a stream of mx1 that reads this kind of source hears."""
        self.server.transport = self.as_caller("mx1")
        done = self.server.grpcurl(
            "-import-path", harness.ROOT / "proto", "-proto", INGEST_PROTO,
            "-d", json.dumps({"hello": {"host": "mx1", "source_kind": kind}}), self.server.address,
            tls_fleet.INGEST, check=False)
        self.server.transport = self.as_caller("grafana")
        return done.stdout.replace("database_id", "databaseId") + done.stderr

    def retire(self, host):
        self.server.transport = self.as_caller(token=self.token("chief"))
        self.server.call(RETIRE, {"host": host})
        self.server.transport = self.as_caller("grafana")

    def test_a_second_kind_of_source_is_refused_with_the_name_of_the_first(self):
        self.append(self.session("mx1", 0))
        agent = self.agent("mx1", "state")
        agent.process.wait_for_line("all up to the end is delivered")
        refusal = ("host mx1 is read from log files, and this agent reads the journal: its sessions "
                   "would be counted twice.  To switch, stop the agent, retire the host")
        heard = self.hello("SOURCE_KIND_JOURNAL")
        self.assertIn("Code: FailedPrecondition", heard)
        self.assertIn(refusal, heard)
        self.server.process.wait_for_line(f'stream of host "mx1" refused: FAILED_PRECONDITION: '
                                          f"{refusal[:40]}")
        self.assertEqual(
            self.metric(self.server, 'mxtally_server_ingest_streams_ended_total'
                                     '{code="FAILED_PRECONDITION"}'), 1)
        self.assertRegex(self.finding("mx1", "OTHER_SOURCE"),
                         r"^A second kind of source was refused, from ipv4:127\.0\.0\.1:\d+ "
                         r"\(1 times, last at \S+\)")
        # The first never noticed.
        self.append(self.session("mx1", 10))
        self.wait_until(lambda: self.sessions() == {"mx1": 2}, "the second session")
        # An operator switches.
        self.assertEqual(agent.stop(), 0)
        self.wait_until(lambda: not self.server.hosts()["mx1"].get("connected"), "it is gone")
        self.retire("mx1")
        self.assertIn("databaseId", self.hello("SOURCE_KIND_JOURNAL"))
        agent = self.agent("mx1", "state")
        agent.process.wait_for_line(
            "no connection, FAILED_PRECONDITION: host mx1 is read from the journal, and this agent "
            "reads log files")
        self.assertEqual(database.exceptions(self.server.database), {})

    def central_log(self):
        """A collector's log with lines of mx1 and mx2; returns options of its agent."""
        self.certs("collector", "loghost", "mx1", "mx2")
        self.server.process.wait_for_line("certificates and access list were read again")
        central = self.dir / "central.log"
        # Its syslog keeps less of the stamps than the host's own: the keys differ.
        self.append(self.session("mx1", 0) + self.session("mx2", 0), central)
        return {"name": "loghost", "state": "state-loghost", "log": central}

    def own_log(self):
        own = self.dir / "own.log"
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S.123456+00:00", time.gmtime(self.start))
        self.append([f"{stamp} {line[16:]}" for line in self.session("mx1", 0)], own)
        return own

    def test_a_host_with_an_agent_is_not_taken_from_a_collector_too(self):
        own = self.agent("mx1", "state", log=self.own_log())
        own.process.wait_for_line("all up to the end is delivered")
        central = self.central_log()
        collector = self.agent(central["name"], central["state"], "--hosts-from-log", "--once",
                               log=central["log"])
        self.assertEqual(collector.wait(), 0, collector.process.tail())
        self.server.process.wait_for_line(
            'host "mx1" is not taken from the collector "loghost", because an agent of its own has '
            "told of it")
        self.assertEqual(self.sessions(), {"loghost": 0, "mx1": 1, "mx2": 1})
        self.assertEqual(
            self.metric(self.server,
                        'mxtally_server_ingest_sessions_total{outcome="other_source"}'), 1)
        self.assertEqual(database.exceptions(self.server.database), {"foreign_host": 2})
        self.assertIn("from the collector loghost (1 times", self.finding("mx1", "OTHER_SOURCE"))
        # An operator switches: from then on, and with all that is still on disk.
        self.assertEqual(own.stop(), 0)
        self.wait_until(lambda: not self.server.hosts()["mx1"].get("connected"), "it is gone")
        self.retire("mx1")
        shutil.rmtree(collector.state_dir)
        self.append(self.session("mx1", 100), central["log"])
        collector.start()
        self.assertEqual(collector.wait(), 0, collector.process.tail())
        # The session that both logs have stands under both stamps: that is what a
        # switch costs, and why no host is read from two.
        self.assertEqual(self.sessions(), {"loghost": 0, "mx1": 3, "mx2": 1})

    def test_a_collected_host_takes_no_agent_of_its_own_too(self):
        central = self.central_log()
        collector = self.agent(central["name"], central["state"], "--hosts-from-log",
                               log=central["log"])
        collector.process.wait_for_line("all up to the end is delivered")
        own = self.agent("mx1", "state", log=self.own_log())
        own.process.wait_for_line(
            "no connection, FAILED_PRECONDITION: host mx1 is read from a central log host, by its "
            "collector, and this agent reads log files: its sessions would be counted twice")
        self.assertRegex(self.finding("mx1", "OTHER_SOURCE"), r"\(\d+ times, last at ")
        self.append(self.session("mx1", 10), central["log"])
        self.wait_until(lambda: self.sessions() == {"loghost": 0, "mx1": 2, "mx2": 1},
                        "the second session")
        self.assertEqual(database.exceptions(self.server.database), {})


if __name__ == "__main__":
    harness.main()
