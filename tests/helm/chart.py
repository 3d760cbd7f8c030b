"""Renders the chart with the real Helm."""

import os
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm/concordat"
TOOLS = Path(os.environ.get("CONCORDAT_TOOLS_DIR", Path.home() / ".cache/concordat/tools"))
SCENARIOS = sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").glob("*-values.yaml"))
KUBERNETES = "1.37.0"


class Turned(Exception):
    """Helm took the values not; with what it said."""


def helm(*arguments) -> str:
    done = subprocess.run([TOOLS / "bin/helm", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise Turned(done.stderr)
    return done.stdout


@cache
def render(
    scenario: str, *sets: str, release: str = "concordat", namespace: str = "exchange", chart: Path = CHART
) -> list[dict]:
    """What the chart makes of a scenario of ci/ and `--set` of each of `sets`."""
    more = [argument for one in sets for argument in ("--set-json", one)]
    values = CHART / f"ci/{scenario}-values.yaml"
    return template(values, *more, release=release, namespace=namespace, chart=chart)


def template(values: Path, *more: str, release="concordat", namespace="exchange", chart: Path = CHART) -> list[dict]:
    """What the chart makes of a file of values."""
    where = ("--namespace", namespace, "--kube-version", KUBERNETES)
    out = helm("template", release, chart, *where, "--values", values, *more)
    return [document for document in yaml.load_all(out, yaml.CSafeLoader) if document]


def of_kind(documents: list[dict], kind: str) -> list[dict]:
    return [document for document in documents if document["kind"] == kind]


def named(documents: list[dict], kind: str, name: str) -> dict:
    return next(document for document in of_kind(documents, kind) if document["metadata"]["name"] == name)


def pods(documents: list[dict]) -> list[dict]:
    """Every pod, as metadata and spec."""
    templates = [d["spec"]["template"] for d in documents if d["kind"] in ("Deployment", "Job")]
    return templates + of_kind(documents, "Pod")


def node(documents: list[dict]) -> dict:
    return of_kind(documents, "Deployment")[0]["spec"]["template"]


def containers(pod: dict) -> list[dict]:
    return pod["spec"].get("initContainers", []) + pod["spec"]["containers"]


def configuration(documents: list[dict]) -> str:
    return named(documents, "ConfigMap", "concordat")["data"]["node.toml"]


def program(*arguments, folder: str | None = None) -> subprocess.CompletedProcess:
    """Runs the program that is under test."""
    return subprocess.run([os.environ["CONCORDAT"], *arguments], capture_output=True, text=True, cwd=folder)


def in_folder(name: str, text: str) -> tuple[tempfile.TemporaryDirectory, Path]:
    folder = tempfile.TemporaryDirectory()
    path = Path(folder.name) / name
    path.write_text(text)
    return folder, path
