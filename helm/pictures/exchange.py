"""A node of two pods on one PostgreSQL with its agencies, and a Prometheus that watches it: real processes."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

sys.path.append(str(Path(__file__).parents[2] / "tests/helm"))
from chart import of_kind, render  # noqa: E402

# What the chart's ServiceMonitor and the Prometheus operator add to each series of the chart's release.
NAMESPACE, JOB = "exchange", "concordat-ops"
AGENCIES = ("ncsc", "ico", "nca")
PODS = ("concordat-0", "concordat-1")
SCRAPE_SECONDS = 5
AUDIENCE = "https://concordat.ncsc.example"
PURPOSES = ["harm-reduction", "regulatory-assessment", "serious-organised-crime"]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait_for(url: str, seconds: float = 60) -> None:
    """Returns when it answers 200."""
    until = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2):
            return
        if time.monotonic() > until:
            raise TimeoutError(f"{url} does not answer")
        time.sleep(0.2)


class Exchange:
    """The NCSC's node, whom the ICO and the NCA ask. Everything ends with the `with` block."""

    def __init__(self, folder: Path, program: Path, prometheus: Path):
        self.folder, self.program, self.prometheus = folder, program, prometheus
        self.ports = {pod: free_port() for pod in PODS}
        self.probes = {pod: free_port() for pod in PODS}
        self.database, self.monitor = free_port(), free_port()
        self.running: dict[str, subprocess.Popen] = {}
        self.ends = contextlib.ExitStack()

    def __enter__(self) -> "Exchange":
        with self.ends:
            self.make_agencies()
            self.start_postgresql()
            self.make_node()
            for pod in PODS:
                self.start_pod(pod)
            self.start_prometheus()
            self.ends = self.ends.pop_all()
        return self

    def __exit__(self, *_) -> None:
        self.ends.close()

    def concordat(self, *arguments) -> str:
        done = subprocess.run([self.program, *arguments], cwd=self.folder, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"concordat {' '.join(map(str, arguments))}: {done.stderr}")
        return done.stdout

    def spawn(self, name: str, *command) -> None:
        with (self.folder / f"{name}.log").open("a") as log:
            self.running[name] = subprocess.Popen(
                command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.ends.callback(self.stop, name)

    def stop(self, name: str) -> None:
        """Tells a process to end, and waits for it."""
        if process := self.running.pop(name, None):
            process.terminate()
            process.wait(30)

    # Agencies, their authorities, systems and officers.

    def make_agencies(self) -> None:
        for agency in AGENCIES:
            self.make_authority(agency)
            self.issue(agency, "case-system", "30d")
            key = Ed25519PrivateKey.generate()
            (self.folder / agency / "token.key").write_bytes(
                key.private_bytes(
                    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
                )
            )
            (self.folder / agency / "token.pem").write_bytes(
                key.public_key().public_bytes(
                    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
                )
            )

    def make_authority(self, agency: str, name: str = "authority", valid: str = "365d") -> None:
        domain = ("--trust-domain", f"{agency}.example", "--name", f"{agency.upper()} {name}")
        self.concordat("certs", "init", *domain, "--valid", valid, "--authority", f"{agency}/{name}")

    def issue(self, agency: str, system: str, valid: str, *more: str) -> None:
        """A certificate, in place of the one before: `<agency>/<system>.pem` and `.key`."""
        where = ("--authority", f"{agency}/authority", "--out", f"{agency}/{system}", "--force")
        self.concordat("certs", "issue", system, "--valid", valid, *where, *more)

    def context(self, agency: str, officer: str, roles: list[str], first: str, system: str = "case-system") -> Path:
        """A context file of an officer whose system prefers the pod `first`, and takes the other when that is gone."""
        pods = [first, *(pod for pod in PODS if pod != first)]
        path = self.folder / f"{agency}-{officer}-{system}.toml"
        path.write_text(f"""\
server = "ipv4:{",".join(f"127.0.0.1:{self.ports[pod]}" for pod in pods)}"
server_name = "localhost"
roots_file = "ncsc/authority/authority.pem"
certificate_file = "{agency}/{system}.pem"
key_file = "{agency}/{system}.key"
[token]
key_file = "{agency}/token.key"
kid = "{agency}-1"
issuer = "https://tokens.{agency}.example"
audience = "{AUDIENCE}"
officer = "{officer}"
unit = "incident-desk"
roles = {roles}
purposes = {PURPOSES}
""")
        return path

    # The node.

    def start_postgresql(self) -> None:
        programs = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
        folder = self.folder / "postgresql"
        folder.mkdir()
        # The server does not run as root.
        by = () if os.geteuid() else ("runuser", "-u", "postgres", "--")
        if by:
            shutil.chown(folder, "postgres")
        initdb = (programs / "initdb", "--pgdata", folder, "--no-sync", "--auth=trust", "--username=concordat")
        subprocess.run([*by, *initdb], check=True, stdout=subprocess.DEVNULL, cwd="/")
        options = f"-p {self.database} -c unix_socket_directories= -c listen_addresses=127.0.0.1"
        control = (*by, programs / "pg_ctl", "--pgdata", folder, "--wait")
        start = (*control, "start", "-o", options, "-l", folder / "log")
        subprocess.run(start, check=True, stdout=subprocess.DEVNULL, cwd="/")
        stop = (*control, "stop", "-m", "immediate")
        self.ends.callback(subprocess.run, stop, stdout=subprocess.DEVNULL, cwd="/")
        self.sql("CREATE DATABASE node", "postgres")

    def sql(self, statement: str, database: str = "node") -> None:
        url = f"postgres://concordat@127.0.0.1:{self.database}/{database}"
        subprocess.run(["psql", url, "--quiet", "--command", statement], check=True, stdout=subprocess.DEVNULL)

    def make_node(self) -> None:
        self.issue("ncsc", "server", "90d", "--address", "localhost,127.0.0.1")
        private, public = self.concordat("ledger", "keygen", AUDIENCE.removeprefix("https://")).splitlines()[:2]
        self.write_private("ledger.key", private)
        self.write_private("node.secret", os.urandom(32).hex())
        # The ICO's node has a ledger of its own, whose key ends in some weeks.
        other = self.concordat("ledger", "keygen", "concordat.ico.example").splitlines()[1]
        (self.folder / "ico-ledger.pub").write_text(other)
        for pod in PODS:
            (self.folder / pod).mkdir()
            for agency in AGENCIES:
                self.deliver(agency, "authority/authority.pem", "roots.pem", [pod])
                self.deliver(agency, "authority/lists.pem", "lists.pem", [pod])
            self.deliver_certificate([pod])
            (self.folder / f"{pod}.toml").write_text(self.configuration(pod))

    def write_private(self, name: str, text: str) -> None:
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(text + "\n")

    def deliver(self, agency: str, file: str, name: str, pods=PODS) -> None:
        """Puts an agency's file in place in the pods, at once and whole, as a mounted Secret changes."""
        for pod in pods:
            new = shutil.copy(self.folder / agency / file, self.folder / pod / f"{agency}-{name}.new")
            os.replace(new, self.folder / pod / f"{agency}-{name}")

    def deliver_certificate(self, pods=PODS) -> None:
        self.deliver("ncsc", "server.key", "server.key", pods)
        self.deliver("ncsc", "server.pem", "server.pem", pods)

    def configuration(self, pod: str) -> str:
        until = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 50 * 86400))
        agencies = "".join(f"""
[[agency]]
id = "{agency}"
trust_domain = "{agency}.example"
roots_file = "{pod}/{agency}-roots.pem"
revocation_lists_file = "{pod}/{agency}-lists.pem"
{holds}
[[agency.issuer]]
issuer = "https://tokens.{agency}.example"
roles = ["requester", "recorder", "verifier", "authoriser", "operator", "auditor", "statistician"]
key = [{{ kid = "{agency}-1", public_key_file = "{agency}/token.pem" }}]
""" for agency, holds in [
            ("ncsc", '[agency.holds]\nduty_desk = "invented"\ncorrection_contact = "corrections@ncsc.example"'),
            ("ico", f'[[agency.ledger]]\nkey_file = "ico-ledger.pub"\nfrom = "2025-01-01"\nuntil = "{until}"'),
            ("nca", ""),
        ])
        return f"""\
[node]
listen = "127.0.0.1:{self.ports[pod]}"
audience = "{AUDIENCE}"
database = "postgres://concordat@127.0.0.1:{self.database}/node?sslmode=disable"
secret_file = "node.secret"
ledger_key_file = "ledger.key"
[tls]
certificate_file = "{pod}/ncsc-server.pem"
key_file = "{pod}/ncsc-server.key"
[ops]
listen = "127.0.0.1:{self.probes[pod]}"
[log]
level = "warn"
{agencies}"""

    def start_pod(self, pod: str) -> None:
        self.spawn(pod, self.program, "serve", "--config", f"{pod}.toml")
        wait_for(f"http://127.0.0.1:{self.probes[pod]}/readyz")

    def start_prometheus(self) -> None:
        """With the rules of the chart's PrometheusRule, as its operator would hand them over."""
        (rule,) = of_kind(render("everything"), "PrometheusRule")
        (self.folder / "rules.yaml").write_text(yaml.safe_dump(rule["spec"]))
        labels = {"namespace": NAMESPACE, "service": JOB, "endpoint": "ops", "container": "concordat"}
        configuration = {
            "global": {"scrape_interval": f"{SCRAPE_SECONDS}s", "evaluation_interval": f"{SCRAPE_SECONDS}s"},
            "rule_files": ["rules.yaml"],
            "scrape_configs": [
                {
                    "job_name": JOB,
                    "static_configs": [
                        {"targets": [f"127.0.0.1:{self.probes[pod]}"], "labels": {**labels, "pod": pod}} for pod in PODS
                    ],
                }
            ],
        }
        (self.folder / "prometheus.yaml").write_text(yaml.safe_dump(configuration))
        self.spawn(
            "prometheus",
            self.prometheus,
            f"--config.file={self.folder}/prometheus.yaml",
            f"--storage.tsdb.path={self.folder}/series",
            f"--web.listen-address=127.0.0.1:{self.monitor}",
        )
        wait_for(f"{self.url}/-/ready")

    @property
    def url(self) -> str:
        """Where Prometheus answers."""
        return f"http://127.0.0.1:{self.monitor}"
