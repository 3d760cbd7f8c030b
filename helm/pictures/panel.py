"""Draws one panel of a dashboard at its place on the page."""

import math
import re
import string

import matplotlib.dates as dates
import matplotlib.pyplot as plot
from matplotlib.patches import Rectangle

# Pixels, as Grafana's grid has them on a screen of usual width.
WIDTH, UNIT, GAP, LINE = 1600, 38, 8, 15
INK, FAINT, PAGE = "#24292e", "#6e7781", "#f4f5f5"
SERIES = ["#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf"]
COLOURS = {"green": "#299c46", "orange": "#ff9830", "red": "#d44a3a"}
YEAR, WEEK, DAY = 31536000, 604800, 86400
DURATIONS = [(YEAR, "years"), (WEEK, "weeks"), (DAY, "days"), (3600, "hours"), (60, "min"), (1, "s"), (1e-3, "ms")]


def legend(target: dict, labels: dict) -> str:
    return re.sub(r"{{(\w+)}}", lambda name: labels.get(name[1], ""), target.get("legendFormat", ""))


def shown(value: float, unit: str) -> str:
    """A value in one of Grafana's units."""
    if not math.isfinite(value):
        return "–"
    if unit == "s" and value:
        size, name = next((one for one in DURATIONS if abs(value) >= one[0]), DURATIONS[-1])
        return f"{value / size:.3g} {name}"
    if unit == "bytes":
        return f"{value / 2**20:.3g} MiB"
    text = f"{value:.3g}" if abs(value) < 1000 else f"{value / 1000:.3g} K"
    return f"{text} req/s" if unit == "reqps" else text


class Panel:
    """One panel: its place on the page in pixels from the top left, and what its queries gave."""

    def __init__(self, figure, height: int, panel: dict, times: list[float], results: list[tuple[dict, list[dict]]]):
        self.figure, self.height, self.times, self.results = figure, height, times, results
        self.field = panel["fieldConfig"]["defaults"]
        self.overrides, self.transformations = panel["fieldConfig"]["overrides"], panel.get("transformations", [])
        self.unit = self.field["unit"]
        place = panel["gridPos"]
        column = (WIDTH - GAP) / 24
        self.x, self.y = GAP + place["x"] * column, GAP + place["y"] * UNIT
        self.w, self.h = place["w"] * column - GAP, place["h"] * UNIT - GAP
        self.box(self.x, self.y, self.w, self.h, "white", edge="#d8d9da")
        self.text(self.x + 8, self.y + 15, panel["title"], weight="bold")

    def box(self, x, y, w, h, colour, edge="none") -> None:
        corner = (x / WIDTH, 1 - (y + h) / self.height)
        # Below the axes.
        self.figure.add_artist(Rectangle(corner, w / WIDTH, h / self.height, fc=colour, ec=edge, lw=0.8, zorder=-1))

    def text(self, x, y, text, size=8.5, colour=INK, **more) -> None:
        more = {"va": "center", **more}
        self.figure.text(x / WIDTH, 1 - y / self.height, text, size=size, color=colour, **more)

    def override(self, matcher: str, name: str, field: str, otherwise):
        """What the panel says of one field: by the name in a table, or by the query that it comes from."""
        for one in self.overrides:
            if one["matcher"] == {"id": matcher, "options": name}:
                otherwise = next((each["value"] for each in one["properties"] if each["id"] == field), otherwise)
        return otherwise

    def colour(self, value: float, query: str) -> str:
        steps = self.override("byFrameRefID", query, "thresholds", self.field["thresholds"])["steps"]
        return COLOURS[[one["color"] for one in steps if one["value"] is None or value >= one["value"]][-1]]

    def value(self, value: float) -> str:
        for mapping in self.field.get("mappings", []):
            if mapping["type"] == "value" and (found := mapping["options"].get(f"{value:g}")):
                return found["text"]
        return shown(value, self.unit)

    def instants(self) -> list[tuple[str, float, str]]:
        """Each value with its name and its colour."""
        found = [(target, one["metric"], float(one["value"][1])) for target, result in self.results for one in result]
        return [(legend(target, labels), value, self.colour(value, target["refId"])) for target, labels, value in found]

    def draw_stat(self, _) -> None:
        values = self.instants()
        columns = math.ceil(math.sqrt(len(values) * self.w / self.h / 2))
        columns = max(1, min(columns, len(values)))
        rows = math.ceil(len(values) / columns)
        w, h = (self.w - 12) / columns, (self.h - 34) / rows
        for place, (name, value, colour) in enumerate(values):
            x, y = self.x + 6 + place % columns * w, self.y + 28 + place // columns * h
            self.box(x + 2, y + 2, w - 4, h - 4, colour)
            size, middle = min(h / 3.2, 26), y + h * (0.68 if name else 0.5)
            self.text(x + w / 2, middle, self.value(value), size, "white", ha="center")
            self.text(x + w / 2, y + h * 0.25, name, 8.5, "white", ha="center")

    def draw_bargauge(self, _) -> None:
        values = self.instants()
        h = (self.h - 36) / len(values)
        least = self.field.get("min", min(value for _, value, _ in values))
        most = max(value for _, value, _ in values) - least or 1
        left, room = self.x + 170, self.w - 170 - 100
        for place, (name, value, colour) in enumerate(values):
            y = self.y + 30 + place * h
            self.text(left - 8, y + h / 2, name, ha="right")
            self.box(left, y + h * 0.12, room, h * 0.76, PAGE)
            self.box(left, y + h * 0.12, max(room * (value - least) / most, 1), h * 0.76, colour)
            self.text(left + room + 8, y + h / 2, self.value(value), 9.5, colour, weight="bold")

    def draw_table(self, _) -> None:
        merged: dict[tuple, dict] = {}
        for target, result in self.results:
            for one in result:
                row = merged.setdefault(tuple(sorted(one["metric"].items())), dict(one["metric"]))
                row["Value" if len(self.results) == 1 else f"Value #{target['refId']}"] = float(one["value"][1])
        rows = list(merged.values())
        rename, hidden = {}, {}
        for one in self.transformations:
            if one["id"] == "organize":
                rename, hidden = one["options"].get("renameByName", {}), one["options"].get("excludeByName", {})
            elif one["id"] != "merge":
                raise ValueError(f"the transformation {one['id']} is unknown")
        names = sorted({name for row in rows for name in row}, key=lambda name: (name.startswith("Value"), name))
        names = [name for name in names if not hidden.get(name)]
        x = self.x + 8
        columns = []
        for name in names:
            title = rename.get(name, name)
            unit = self.override("byName", title, "unit", self.unit)
            cells = [row.get(name, "") for row in rows]
            columns.append([title, *(shown(one, unit) if isinstance(one, float) else one for one in cells)])
        letters = sum(max(map(len, column)) + 2 for column in columns)
        for title, *cells in columns:
            self.text(x, self.y + 40, title, colour="#1f60c4", weight="bold")
            for line, text in enumerate(cells):
                self.text(x, self.y + 62 + 20 * line, text)
            x += (self.w - 16) * (max(map(len, [title, *cells])) + 2) / letters

    def draw_timeseries(self, steps: list[dict]) -> None:
        lines = [(legend(target, one["metric"]), one["values"]) for target, result in self.results for one in result]
        # Where each name of the legend goes, if a letter of this size takes about so many pixels.
        places, x, y = [], 12, 0
        for name, _ in lines:
            taken = 6.3 * len(name) + 26
            if x + taken > self.w - 8 and x > 12:
                x, y = 12, y + LINE
            places.append((self.x + x, y))
            x += taken
        left, top, w, h = self.x + 62, self.y + 38, self.w - 74, self.h - 38 - 41 - y
        axes = self.figure.add_axes((left / WIDTH, 1 - (top + h) / self.height, w / WIDTH, h / self.height))
        scale = 2**20 if self.unit == "bytes" else 1
        for place, (name, points) in enumerate(lines):
            colour = SERIES[place % len(SERIES)]
            # A gap stays a gap.
            found = {float(at): float(value) / scale for at, value in points}
            values = [found.get(at, math.nan) for at in self.times]
            axes.plot(self.days(self.times), values, colour, lw=1.3, marker="o", ms=1.2, clip_on=False)
            x, y = places[place][0], top + h + 30 + places[place][1]
            self.box(x, y - 1.5, 12, 3, colour)
            self.text(x + 17, y, name, 8)
        for letter, at in zip(string.ascii_lowercase, self.days([step["at"] for step in steps])):
            axes.axvline(at, color="#b0b0b0", lw=0.7, ls=":")
            axes.text(at, 1.04, letter, transform=axes.get_xaxis_transform(), size=7, color=FAINT, ha="center")
        axes.set_xlim(self.days([self.times[0], self.times[-1]]))
        axes.set_ylim(self.field.get("min"), self.field.get("max"))
        if not any(float(value) for _, points in lines for _, value in points):
            axes.set_ylim(0, 1)
        axes.yaxis.set_major_locator(plot.MaxNLocator(4, integer=self.unit == "short"))
        axes.yaxis.set_major_formatter(lambda value, _: shown(value * scale, self.unit))
        locator = dates.AutoDateLocator(minticks=3, maxticks=max(6, int(w / 50)))
        locator.intervald[dates.MINUTELY] = [1, 2, 5, 10, 15, 30]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(dates.DateFormatter("%H:%M"))
        axes.tick_params(labelsize=7.5, colors=FAINT, length=0)
        axes.grid(color="#e4e5e6", lw=0.6)
        axes.set_frame_on(False)

    @staticmethod
    def days(seconds: list[float]) -> list[float]:
        """As matplotlib counts time."""
        return [one / DAY for one in seconds]
