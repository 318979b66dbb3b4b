"""Servers, and networks to them, as they should not be.

The agent tells what is wrong once, takes no memory for it, ends when it is
asked to, and delivers everything, once, when things are good again.
"""

import socket
import time

import bad_log_test as logs
import database
import harness
import wire

# The agent's patience with a server that says nothing, and half as much again.
SILENCE_SECONDS = 45
MEGABYTE = 1 << 20


class BadServerTest(harness.EndToEndTest):
    def setUp(self):
        super().setUp()
        harness.forget_freed_memory()
        self.log = self.dir / "mail.log"
        self.sessions = 0

    def write(self, count):
        with open(self.log, "ab") as file:
            file.write(logs.text(logs.sessions(count, pid=1000 + self.sessions)))
        self.sessions += count

    def start(self, address, *options):
        self.address = address
        return self.start_agent(self, "mx1", self.log, options=options, state_dir=self.dir / "state")

    def counted(self, server):
        return database.progress(server.database)[0]

    def assert_delivered_once(self, server):
        self.wait_until(lambda: self.counted(server) == self.sessions, "everything is delivered")
        self.assertEqual(database.exceptions(server.database), {})
        self.assertEqual(database.audit(server.database), [])

    def assert_ends_soon(self, agent):
        start = time.monotonic()
        self.assertEqual(agent.stop(), 0)
        self.assertLess(time.monotonic() - start, 20)

    def complaints(self, agent):
        return [line for line in agent.process.lines if "no connection" in line]

    # ---- Away

    def test_unreachable_server_is_told_once_and_delivered_to_when_it_comes(self):
        self.write(100)
        server = self.start_server()
        self.assertEqual(server.stop(), 0)
        agent = self.start(server.address)
        agent.process.wait_for_line(r"no connection, UNAVAILABLE: .*; trying again, first in ")
        server.start()
        self.assert_delivered_once(server)
        self.assertEqual(len(self.complaints(agent)), 1)
        self.assert_ends_soon(agent)

    def test_agent_without_a_server_ends_when_asked(self):
        agent = self.start("127.0.0.1:1")
        agent.process.wait_for_line("no connection, UNAVAILABLE")
        self.assert_ends_soon(agent)

    # ---- Silent

    def test_server_that_accepts_and_says_nothing_is_left(self):
        self.write(100)
        server = self.start_server()
        link = wire.Link(server.port, silent=True)
        self.addCleanup(link.close)
        agent = self.start(link.address)
        agent.process.wait_for_line("no connection, ", timeout=SILENCE_SECONDS)
        link.silent = False
        self.assert_delivered_once(server)
        self.assert_ends_soon(agent)

    def test_agent_of_a_silent_server_ends_when_asked(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            agent = self.start(f"127.0.0.1:{listener.getsockname()[1]}")
            connection, _ = listener.accept()
            with connection:
                self.assert_ends_soon(agent)

    def test_connection_on_which_nothing_arrives_any_more_is_left(self):
        """A firewall that forgot it, a machine that lost its power: no end is told."""
        self.write(100)
        server = self.start_server()
        link = wire.Link(server.port)
        self.addCleanup(link.close)
        agent = self.start(link.address)
        agent.process.wait_for_line("all up to the end is delivered")
        link.hold()
        self.write(100)
        agent.process.wait_for_line("no connection, UNAVAILABLE", timeout=2 * SILENCE_SECONDS)
        self.assert_delivered_once(server)
        self.assertEqual(link.accepted, 2)
        self.assert_ends_soon(agent)

    def test_server_that_stops_reading_costs_no_memory(self):
        self.write(100)
        server = self.start_server()
        link = wire.Link(server.port)
        self.addCleanup(link.close)
        agent = self.start(link.address)
        agent.process.wait_for_line("all up to the end is delivered")
        before = harness.peak_memory(agent.process)
        link.hold()
        # Their records alone take more than what is permitted.
        self.write(200_000)
        # As much as it may send is on its way long before the silence is noticed.
        agent.process.wait_for_line("no connection, UNAVAILABLE", timeout=2 * SILENCE_SECONDS)
        self.assertLess(harness.peak_memory(agent.process) - before, 12 * MEGABYTE)
        self.assert_delivered_once(server)
        self.assert_ends_soon(agent)

    def test_slow_network_delivers_everything(self):
        server = self.start_server()
        link = wire.Link(server.port, bytes_per_second=400_000)
        self.addCleanup(link.close)
        self.write(100)
        agent = self.start(link.address)
        agent.process.wait_for_line("all up to the end is delivered")
        self.write(30_000)
        self.assert_delivered_once(server)
        self.assertEqual(self.complaints(agent), [])
        self.assert_ends_soon(agent)

    def test_agent_of_a_server_that_stopped_reading_ends_when_asked(self):
        server = self.start_server()
        link = wire.Link(server.port)
        self.addCleanup(link.close)
        agent = self.start(link.address)
        agent.process.wait_for_line("connected")
        link.hold()
        self.write(60_000)
        self.assert_ends_soon(agent)
        self.assertEqual(self.start(server.address, "--once").wait(), 0)
        self.assert_delivered_once(server)

    # ---- Another one

    def answering(self, *words, **named):
        server = wire.AnsweringServer(*words, **named)
        self.addCleanup(server.close)
        return server

    def test_server_without_the_service_is_told(self):
        """grpc-status 12, UNIMPLEMENTED: an older server, or another program's."""
        self.write(100)
        wrong = self.answering(status=12, message="unknown service mxtally.v1.IngestService")
        agent = self.start(wrong.address)
        agent.process.wait_for_line(
            "no connection, UNIMPLEMENTED: unknown service mxtally.v1.IngestService; trying again")
        self.assert_ends_soon(agent)
        self.assertEqual(wrong.accepted, 1)

        once = self.start(wrong.address, "--once")
        self.assertEqual(once.wait(), 1)
        self.assertIn("unknown service mxtally.v1.IngestService", once.process.lines[-1])

        server = self.start_server()
        self.assertEqual(self.start(server.address, "--once").wait(), 0)
        self.assert_delivered_once(server)

    def test_server_too_old_for_this_agent_is_tried_again(self):
        """grpc-status 9, FAILED_PRECONDITION: what a server says of keys it does not know."""
        self.write(100)
        wrong = self.answering(status=9, message="this agent needs a newer server")
        once = self.start(wrong.address, "--once")
        once.process.wait_for_line("no connection, FAILED_PRECONDITION: this agent needs a newer server")
        self.wait_until(lambda: wrong.accepted >= 2, "another attempt")
        once.process.terminate()

    def test_what_is_no_grpc_server_is_told(self):
        for answer in (b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n", b"220 mx ESMTP\r\n",
                       b"\0" * 1000):
            wrong = self.answering(answer=answer)
            agent = self.start(wrong.address)
            agent.process.wait_for_line(r"no connection, \w+: ", timeout=SILENCE_SECONDS)
            self.assert_ends_soon(agent)


if __name__ == "__main__":
    harness.main()
