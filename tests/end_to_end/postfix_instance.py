"""A Postfix of a test's own: configuration, queue, ports and log in a temporary
folder, everything on loopback, all mail discarded.  Needs root and the packages
postfix and openssl; the host's own Postfix, if any, is not touched.
"""

import os
import pathlib
import shutil
import subprocess

from harness import free_port, wait_until

# Service name in the syslog tag, and options beyond main.cf.
SERVICES = {
    "smtpd": "",
    "submission": "-o syslog_name=postfix/submission",
    "smtps": "-o syslog_name=postfix/smtps -o smtpd_tls_wrappermode=yes",
    # Gives up on silent clients at once.
    "impatient": "-o syslog_name=postfix/impatient -o smtpd_timeout=2s -o smtpd_starttls_timeout=2s",
}

MAIN_CF = """
compatibility_level = 3.6
myhostname = mx1.example.test
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
queue_directory = {dir}/queue
data_directory = {dir}/data
maillog_file_prefixes = {dir}
maillog_file = {log}
default_transport = discard:
relay_transport = discard:
local_transport = discard:
alias_maps =
in_flow_delay = 0
smtpd_error_sleep_time = 0
smtpd_recipient_restrictions = check_recipient_access inline:{{ {{ refused.test = REJECT }} }}, permit_mynetworks, reject
header_checks = regexp:{dir}/header_checks
# Every line shows the client's port, by which a test finds its session.
smtpd_client_port_logging = yes
smtpd_tls_security_level = may
smtpd_tls_cert_file = {dir}/cert.pem
smtpd_tls_key_file = {dir}/key.pem
smtpd_tls_protocols = >=TLSv1.2
smtpd_tls_mandatory_protocols = >=TLSv1.2
smtpd_tls_loglevel = {tls_loglevel}
"""

MASTER_CF = """
cleanup   unix       n - n - 0 cleanup
qmgr      unix       n - n 300 1 qmgr
tlsmgr    unix       - - n 1000? 1 tlsmgr
rewrite   unix       - - n - - trivial-rewrite
bounce    unix       - - n - 0 bounce
defer     unix       - - n - 0 bounce
trace     unix       - - n - 0 bounce
discard   unix       - - n - - discard
anvil     unix       - - n - 1 anvil
scache    unix       - - n - 1 scache
proxymap  unix       - - n - - proxymap
postlog   unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """Running until stop() or the end of `test`.  `ports` by service name; lines
    go to `log`, in UTC.  `main_cf` and `master_cf` are added to the
    configuration."""

    def __init__(self, test, directory, tls_loglevel, main_cf="", master_cf=""):
        if os.geteuid() != 0:
            raise RuntimeError("a Postfix of its own needs root: run the tests as root or with sudo")
        for tool, package in [("postfix", "postfix"), ("openssl", "openssl")]:
            if not shutil.which(tool, path="/usr/sbin:/usr/bin:" + os.environ["PATH"]):
                raise RuntimeError(f"{tool} is missing: install the package {package}")
        self.dir = pathlib.Path(directory)
        self.log = self.dir / "maillog"
        self.ports = {service: free_port() for service in SERVICES}
        self._write(tls_loglevel, main_cf, master_cf)
        self.log.touch()
        test.run_program(["/usr/sbin/postfix", "-c", self.dir, "check"])  # Makes the queue's folders.
        # Not detached, so that it ends with the test.
        daemons = test.run_program(["/usr/sbin/postconf", "-hd", "daemon_directory"]).stdout.strip()
        self._process = test.start_process("postfix", [
            "env", "TZ=UTC", f"{daemons}/master", "-c", self.dir, "-d"])
        wait_until(self._started, lambda: f"Postfix starts:\n{self.text()}{self._process.tail()}")

    def _write(self, tls_loglevel, main_cf, master_cf):
        self.dir.mkdir(parents=True)
        # Its daemons run as another user.
        for folder in [self.dir, *self.dir.parents]:
            if folder.stat().st_uid == 0 and folder.stat().st_mode & 0o777 == 0o700:
                folder.chmod(0o711)
        (self.dir / "queue").mkdir()
        (self.dir / "data").mkdir()
        shutil.chown(self.dir / "data", "postfix", "postfix")
        services = [f"127.0.0.1:{self.ports[name]} inet n - n - - smtpd {options}\n"
                    for name, options in SERVICES.items()]
        (self.dir / "main.cf").write_text(
            MAIN_CF.format(dir=self.dir, log=self.log, tls_loglevel=tls_loglevel) + main_cf)
        (self.dir / "master.cf").write_text("".join(services) + MASTER_CF + master_cf)
        (self.dir / "header_checks").write_text("/^Subject:/ WARN\n")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                        "-subj", "/CN=mx1.example.test", "-keyout", self.dir / "key.pem",
                        "-out", self.dir / "cert.pem"], check=True, capture_output=True)

    def _started(self):
        if not self._process.running():
            raise AssertionError(f"Postfix ended:\n{self.text()}{self._process.tail()}")
        return "daemon started" in self.text()

    def text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def wait_for_end_of_sessions(self, count):
        """Waits until so many sessions have ended and no message is left in the queue."""
        wait_until(lambda: self.text().count("]: disconnect from ") >= count,
                   lambda: f"{count} sessions end, {self.text().count(']: disconnect from ')} did")
        # Messages go from one to the next, and back to the first.
        wait_until(lambda: not any(path.is_file() for name in ("deferred", "incoming", "active", "deferred")
                                   for path in (self.dir / "queue" / name).rglob("*")), "queue is empty")
        # What was logged until now is behind the log's socket, whose reader ends with Postfix.
        subprocess.run(["/usr/sbin/postlog", "-c", self.dir, "all is logged"], check=True, capture_output=True)
        wait_until(lambda: "/postlog[" in self.text(), "all is logged")

    def stop(self):
        """Ends Postfix and whatever sessions it still has."""
        self._process.terminate()
