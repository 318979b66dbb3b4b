"""Real processes for end-to-end tests: a server, agents, grpcurl.

A test derives from EndToEndTest, whose methods start processes in a folder of
its own and on ports that are free.  Everything started is killed when the
test ends, however it ends; the error output of what was started is shown when
it fails.  Nothing leaves loopback.

Programs come from MXTALLY_TEST_SERVER, MXTALLY_TEST_AGENT, MXTALLY_TEST_MAIL_LOG and GRPCURL.
"""

import collections
import ctypes
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
TESTDATA = ROOT / "tests" / "testdata"

# Longest wait for anything.  Generous: the sanitizers' builds are slow, and so
# is a busy machine.  Nothing waits longer than it must.
PATIENCE_SECONDS = 120

STATS = "mxtally.v1.StatsService/GetTlsStats"
HOSTS = "mxtally.v1.FleetService/ListHosts"

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


def program(variable, *fallbacks):
    """Path of a program: from the environment, else the first fallback that is there."""
    candidates = [os.environ[variable]] if variable in os.environ else fallbacks
    for candidate in candidates:
        found = shutil.which(str(candidate))
        if found:
            return found
    raise RuntimeError(f"{variable}: none of {[str(candidate) for candidate in candidates]} is there")


def server_binary():
    return program("MXTALLY_TEST_SERVER", ROOT / "build/release/server/mxtally-server")


def agent_binary():
    return program("MXTALLY_TEST_AGENT", ROOT / "build/release/agent/mxtally-agent")


def mail_log_binary():
    """Writes made-up logs of any length."""
    return program("MXTALLY_TEST_MAIL_LOG", ROOT / "build/release/tests/bench/bench_mail_log")


def grpcurl_binary():
    return program("GRPCURL", ROOT / "build/tools/bin/grpcurl", "grpcurl")


def wait_until(condition, what, timeout=PATIENCE_SECONDS):
    """Waits until `condition()` is true and returns its value; fails with `what`."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what() if callable(what) else what}")
        time.sleep(0.05)


_held_ports = []


def free_port():
    """A port that nothing has, and no other test is given before this one's process ends.

    Not of those that the system picks from: until a server is there, or while it is
    restarted, some other client or server on port 0 would get it now and then.
    """
    first, last = map(int, pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    ports = [port for port in range(10_000, 1 << 16) if not first <= port <= last]
    for port in random.sample(ports, len(ports)):
        # Abstract, so that the kernel removes it with the process.
        holder = socket.socket(socket.AF_UNIX)
        try:
            holder.bind(f"\0mxtally-test-port-{port}")
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("", port))
        except OSError:
            holder.close()
            continue
        _held_ports.append(holder)
        return port
    raise RuntimeError(f"no port is free from 10000 on outside of {first} to {last}")


def figures(row):
    """A row's counts as numbers: proto3 JSON writes 64-bit integers as text."""
    return {
        name: int(value) if isinstance(value, str) and value.lstrip("-").isdigit() else value
        for name, value in row.items()
        if not isinstance(value, (dict, list))
    }


def left_out(answer):
    """Sessions that an answer's peer classes left out, by class."""
    return {other["peerClass"]: int(other["sessions"]) for other in answer["otherPeerClasses"]}


def camel(name):
    """proto3 JSON's name of a field: "tls_sessions" -> "tlsSessions"."""
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


def camel_keys(value):
    """Releases of grpcurl differ in whether they write fields as the .proto does
    or as proto3 JSON has it; tests read the latter."""
    if isinstance(value, dict):
        return {camel(name): camel_keys(item) for name, item in value.items()}
    if isinstance(value, list):
        return [camel_keys(item) for item in value]
    return value


def peak_memory(process):
    """Most memory that a running program had resident, in bytes.

    The address sanitizer keeps what was freed; a test that asks calls
    forget_freed_memory() before the program starts.
    """
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


def forget_freed_memory():
    """Programs started from now on keep no freed memory under the address sanitizer."""
    options = os.environ.get("ASAN_OPTIONS", "")
    os.environ["ASAN_OPTIONS"] = ":".join(filter(None, [options, "quarantine_size_mb=1"]))


def _die_with_parent():
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """A running program whose error output is kept line by line."""

    def __init__(self, name, command, environment=None):
        self.name = name
        self.command = [str(part) for part in command]
        self.lines = []
        self._popen = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, errors="replace",
            env={**os.environ, **(environment or {})}, start_new_session=True, preexec_fn=_die_with_parent)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        with self._popen.stderr as stream:
            for line in stream:
                self.lines.append(line.rstrip("\n"))

    @property
    def pid(self):
        return self._popen.pid

    def running(self):
        return self._popen.poll() is None

    def wait(self, timeout=PATIENCE_SECONDS):
        """Waits for the end and returns the exit status."""
        status = self._popen.wait(timeout)
        self._reader.join(timeout)
        return status

    def terminate(self, timeout=PATIENCE_SECONDS):
        """SIGTERM; returns the exit status."""
        self._popen.terminate()
        return self.wait(timeout)

    def kill(self):
        """SIGKILL, as a crash or the OOM killer would; children too."""
        os.killpg(self.pid, signal.SIGKILL)
        return self.wait()

    def send_signal(self, number):
        self._popen.send_signal(number)

    def wait_for_line(self, pattern, timeout=PATIENCE_SECONDS):
        """Waits for a line of error output; returns the match."""
        expression = re.compile(pattern)

        def found():
            ended = not self.running()
            if ended:
                # Then all that it wrote has been read.
                self.wait()
            for line in list(self.lines):
                match = expression.search(line)
                if match:
                    return match
            if ended:
                raise AssertionError(f"{self.name} ended without /{pattern}/:\n{self.tail()}")
            return None

        return wait_until(found, lambda: f"{self.name}: /{pattern}/ in\n{self.tail()}", timeout)

    def tail(self, count=30):
        return "\n".join(f"  {self.name}: {line}" for line in self.lines[-count:])


class Server:
    """mxtally-server on loopback.  After kill() or stop(), start() continues on
    the same database and ports, so that agents find it again."""

    def __init__(self, test, database, options, prefix=()):
        self._test = test
        self._prefix = list(prefix)
        self.database = pathlib.Path(database)
        self.options = list(options)
        self.port = free_port()
        self.http_port = free_port()
        self.process = None
        # How grpcurl connects.
        self.transport = ["-plaintext"]
        self.start()

    def start(self):
        self.process = self._test.start_process("server", [
            *self._prefix, server_binary(), "serve",
            "--listen", f"127.0.0.1:{self.port}", "--http-listen", f"127.0.0.1:{self.http_port}",
            # The tests' logs are of any age.
            "--session-retention", "0", "--hour-retention", "0",
            "--database", f"sqlite:{self.database}", *self.options])
        self.process.wait_for_line(
            rf"ready: gRPC on 127\.0\.0\.1:{self.port}, HTTP on 127\.0\.0\.1:{self.http_port}")

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def kill(self):
        self.process.kill()

    def stop(self):
        """SIGTERM: drains and exits; returns the exit status."""
        return self.process.terminate()

    def grpcurl(self, *arguments, check=True):
        """Runs grpcurl; `arguments` hold the address where grpcurl wants it."""
        return self._test.run_program([grpcurl_binary(), *self.transport, "-max-time", "60",
                                       *arguments], check=check)

    def call(self, method, request=None):
        """Calls a method as a user would with grpcurl; returns the answer as JSON."""
        data = ["-d", json.dumps(request)] if request is not None else []
        return camel_keys(json.loads(self.grpcurl(*data, self.address, method).stdout))

    def call_error(self, method, request):
        """Calls a method that must fail; returns (code, message)."""
        done = self.grpcurl("-d", json.dumps(request), self.address, method, check=False)
        code = re.search(r"Code: (\w+)", done.stderr)
        message = re.search(r"Message: (.*)", done.stderr)
        if done.returncode == 0 or not code or not message:
            raise AssertionError(f"{method} {request} did not fail:\n{done.stdout}{done.stderr}")
        return code[1], message[1]

    def stats(self, **request):
        return self.call(STATS, request)

    def total(self, **request):
        """Counts of the total row of a statistics query."""
        return figures(self.stats(**request)["total"])

    def hosts(self):
        """The inventory, by host name."""
        return {host["host"]: host for host in self.call(HOSTS).get("hosts", [])}

    def http(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{path}",
                                    timeout=PATIENCE_SECONDS) as answer:
            return answer.read().decode()


class Agent:
    """mxtally-agent following logs.  After kill() or stop(), start() continues
    from its state directory."""

    def __init__(self, test, server, host, logs, state_dir, options, transport=None):
        self._test = test
        self.server = server
        self.host = host
        self.logs = [str(log) for log in logs]
        self.state_dir = pathlib.Path(state_dir)
        self.options = list(options)
        self.process = None
        # Options that say how to connect, and as whom.
        self.transport = list(transport or ("--plaintext", "--host", host))
        self.start()

    def start(self):
        logs = [word for log in self.logs for word in ("--log", log)]
        self.process = self._test.start_process(f"agent {self.host}", [
            agent_binary(), "run", "--server", self.server.address, *self.transport,
            "--state-dir", self.state_dir, *logs, *self.options])

    def kill(self):
        self.process.kill()

    def stop(self):
        """SIGTERM; returns the exit status."""
        return self.process.terminate()

    def wait(self, timeout=PATIENCE_SECONDS):
        """Waits for the end of an agent started with --once; returns the exit status."""
        return self.process.wait(timeout)


class EndToEndTest(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="mxtally-test-"))
        self._processes = []
        self.addCleanup(self._clean_up)

    def _clean_up(self):
        for process in self._processes:
            if process.running():
                process.kill()
        if self._failed():
            for process in self._processes:
                print(process.tail(), file=sys.stderr)
        shutil.rmtree(self.dir, ignore_errors=True)

    def _failed(self):
        return not self._outcome.success

    def start_process(self, name, command, environment=None):
        """Starts a program; `environment` holds variables beside those of the test."""
        process = Process(name, command, environment)
        self._processes.append(process)
        return process

    def start_server(self, *options, database=None, prefix=()):
        """Starts a server; `prefix`: a command that takes its command line as arguments."""
        return Server(self, database or self.dir / "mxtally.db", options, prefix)

    def start_agent(self, server, host, *logs, options=(), state_dir=None, transport=None):
        """Starts an agent that follows `logs` as `host`."""
        return Agent(self, server, host, logs, state_dir or self.dir / f"state-{host}", options,
                     transport)

    def read_once(self, server, host, *logs, options=(), state_dir=None):
        """Runs an agent to the end of `logs`; everything is committed when it returns."""
        agent = self.start_agent(server, host, *logs, options=("--once", *options),
                                 state_dir=state_dir)
        self.assertEqual(agent.wait(), 0, agent.process.tail())
        return agent

    def scan(self, *arguments, check=True):
        """Runs `mxtally-agent scan`; returns the finished process."""
        return self.run_program([agent_binary(), "scan", *arguments], check=check)

    def scan_sessions(self, *arguments):
        """The records of all peers' sessions, which hold no mail address, by direction."""
        records = collections.defaultdict(list)
        for line in self.scan("--sessions", "--peer-class", "all", *arguments).stdout.splitlines():
            self.assertNotIn("@", line)
            record = json.loads(line)
            records[record["direction"].removeprefix("DIRECTION_")].append(record)
        return records

    def wait_for_sessions(self, server, direction, count):
        """Waits until the server has so many of all peers' sessions; returns the total."""
        everyone = {"peer_classes": ["all"], "directions": [direction]}
        self.wait_until(lambda: server.total(filter=everyone)["sessions"] >= count,
                        lambda: f"{direction}: {count} sessions, {server.total(filter=everyone)}")
        total = server.total(filter=everyone)
        self.assertEqual(total["sessions"], count)
        return total

    def scan_json(self, *arguments):
        return json.loads(self.scan("--format", "json", *arguments).stdout)

    def run_program(self, command, check=True, timeout=PATIENCE_SECONDS, **options):
        """Runs a program to its end with its output kept; fails on a bad exit status."""
        command = [str(part) for part in command]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=timeout, check=False, preexec_fn=_die_with_parent, **options)
        if check and done.returncode != 0:
            self.fail(f"{' '.join(command)}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def wait_until(self, condition, what, timeout=PATIENCE_SECONDS):
        return wait_until(condition, what, timeout)


def main():
    unittest.main(verbosity=2)


def main_as_root():
    """For servers that need root: another user's test starts itself again with sudo, which must
    not ask for a password then."""
    if os.geteuid() != 0:
        os.execvp("sudo", ["sudo", "-n", "--preserve-env=MXTALLY_TEST_SERVER,MXTALLY_TEST_AGENT,GRPCURL,PATH",
                           sys.executable, "-B", *sys.argv])
    main()
