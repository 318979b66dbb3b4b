"""Life with the daemons: what an operator does with them and sees of them."""

import json
import time

import database
import harness
import maillog

HOUR = 3600


class DaemonTest(harness.EndToEndTest):
    def write_log(self, name="mail.log", sessions=200):
        host = maillog.Mailhost(seed=1, start=int(time.time()) // HOUR * HOUR - 2 * HOUR)
        lines = []
        while host.truth.sessions < sessions:
            lines += host.busy_second()
            host.now += 1
        lines += host.finish()
        path = self.dir / name
        path.write_text("".join(line + "\n" for line in lines))
        self.truth = host.truth
        return path

    # ---- mxtally-agent status

    def status(self, agent):
        """Exit status and answer of `mxtally-agent status`."""
        done = self.run_program([harness.agent_binary(), "status", "--state-dir", agent.state_dir,
                                 "--format", "json"], check=False)
        return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr

    def test_status_follows_agent_and_server_through_their_lives(self):
        log = self.write_log()
        server = self.start_server()
        agent = self.start_agent(server, "mx1", log)
        size = log.stat().st_size

        def delivered():
            code, answer = self.status(agent)
            return code == 0 and answer["logs"][0]["position"] == size and answer
        answer = self.wait_until(delivered, "the agent's status says that all is delivered")
        self.assertEqual([answer["host"], answer["running"], answer["connected"], answer["server"]],
                         ["mx1", True, True, server.address])
        self.assertEqual([answer["logs"][0][name] for name in
                          ("log", "bytes_behind", "lag_seconds", "gap_count", "trouble")],
                         [str(log), 0, 0, 0, ""])
        # Written some seconds after the acknowledgement at most.
        self.wait_until(lambda: self.status(agent)[1]["logs"][0]["acknowledged_time"], "last ack")

        server.stop()
        self.wait_until(lambda: self.status(agent)[0] == 4, "the agent's status misses the server")
        with log.open("a") as more:
            more.write("x" * 99 + "\n")
        code, answer = self.status(agent)
        self.assertEqual((code, answer["connected"], answer["logs"][0]["bytes_behind"]), (4, False, 100))
        self.assertIn("UNAVAILABLE", answer["connection_failure"])

        agent.kill()
        code, answer = self.status(agent)
        self.assertEqual((code, answer["running"], answer["logs"][0]["position"]), (3, False, size))

        server.start()
        agent.start()
        self.wait_until(lambda: self.status(agent)[0] == 0
                        and self.status(agent)[1]["logs"][0]["position"] == size + 100,
                        "the agent's status after a restart")
        self.assertEqual(agent.stop(), 0)
        self.assertEqual(self.status(agent)[0], 3)

    def test_status_of_no_state_says_so(self):
        done = self.run_program([harness.agent_binary(), "status", "--state-dir", self.dir / "none"],
                                check=False)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("none: expected the state of an agent, found none", done.stderr)

    # ---- mxtally-server check and backup

    def server_command(self, *words, status=0):
        done = self.run_program([harness.server_binary(), *words], check=False)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout

    def sessions(self, path):
        return sum(count[0] for count in database.counts(path).values())

    def test_backups_under_load_are_whole_and_filled_up_by_agents(self):
        log = self.write_log(sessions=40000)
        server = self.start_server()
        agent = self.start_agent(server, "mx1", log, options=("--once",))
        backups = []
        while agent.process.running():
            to = self.dir / f"backup-{len(backups)}.db"
            self.server_command("backup", "--database", f"sqlite:{server.database}", "--to", to)
            self.server_command("check", "--database", f"sqlite:{server.database}")
            backups.append((to, self.sessions(to)))
        self.assertEqual(agent.wait(), 0)
        self.assertEqual(self.sessions(server.database), self.truth.sessions)
        for to, _ in backups:
            self.assertEqual(self.server_command("check", "--database", f"sqlite:{to}"),
                             f"sqlite:{to}: good\n")
        # One that was made halfway, if the machine was fast enough for it.
        to, held = backups[len(backups) // 2]
        print(f"backups: {len(backups)}, restored: {held} of {self.truth.sessions} sessions")
        self.assertEqual(server.stop(), 0)
        server.database = to
        server.start()
        agent.start()
        self.assertEqual(agent.wait(), 0)
        self.assertEqual(database.differences(self.truth.by_labels(), database.counts(to)), [])
        self.server_command("check", "--database", f"sqlite:{to}")


if __name__ == "__main__":
    harness.main()
