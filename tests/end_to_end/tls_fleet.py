"""A fleet over TLS: certificates from deploy/certs, and who calls with which."""

import os
import re
import time

import harness

CERTS = harness.ROOT / "deploy/certs"
INGEST = "mxtally.v1.IngestService/StreamSessions"


class TlsFleetTest(harness.EndToEndTest):
    def setUp(self):
        super().setUp()
        self.pki = self.dir / "pki"
        self.certs("server", "localhost", "127.0.0.1")
        self.certs("agent", "mx1", "mx2")
        self.certs("reader", "grafana")
        self.certs("token", "reader", "dash")
        self.certs("token", "operator", "chief")

    def certs(self, *words, pki=None, days=None):
        environment = dict(os.environ, **({"DAYS": str(days)} if days is not None else {}))
        self.run_program([CERTS, pki or self.pki, *words], env=environment)

    def certificate_of_tomorrow(self, name, usage, san):
        """Replaces NAME.pem and its key by such as become valid in a day."""
        ca = self.dir / "openssl-ca"
        ca.mkdir(exist_ok=True)
        (ca / "index.txt").write_text("")
        (ca / "openssl.cnf").write_text(
            f"[ca]\ndatabase = {ca}/index.txt\nrand_serial = yes\ndefault_md = sha256\npolicy = any\n"
            f"[any]\ncommonName = supplied\n"
            f"[extensions]\nextendedKeyUsage = {usage}\nsubjectAltName = {san}\n")
        start = time.time() + 86400
        dates = [time.strftime("%Y%m%d%H%M%SZ", time.gmtime(start + days * 86400)) for days in (0, 90)]
        key, request, certificate = ca / "key", ca / "csr", ca / "pem"
        self.run_program(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt",
                          "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-subj", f"/CN={name}",
                          "-out", request])
        self.run_program(["openssl", "ca", "-batch", "-notext", "-config", ca / "openssl.cnf",
                          "-name", "ca", "-extensions", "extensions", "-cert", self.pki / "ca.pem",
                          "-keyfile", self.pki / "ca.key", "-startdate", dates[0], "-enddate", dates[1],
                          "-outdir", ca, "-in", request, "-out", certificate])
        key.replace(self.pki / f"{name}.key")
        certificate.replace(self.pki / f"{name}.pem")

    def start_tls_server(self, *options):
        server = self.start_server(
            "--tls-cert", self.pki / "server.pem", "--tls-key", self.pki / "server.key",
            "--tls-client-ca", self.pki / "ca.pem", "--access", self.pki / "access", *options)
        server.transport = self.as_caller("grafana")
        return server

    def as_caller(self, name=None, token=None, pki=None):
        """Options of grpcurl for a caller with this certificate, or this token."""
        options = ["-cacert", self.pki / "ca.pem"]
        if name:
            pki = pki or self.pki
            options += ["-cert", pki / f"{name}.pem", "-key", pki / f"{name}.key"]
        if token:
            options += ["-H", f"authorization: Bearer {token}"]
        return options

    def start_tls_agent(self, server, name, *options, log=None, state_dir=None, pki=None):
        pki = pki or self.pki
        return self.start_agent(
            server, name, log or self.dir / "mail.log", options=options, state_dir=state_dir,
            transport=("--tls-ca", self.pki / "ca.pem", "--tls-cert", pki / f"{name}.pem",
                       "--tls-key", pki / f"{name}.key"))

    def metric(self, server, name):
        match = re.search(rf"^{re.escape(name)} (\S+)$", server.http("/metrics"), re.MULTILINE)
        return float(match[1]) if match else None

    def token(self, name):
        return (self.pki / f"{name}.token").read_text()

    def denied(self, server, transport, *words, protocol=None):
        """Calls that must fail; returns grpcurl's error output."""
        server.transport = transport
        options = ["-import-path", harness.ROOT / "proto", "-proto", protocol] if protocol else []
        done = server.grpcurl(*options, *words, check=False)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        return done.stderr
