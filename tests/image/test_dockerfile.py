"""The Dockerfile without a container engine: its toolchain, its command, and that nothing it needs is left behind."""

import re
import shutil
import subprocess
import tempfile
import tomllib
import unittest
from pathlib import Path

HERE = Path(__file__).parents[2]
DOCKERFILE = (HERE / "Dockerfile").read_text()


def ignored(pattern: str) -> re.Pattern:
    """A line of .dockerignore, as the engine reads it: from the top, with all that is below."""
    marks = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    return re.compile("".join(marks.get(part, re.escape(part)) for part in parts) + "(?:/.*)?")


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=HERE, check=True, capture_output=True, text=True).stdout
    return [path for path in listed.split("\0") if path]


def sent() -> list[str]:
    """The repository's files that `COPY . .` has."""
    lines = (HERE / ".dockerignore").read_text().split()
    # Neither is read here.
    assert not [line for line in lines if line[0] in "!#"]
    patterns = [ignored(line) for line in lines]
    return [path for path in tracked() if not any(pattern.fullmatch(path) for pattern in patterns)]


class Dockerfile(unittest.TestCase):
    def test_it_has_the_toolchain_that_the_repository_pins(self):
        pinned = tomllib.loads((HERE / "rust-toolchain.toml").read_text())["toolchain"]["channel"]
        (image,) = re.findall(r"^FROM rust:(\S+) AS build$", DOCKERFILE, re.M)
        self.assertRegex(image, rf"^{re.escape(pinned)}-\w+$")
        # Said in the environment, it comes before rust-toolchain.toml, whose components rustup would download.
        self.assertEqual(re.findall(r"^ENV RUSTUP_TOOLCHAIN=(\S+)$", DOCKERFILE, re.M), [pinned])

    def test_it_builds_what_is_locked(self):
        commands = re.findall(r"cargo build[^&\n]*", DOCKERFILE)
        self.assertEqual([command.split()[2:] for command in commands], [["--release", "--locked"]])
        # And makes the root of the program with the same times as image/build does.
        self.assertRegex(DOCKERFILE, r"(?m)^ARG SOURCE_DATE_EPOCH=0$")
        self.assertIn("&& image/root target/release/concordat /image", DOCKERFILE)

    def test_the_last_stage_is_nobodys(self):
        last = DOCKERFILE.split("FROM scratch\n")[1]
        self.assertRegex(last, r"(?m)^USER 65532:65532$")
        self.assertEqual(re.findall(r"(?m)^(?:COPY|ADD|RUN).*", last), ["COPY --from=build /image/ /"])

    def test_nothing_that_the_build_reads_is_left_behind(self):
        files = sent()
        with tempfile.TemporaryDirectory() as folder:
            for path in files:
                copy = Path(folder) / path
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(HERE / path, copy)
            # Cargo finds the package and its targets.
            metadata = ("cargo", "metadata", "--locked", "--no-deps", "--format-version=1")
            found = subprocess.run(metadata, cwd=folder, capture_output=True, text=True)
            self.assertEqual(found.returncode, 0, found.stderr)
            # What the program is compiled with, but for the parts that are compiled for tests alone.
            missing = []
            for source in Path(folder).glob("src/**/*.rs"):
                if "tests" in (source.stem, *(parent.name for parent in source.parents)):
                    continue
                for name in re.findall(r'include_(?:str|bytes)!\(\s*"([^"]*)"', source.read_text()):
                    if not (source.parent / name).exists():
                        missing.append(f"{source.relative_to(folder)}: {name}")
            self.assertEqual(missing, [])
        # And what else the sources are: all of it, and not only what a text of theirs names.
        whole = ("src/", "proto/", "agreements/", "migrations/", "registers/", "signposts/", "statistics/", "papers/")
        for path in tracked():
            if path.startswith(whole + ("image/", "Cargo.", "build.rs", "LICENSE")):
                self.assertIn(path, files)
        read = re.findall(r'rerun-if-changed=(\w+)|^const \w+: &str = "(\w+)/', (HERE / "build.rs").read_text(), re.M)
        self.assertLessEqual({f"{one or other}/" for one, other in read}, set(whole))
        self.assertGreaterEqual(len(read), 4)

    def test_what_is_secret_or_built_is_left_behind(self):
        lines = (HERE / ".dockerignore").read_text().split()
        for path in ("a.key", "certs/b/c.pem", "node.db-wal", "target/release/concordat", ".git/config", "tests/run"):
            self.assertTrue(any(ignored(line).fullmatch(path) for line in lines), path)


if __name__ == "__main__":
    unittest.main()
