"""The image as a cluster runs it: its root read-only, as nobody's user, with a volume, a name server and a database.

Needs root, to make that root; and what `.ci/install oci postgres checks` installs.
"""

import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

HERE = Path(__file__).parents[2]
PROGRAM = Path(os.environ["CONCORDAT"]).resolve()
NAME_SERVER = "127.7.7.7"
# Enters the root. Only what a cluster would mount can be written to.
ENTER = """
mount --bind "$0" "$0" && mount --options remount,ro,bind "$0"
mount --types tmpfs tmpfs "$0/tmp"
mount --bind "$0.volume" "$0/var/lib/concordat"
exec chroot --userspec=65532:65532 "$0" "$@"
"""


def run(*command) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def until(true, what: str):
    """Waits for what is true, and gives it."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if found := true():
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited in vain for {what}")


def answer_names(server: socket.socket):
    """Answers each question of a name server: an address of version 4 is 127.0.0.1, of others there are none."""
    while True:
        try:
            question, asker = server.recvfrom(512)
        except OSError:
            return
        end = question.index(b"\0", 12) + 5
        known = question[end - 4 : end - 2] == b"\0\x01"
        head = question[:2] + b"\x81\x80\0\x01" + (b"\0\x01" if known else b"\0\0") + b"\0\0\0\0"
        record = b"\xc0\x0c\0\x01\0\x01\0\0\0\x01\0\x04\x7f\0\0\x01" if known else b""
        server.sendto(head + question[12:end] + record, asker)


class Running:
    """The image's program in its root."""

    def __init__(self, root: Path, *command):
        self.output = tempfile.NamedTemporaryFile("w+")
        enter = ("unshare", "--mount", "bash", "-ec", ENTER, root, "/concordat", *command)
        self.process = subprocess.Popen(enter, stdout=self.output, stderr=self.output, env={"PATH": os.environ["PATH"]})

    def log(self) -> str:
        return Path(self.output.name).read_text()

    def ended(self) -> bool:
        return self.process.poll() is not None

    def stop(self) -> int:
        """Its exit code. It has ten seconds for calls under way."""
        self.process.terminate()
        return self.process.wait(30)


class Image(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        cls.folder = Path(folder)
        os.chmod(folder, 0o755)
        run(HERE / "image/build", PROGRAM, f"{folder}/image")
        run("umoci", "unpack", "--image", f"{folder}/image:latest", f"{folder}/bundle")
        cls.root = cls.folder / "bundle/rootfs"
        cls.volume = cls.folder / "bundle/rootfs.volume"
        cls.volume.mkdir()
        os.chown(cls.volume, 65532, 65532)
        (cls.root / "etc/resolv.conf").write_text(f"nameserver {NAME_SERVER}\n")

    def start(self, *command) -> "Running":
        running = Running(self.root, *command)
        self.addCleanup(running.stop)
        return running

    def serve(self, *command) -> "Running":
        running = self.start("serve", *command)
        said = "Try: " if "--dev" in command else '"message":"serving"'
        until(lambda: said in running.log() or running.ended(), "the node")
        self.assertFalse(running.ended(), running.log())
        return running

    def agreements(self, context: Path) -> list:
        """What an officer outside of the image is told."""
        return json.loads(run(PROGRAM, "agreement", "list", "-o", "json", "--context", context))["agreements"]

    def test_it_is_the_program_and_what_it_needs(self):
        files = {str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file()}
        libraries = {path for path in files if re.search(r"lib(64)?/", path)}
        texts = {path for path in files if path.startswith("usr/share/doc/")}
        rest = {"concordat", "etc/passwd", "etc/group", "etc/nsswitch.conf", "etc/resolv.conf"}
        self.assertEqual(files - libraries - texts, rest)
        self.assertLessEqual(
            {re.sub(r"[-.].*", "", Path(path).name) for path in libraries}, {"ld", "libc", "libm", "libgcc_s"}
        )
        self.assertEqual(len(texts), 3)
        for path in self.root.rglob("*"):
            # Nobody becomes somebody else, and nobody can write but to what is mounted.
            self.assertEqual(path.stat().st_mode & 0o6000, 0, path)
            self.assertTrue(path.name == "tmp" or path.stat().st_mode & 0o022 == 0, path)
        same = [hashlib.sha256(path.read_bytes()).digest() for path in (PROGRAM, self.root / "concordat")]
        self.assertEqual(*same)

    def test_it_says_how_to_run_it(self):
        config = json.loads(run("skopeo", "inspect", "--config", f"oci:{self.folder}/image:latest"))["config"]
        self.assertEqual((config["User"], config["Entrypoint"]), ("65532:65532", ["/concordat"]))
        self.assertEqual(set(config["ExposedPorts"]), {"8443/tcp", "9464/tcp"})
        self.assertEqual(config["Labels"]["org.opencontainers.image.licenses"], "Apache-2.0")

    def test_it_is_small_and_made_again_it_is_the_same(self):
        size = sum(path.stat().st_size for path in (self.folder / "image").rglob("*") if path.is_file())
        print(f"\nthe image has {size / 1e6:.1f} MB")
        self.assertLess(size, 25e6)
        run(HERE / "image/build", PROGRAM, f"{self.folder}/again")
        self.assertEqual((self.folder / "image/index.json").read_text(), (self.folder / "again/index.json").read_text())

    def test_its_bill_of_materials_is_valid_and_names_what_is_in_it(self):
        text = run(HERE / "image/sbom")
        self.assertIsNone(JsonStrictValidator(SchemaVersion.V1_5).validate_str(text))
        components = {component["name"]: component for component in json.loads(text)["components"]}
        documented = {path.parent.name for path in self.root.glob("usr/share/doc/*/copyright")}
        self.assertLessEqual(documented, set(components))
        self.assertTrue(components["rustls"]["hashes"])
        # What is only for tests, and what only makes the program.
        self.assertFalse({"proptest", "protox", "serde_derive"} & set(components))

    def test_it_opens_sqlite_and_answers(self):
        self.serve("--dev", "--folder", "/var/lib/concordat/dev")
        self.assertTrue(self.agreements(self.volume / "dev/ico-case-officer.toml"))
        self.assertEqual((self.volume / "dev/node-dev/node.db").stat().st_uid, 65532)
        # The same where it may not write: it is the root that keeps it out.
        denied = self.start("serve", "--dev", "--folder", "/etc/concordat/dev")
        until(denied.ended, "an end")
        self.assertIn("Read-only file system", denied.log())

    def test_it_finds_postgresql_by_its_name_and_answers(self):
        names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        names.bind((NAME_SERVER, 53))
        threading.Thread(target=answer_names, args=[names], daemon=True).start()
        self.addCleanup(names.close)
        database = self.postgresql()

        # A developer's node is there for its officers, whom the other one knows as well.
        developers = self.serve("--dev", "--folder", "/var/lib/concordat/pg")
        developers.stop()
        folder, port = self.volume / "pg/node-dev", free_port()
        text = (folder / "node.toml").read_text().replace("127.0.0.1:0", f"127.0.0.1:{port}")
        (folder / "pg.toml").write_text(
            text.replace("sqlite:node.db", f"postgres://postgres@database.test:{database}/postgres")
        )
        self.serve("--config", "/var/lib/concordat/pg/node-dev/pg.toml")
        context = self.volume / "pg/ico-case-officer.toml"
        context.write_text(re.sub(r"(?m)^server = .*", f'server = "127.0.0.1:{port}"', context.read_text()))
        self.assertTrue(self.agreements(context))

    def postgresql(self) -> int:
        """Starts a database server, and gives its port."""
        programs = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
        folder, port = self.folder / "database", free_port()
        folder.mkdir()
        shutil.chown(folder, "postgres")
        as_postgres = ("runuser", "-u", "postgres", "--")
        run(*as_postgres, programs / "initdb", "--pgdata", folder, "--auth", "trust")
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1"
        control = (*as_postgres, programs / "pg_ctl", "--pgdata", folder)
        subprocess.run([*control, "start", "-o", options, "-l", folder / "log"], check=True, stdout=subprocess.DEVNULL)
        self.addCleanup(run, *control, "stop", "-m", "immediate")
        return port


if __name__ == "__main__":
    unittest.main()
