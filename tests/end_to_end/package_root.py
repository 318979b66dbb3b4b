"""Servers of Debian packages that conflict with the host's own: extracted, with all that
they depend on, into a folder that a test runs them in, by chroot.

Needs root, apt-get and a package archive.  Nothing is installed.
"""

import fcntl
import os
import pathlib
import re
import shutil
import socket
import stat
import subprocess
import threading

import harness

CACHE = harness.ROOT / "build" / "tools" / "packages"


def _apt(options, *arguments):
    settings = [text for option in options for text in ("-o", option)]
    return subprocess.run(["apt-get", "-q", "-y", *settings, *arguments], capture_output=True, text=True, check=False)


def downloaded(packages, suite=None):
    """Files of the packages and their dependencies, of this host's release or of a suite
    of Debian's archive."""
    folder = CACHE / (suite or "host") / "-".join(packages)
    done = folder / "complete"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        # apt-get's own locks are common to all tests, and it does not wait for them.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            _download(folder, packages, suite)
            done.touch()
    return sorted(folder.glob("*.deb"))


def _download(folder, packages, suite):
    (folder / "partial").mkdir(parents=True, exist_ok=True)
    # As if nothing was installed, so that everything is downloaded.
    options = ["Dir::State::status=/dev/null", f"Dir::Cache::archives={folder}", "APT::Sandbox::User=root",
               "APT::Install-Recommends=false", "Acquire::Retries=5"]
    update = False
    if suite is not None:
        lists = CACHE / suite / "lists"
        (lists / "partial").mkdir(parents=True, exist_ok=True)
        sources = CACHE / suite / "sources.list"
        sources.write_text("deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] "
                           f"http://deb.debian.org/debian {suite} main\n")
        options += [f"Dir::State::lists={lists}", f"Dir::Etc::sourcelist={sources}",
                    "Dir::Etc::sourceparts=/nonexistent", f"Dir::Cache={CACHE / suite}"]
        update = True
    for attempt in range(2):
        if update:
            _apt(options, "update")
        result = _apt(options, "--download-only", "install", *packages)
        if result.returncode == 0:
            break
        update = True
    else:
        raise RuntimeError(f"apt-get --download-only install {packages}: {result.stdout}{result.stderr}")


class Syslog:
    """A socket as /dev/log; lines go to `log` behind host name and, as rsyslog writes
    them by default, the stamp that they came with."""

    def __init__(self, path, log, host="mx1"):
        path.parent.mkdir(parents=True, exist_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._socket.bind(str(path))
        self._path = str(path)
        self._marks = {}
        path.chmod(0o666)
        self._log = log.open("ab", buffering=0)
        self._host = host.encode()
        threading.Thread(target=self._read, daemon=True).start()

    def flush(self):
        """Waits until everything that was logged is in the file."""
        seen = threading.Event()
        mark = f"mark {id(seen)}".encode()
        self._marks[mark] = seen
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(mark, self._path)
        if not seen.wait(harness.PATIENCE_SECONDS):
            raise AssertionError(f"{self._path} is read")

    def _read(self):
        while True:
            datagram = self._socket.recv(65536)
            if datagram in self._marks:
                self._marks.pop(datagram).set()
                continue
            # "<22>Nov 28 05:49:00 tag[1]: text", and libraries of newer kinds escape nothing.
            line = re.sub(rb"^<\d+>", b"", datagram).rstrip(b"\0\n")
            stamp, rest = line[:15], line[16:]
            self._log.write(stamp + b" " + self._host + b" " + rest.replace(b"\n", b"#012") + b"\n")


class PackageRoot:
    """A folder with the extracted packages and what their programs need to run in it."""

    def __init__(self, directory, packages, users=(), suite=None):
        self.dir = pathlib.Path(directory)
        self.dir.mkdir(parents=True)
        for folder in [self.dir, *self.dir.parents]:
            if folder.stat().st_uid == 0 and folder.stat().st_mode & 0o777 == 0o700:
                folder.chmod(0o711)
        # As on a host with merged /usr, which packages of either kind fit.
        for name in ("bin", "sbin", "lib", "lib64"):
            (self.dir / "usr" / name).mkdir(parents=True)
            (self.dir / name).symlink_to(f"usr/{name}")
        for package in downloaded(packages, suite):
            files = subprocess.run(["dpkg-deb", "--fsys-tarfile", package], check=True,
                                   stdout=subprocess.PIPE).stdout
            subprocess.run(["tar", "-x", "--keep-directory-symlink", "-C", self.dir], input=files, check=True)
        for folder in ("dev", "tmp", "run", "var/run", "var/spool", "var/empty", "etc/ssl/certs", "root"):
            (self.dir / folder).mkdir(parents=True, exist_ok=True)
        (self.dir / "tmp").chmod(0o1777)
        for name, minor in (("null", 3), ("zero", 5), ("random", 8), ("urandom", 9)):
            os.mknod(self.dir / "dev" / name, 0o666 | stat.S_IFCHR, os.makedev(1, minor))
            (self.dir / "dev" / name).chmod(0o666)
        self._write_users(users)
        self.write("etc/hosts", "127.0.0.1 localhost\n::1 localhost\n")
        self.write("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n")
        self.write("etc/hostname", "mx1.example.test\n")
        self.write("etc/mailname", "mx1.example.test\n")
        for file in ("etc/services", "etc/protocols"):
            if pathlib.Path("/", file).exists():
                shutil.copy(pathlib.Path("/", file), self.dir / file)

    def _write_users(self, users):
        passwd = "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/nonexistent:/bin/false\n"
        group = "root:x:0:\nnogroup:x:65534:\nmail:x:8:\ndaemon:x:1:\nbin:x:2:\ntty:x:5:\n"
        for number, user in enumerate(users, start=900):
            passwd += f"{user}:x:{number}:{number}::/var/empty:/bin/false\n"
            group += f"{user}:x:{number}:\n"
        self.write("etc/passwd", passwd)
        self.write("etc/group", group)

    def write(self, path, text):
        file = self.dir / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def certificate(self, folder, name):
        """Makes FOLDER/NAME.pem and .key, of the root alone."""
        path = self.dir / folder
        path.mkdir(parents=True, exist_ok=True)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                        f"/CN={name}.example.test", "-keyout", path / f"{name}.key", "-out", path / f"{name}.pem"],
                       check=True, capture_output=True)
        for suffix in ("key", "pem"):
            (path / f"{name}.{suffix}").chmod(0o600)

    def command(self, *arguments):
        """What runs a program inside."""
        return ["env", "-i", "PATH=/usr/sbin:/usr/bin", "TZ=UTC", "chroot", self.dir, *arguments]
