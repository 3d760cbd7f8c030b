"""The image in a root of its own, and what it runs beside: a name server and a database."""

import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import unittest
from functools import cache
from pathlib import Path

HERE = Path(__file__).parents[2]
PROGRAM = Path(os.environ["CONCORDAT"]).resolve()
NAME_SERVER = "127.7.7.7"
USER = 65532
# Enters the root, read-only but for what is mounted: pairs of folder and place, up to `--`.
ENTER = """
mount --bind "$0" "$0" && mount --options remount,ro,bind "$0"
mount --types tmpfs tmpfs "$0/tmp"
while [[ $1 != -- ]]; do mount --bind "$1" "$0$2"; shift 2; done
shift
exec chroot --userspec=65532:65532 "$0" "$@"
"""


def run(*command) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


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


@cache
def serve_names():
    """Starts the name server of the root, for as long as the tests run."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((NAME_SERVER, 53))
    threading.Thread(target=answer_names, args=[server], daemon=True).start()


def answer_names(server: socket.socket):
    """Answers each question of a name server: an address of version 4 is 127.0.0.1, of others there are none."""
    while True:
        question, asker = server.recvfrom(512)
        end = question.index(b"\0", 12) + 5
        known = question[end - 4 : end - 2] == b"\0\x01"
        head = question[:2] + b"\x81\x80\0\x01" + (b"\0\x01" if known else b"\0\0") + b"\0\0\0\0"
        record = b"\xc0\x0c\0\x01\0\x01\0\0\0\x01\0\x04\x7f\0\0\x01" if known else b""
        server.sendto(head + question[12:end] + record, asker)


class Running:
    """The image's program in its root, with folders mounted at places of it."""

    def __init__(self, root: Path, *command, mounts: dict[str, Path], environment: dict[str, str]):
        self.output = tempfile.NamedTemporaryFile("w+")
        mounted = [part for place, folder in mounts.items() for part in (folder, place)]
        enter = ("unshare", "--mount", "bash", "-ec", ENTER, root, *mounted, "--", "/concordat", *command)
        environment = {"PATH": os.environ["PATH"]} | environment
        self.process = subprocess.Popen(enter, stdout=self.output, stderr=self.output, env=environment)

    def log(self) -> str:
        return Path(self.output.name).read_text()

    def ended(self) -> bool:
        return self.process.poll() is not None

    def stop(self) -> int:
        """Its exit code. It has ten seconds for calls under way."""
        self.process.terminate()
        return self.process.wait(30)


class InTheImage(unittest.TestCase):
    """A test with the image's files in `root`, and a `folder` to write to."""

    @classmethod
    def setUpClass(cls):
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.folder.chmod(0o755)
        run(HERE / "image/build", PROGRAM, f"{cls.folder}/image")
        run("umoci", "unpack", "--image", f"{cls.folder}/image:latest", f"{cls.folder}/bundle")
        cls.root = cls.folder / "bundle/rootfs"
        (cls.root / "etc/resolv.conf").write_text(f"nameserver {NAME_SERVER}\n")

    def volume(self) -> Path:
        """A new folder that the image's user may write to."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        os.chown(folder, USER, USER)
        return folder

    def start(self, *command, mounts=None, environment=None) -> Running:
        running = Running(self.root, *command, mounts=mounts or {}, environment=environment or {})
        self.addCleanup(running.stop)
        return running

    def postgresql(self, *statements: str) -> int:
        """Starts a database server that asks for passwords, and gives its port; the administrator's is `secret`."""
        programs = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
        folder, port = self.volume(), free_port()
        password = self.folder / "administrator"
        password.write_text("secret")
        shutil.chown(folder, "postgres")
        as_postgres = ("runuser", "-u", "postgres", "--")
        initdb = (programs / "initdb", "--pgdata", folder, "--auth", "scram-sha-256", "--pwfile", password)
        run(*as_postgres, *initdb)
        options = f"-p {port} -c unix_socket_directories= -c listen_addresses=127.0.0.1"
        control = (*as_postgres, programs / "pg_ctl", "--pgdata", folder)
        subprocess.run([*control, "start", "-o", options, "-l", folder / "log"], check=True, stdout=subprocess.DEVNULL)
        self.addCleanup(run, *control, "stop", "-m", "immediate")
        psql = (programs / "psql", f"postgres://postgres:secret@127.0.0.1:{port}/postgres", "--quiet")
        for statement in statements:
            subprocess.run(psql, check=True, input=statement, text=True)
        return port
