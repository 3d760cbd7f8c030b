"""Draws the dashboards from a Prometheus, as Grafana would lay them out, without Grafana.

The panels, their places, queries, legends, units and thresholds are those of the JSON files: a query that Prometheus
turns down ends the program with the panel's name, and panels without data are listed. A kind of panel that is not
known here is an error, too.
"""

import argparse
import json
import math
import re
import string
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plot
from panel import FAINT, GAP, INK, PAGE, UNIT, WIDTH, Panel
from PIL import Image

# Without a screen.
matplotlib.use("agg")

DASHBOARDS = Path(__file__).parents[1] / "concordat/files/dashboards"


class Prometheus:
    """Its HTTP API, over the time of the pictures."""

    def __init__(self, url: str, begins: float, ends: float):
        self.url, self.begins, self.ends = url, begins, ends
        targets = self.api("targets", state="active")["activeTargets"]
        self.step = max(float(target["scrapeInterval"].removesuffix("s")) for target in targets)
        self.times = [begins + self.step * index for index in range(int((ends - begins) / self.step) + 1)]

    def api(self, path: str, **parameters):
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}") as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise ValueError(json.load(error)["error"]) from error

    def query(self, target: dict, variables: dict) -> list[dict]:
        """What a panel's target gives: at the end if it is instant, else over the whole time."""
        expression = fill(target["expr"], variables)
        if target.get("instant"):
            return self.api("query", query=expression, time=self.ends)["result"]
        span = {"start": self.begins, "end": self.ends, "step": self.step}
        return self.api("query_range", query=expression, **span)["result"]

    def variables(self, dashboard: dict) -> dict:
        """The dashboard's variables, each with its first value; and Grafana's shortest interval for rates."""
        values = {"__rate_interval": f"{4 * self.step:.0f}s"}
        for variable in dashboard["templating"]["list"]:
            if variable["type"] == "query":
                series, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]).groups()
                found = self.api(f"label/{label}/values", **{"match[]": fill(series, values)})
                values[variable["name"]] = found[0]
        return values


def fill(text: str, variables: dict) -> str:
    return re.sub(r"\$(\w+)", lambda name: variables[name[1]], text)


def draw(prometheus: Prometheus, file: Path, out: Path, steps: list[dict], caption: str) -> list[str]:
    """Makes the picture of one dashboard, and gives the titles of its panels without data."""
    dashboard = json.loads(file.read_text())
    variables = prometheus.variables(dashboard)
    panels = dashboard["panels"]
    grid = GAP + UNIT * max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    half = math.ceil(len(steps) / 2)
    height = grid + 50 + 18 * half
    figure = plot.figure(figsize=(WIDTH / 100, height / 100), dpi=100, facecolor=PAGE)
    empty = []

    def write(x: float, y: float, text: str, **more) -> None:
        figure.text(x / WIDTH, 1 - y / height, text, color=INK, va="center", **more)

    for one in panels:
        if one["type"] == "row":
            write(GAP, GAP + one["gridPos"]["y"] * UNIT + 15, f"⌄ {one['title']}", size=11, weight="bold")
            continue
        try:
            results = [(target, prometheus.query(target, variables)) for target in one["targets"]]
            panel = Panel(figure, height, one, prometheus.times, results)
            if any(result for _, result in results):
                getattr(panel, f"draw_{one['type']}")(steps)
            else:
                panel.text(panel.x + panel.w / 2, panel.y + panel.h / 2, "No data", 12, FAINT, ha="center")
                empty.append(one["title"])
        except (ValueError, KeyError, AttributeError) as error:
            raise SystemExit(f"{file.name}, panel {one['id']} “{one['title']}”: {error!r}") from error
    begins, ends = (time.strftime("%H:%M:%S", time.gmtime(at)) for at in (prometheus.begins, prometheus.ends))
    note = f"“{dashboard['title']}”, {begins} to {ends} UTC: the dashboard's own panels and queries, drawn by "
    note += f"helm/pictures/draw.py and not by Grafana. {caption}"
    write(GAP, grid + 18, note, size=9)
    for place, (letter, step) in enumerate(zip(string.ascii_lowercase, steps)):
        x, y = GAP + place // half * WIDTH / 2, grid + 42 + 18 * (place % half)
        write(x, y, f"{letter}   {step['text']}", size=8.5)
    out.mkdir(parents=True, exist_ok=True)
    picture = out / f"dashboard-{file.stem}.png"
    figure.savefig(picture, facecolor=PAGE)
    plot.close(figure)
    Image.open(picture).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(picture, optimize=True)
    print(f"{picture}: {picture.stat().st_size // 1024} KiB, {len(panels)} panels and rows")
    return empty


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prometheus", required=True, metavar="URL", help="where Prometheus answers")
    parser.add_argument("--minutes", type=float, default=60, help="how much time (default: 60)")
    parser.add_argument("--until", type=float, metavar="SECONDS", help="when it ends, since 1970 (default: now)")
    parser.add_argument("--steps", type=Path, help='what was done when: JSON, [{"at": SECONDS, "text": …}]')
    parser.add_argument("--caption", default="", help="what was measured")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where the pictures go")
    parser.add_argument("--strict", action="store_true", help="fail if a panel has no data")
    arguments = parser.parse_args()
    steps = json.loads(arguments.steps.read_text()) if arguments.steps else []
    ends = int(arguments.until or time.time())
    prometheus = Prometheus(arguments.prometheus, ends - int(60 * arguments.minutes), ends)
    empty = []
    for file in sorted(DASHBOARDS.glob("*.json")):
        titles = draw(prometheus, file, arguments.out, steps, arguments.caption)
        empty += [f"{file.name}: no data in “{title}”" for title in titles]
    for line in empty:
        print(line, file=sys.stderr)
    if empty and arguments.strict:
        sys.exit(1)


if __name__ == "__main__":
    main()
