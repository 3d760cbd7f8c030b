"""The image as a cluster runs it: its root read-only, as nobody's user, with a volume, a name server and a database.

Needs root, to make that root; and what `.ci/install oci postgres checks` installs.
"""

import hashlib
import json
import re
import shutil
import unittest
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from machine import HERE, PROGRAM, USER, InTheImage, free_port, run, serve_names, until


class Image(InTheImage):
    def serve(self, volume: Path, *command):
        """A node with a volume that says that it serves."""
        running = self.start("serve", *command, mounts={"/var/lib/concordat": volume})
        said = "Try: " if "--dev" in command else '"message":"serving"'
        until(lambda: said in running.log() or running.ended(), "the node")
        self.assertFalse(running.ended(), running.log())
        return running

    def agreements(self, context: Path) -> list:
        """What an officer outside of the image is told."""
        return json.loads(run(PROGRAM, "agreement", "list", "-o", "json", "--context", context))["agreements"]

    def test_it_is_the_program_and_what_it_needs(self):
        files = {str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file()}
        libraries = {path for path in files if re.match(r"(usr/)?lib(64)?/", path)}
        texts = {path for path in files if path.startswith("usr/share/doc/")}
        packages = {path for path in files if path.startswith("var/lib/dpkg/status.d/")}
        rest = {"concordat", "etc/passwd", "etc/group", "etc/nsswitch.conf", "etc/resolv.conf"}
        self.assertEqual(files - libraries - texts - packages, rest)
        # Of each library's package, what it is and on which terms.
        self.assertEqual({Path(path).name for path in packages}, {Path(path).parts[-2] for path in texts} - {"concordat"})
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
        text = run(HERE / "image/sbom", self.root)
        self.assertIsNone(JsonStrictValidator(SchemaVersion.V1_5).validate_str(text))
        components = {component["name"]: component for component in json.loads(text)["components"]}
        documented = {path.parent.name for path in self.root.glob("usr/share/doc/*/copyright")}
        self.assertLessEqual(documented, set(components))
        self.assertTrue(components["rustls"]["hashes"])
        # What is only for tests, and what only makes the program.
        self.assertFalse({"proptest", "protox", "serde_derive"} & set(components))
        # Of the libraries what the image has, wherever the bill is made.
        another = self.volume()
        states = shutil.copytree(self.root / "var/lib/dpkg", another / "var/lib/dpkg") / "status.d/libc6"
        states.write_text(re.sub("(?m)^Version: .*", "Version: 9.99-1", states.read_text()))
        purls = [component.get("purl") for component in json.loads(run(HERE / "image/sbom", another))["components"]]
        self.assertIn("pkg:deb/debian/libc6@9.99-1", purls)

    def test_it_opens_sqlite_and_answers(self):
        volume = self.volume()
        self.serve(volume, "--dev", "--folder", "/var/lib/concordat/dev")
        self.assertTrue(self.agreements(volume / "dev/ico-case-officer.toml"))
        self.assertEqual((volume / "dev/node-dev/node.db").stat().st_uid, USER)
        # The same where it may not write: it is the root that keeps it out.
        denied = self.start("serve", "--dev", "--folder", "/etc/concordat/dev")
        until(denied.ended, "an end")
        self.assertIn("Read-only file system", denied.log())

    def test_it_finds_postgresql_by_its_name_and_answers(self):
        serve_names()
        database = self.postgresql()
        volume = self.volume()
        # A developer's node is there for its officers, whom the other one knows as well.
        self.serve(volume, "--dev", "--folder", "/var/lib/concordat/dev").stop()
        node, port = volume / "dev/node-dev", free_port()
        text = (node / "node.toml").read_text().replace("127.0.0.1:0", f"127.0.0.1:{port}")
        url = f"postgres://postgres:secret@database.test:{database}/postgres"
        (node / "postgresql.toml").write_text(text.replace("sqlite:node.db", url))
        self.serve(volume, "--config", "/var/lib/concordat/dev/node-dev/postgresql.toml")
        context = volume / "dev/ico-case-officer.toml"
        context.write_text(re.sub(r"(?m)^server = .*", f'server = "127.0.0.1:{port}"', context.read_text()))
        self.assertTrue(self.agreements(context))


if __name__ == "__main__":
    unittest.main()
