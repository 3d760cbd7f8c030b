"""Rules and dashboards: PromQL that parses, metrics that the program exports, alerts that fire when they should."""

import json
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import yaml

from chart import CHART, ROOT, TOOLS, named, of_kind, render

RULES = CHART / "files/rules/concordat.yaml"
DASHBOARDS = sorted((CHART / "files/dashboards").glob("*.json"))
# What scraping adds, and what tells the buckets of a histogram.
SCRAPED = {"namespace", "job", "pod", "le"}
METRIC = re.compile(r"\b(?:concordat|grpc_server|process)_[a-z0-9_]+")


def promtool(*arguments) -> str:
    done = subprocess.run([TOOLS / "bin/promtool", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def alerts() -> list[dict]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def queries(dashboard: Path) -> list[str]:
    return [
        target["expr"] for panel in json.loads(dashboard.read_text())["panels"] for target in panel.get("targets", [])
    ]


def documented() -> dict[str, dict[str, set[str] | None]]:
    """The metrics of docs/metrics.md, which the program writes, with their labels and the values of each.

    Nothing where the values are the configuration's or the contract's. That nothing else is exported, the program's own
    tests see to.
    """
    rows = re.findall(r"^\| `(\w+)` \| \w+ \|(.*?)\|", (ROOT / "docs/metrics.md").read_text(), re.M)
    metrics, before = {}, {}
    for name, labels in rows:
        metrics[name] = {}
        for label, said in re.findall(r"(?:^ |<br>)`(\w+)`: (.*?)(?=<br>| $)", labels):
            if said != "as above":
                before[label] = set(re.findall("`([^`]+)`", said)) if said.startswith(("`", "the status: ")) else None
            metrics[name][label] = before[label]
    return metrics


def labels_of(expression: str) -> set[tuple[str, str]]:
    """Each label that a query or a series names, with each value that it names of it."""
    named = re.findall(r'(\w+)(?:=~|!~|!=|=)"([^"]*)"', expression)
    return {(label, value) for label, values in named for value in values.split("|")}


class Monitoring(unittest.TestCase):
    def test_each_alert_fires_when_it_should(self):
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(RULES, folder)
            tests = shutil.copy(Path(__file__).parent / "alerts.test.yaml", folder)
            promtool("check", "rules", Path(folder) / RULES.name)
            promtool("test", "rules", tests)

    def test_the_test_knows_each_alert(self):
        tests = (Path(__file__).parent / "alerts.test.yaml").read_text()
        self.assertEqual([a["alert"] for a in alerts() if a["alert"] not in tests], [])

    def test_the_chart_fits_the_rules_to_its_release(self):
        (rule,) = of_kind(render("everything", release="ico"), "PrometheusRule")
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "rules.yaml"
            file.write_text(yaml.safe_dump(rule["spec"]))
            promtool("check", "rules", file)
        for one in rule["spec"]["groups"][0]["rules"]:
            self.assertIn('namespace="exchange",job="ico-concordat-ops"', one["expr"])
            of_release = {"namespace": "exchange", "job": "ico-concordat-ops"}
            self.assertLessEqual(of_release.items(), one["labels"].items(), one["alert"])
            self.assertIn("severity", one["labels"])
            self.assertTrue(
                one["annotations"]["runbook_url"].startswith("https://docs.ico.example/concordat/alerts.md#")
            )
        (monitor,) = of_kind(render("everything", release="ico"), "ServiceMonitor")
        service = named(render("everything", release="ico"), "Service", "ico-concordat-ops")
        labels = monitor["spec"]["selector"]["matchLabels"]
        self.assertLessEqual(labels.items(), service["metadata"]["labels"].items())
        self.assertEqual(monitor["spec"]["endpoints"][0]["port"], service["spec"]["ports"][0]["name"])

    def test_ends_alarm_as_early_as_the_values_say(self):
        def ends(certificates: int) -> list[str]:
            said = f"metrics.prometheusRule.certificateEndsSeconds={certificates}"
            (rule,) = of_kind(render("cert-manager", said), "PrometheusRule")
            rules = {one["alert"]: one["expr"] for one in rule["spec"]["groups"][0]["rules"]}
            return re.findall(r"time\(\) < (.*)", rules["ConcordatCertificateEnds"])

        for certificates in (21600, 604800, 3600):
            self.assertEqual(ends(certificates), [str(certificates), "30 * 86400", "30 * 86400"])
        # What the file says by itself is what the values say by themselves.
        values = yaml.safe_load((CHART / "values.yaml").read_text())["metrics"]["prometheusRule"]
        self.assertEqual(values["certificateEndsSeconds"], 7 * 86400)
        self.assertEqual(RULES.read_text().count("< 7 * 86400\n"), 1)

    def test_each_alert_has_its_runbook(self):
        headings = re.findall(r"^## (\w+)$", (ROOT / "docs/alerts.md").read_text(), re.M)
        # One may be there twice, as a warning and as critical.
        self.assertEqual(headings, list(dict.fromkeys(alert["alert"] for alert in alerts())))
        for alert in alerts():
            self.assertEqual(alert["annotations"]["runbook_url"], f"docs/alerts.md#{alert['alert'].lower()}")

    def test_queries_of_dashboards_parse(self):
        for dashboard in DASHBOARDS:
            expressions = [query.replace("$__rate_interval", "5m") for query in queries(dashboard)]
            rules = {
                "groups": [{"name": "d", "rules": [{"record": f"q{n}", "expr": e} for n, e in enumerate(expressions)]}]
            }
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / "rules.yaml"
                file.write_text(yaml.safe_dump(rules))
                promtool("check", "rules", file)
            for expression in expressions:
                self.assertEqual(
                    expression.count("{"), expression.count('{namespace="$namespace",job="$job"'), expression
                )

    def test_each_metric_is_exported_with_its_labels_and_their_values(self):
        exported = documented()
        self.assertGreater(len(exported), 20)
        self.assertIn("stop", exported["concordat_call_seconds"]["kind"])
        self.assertIn("Unavailable", exported["grpc_server_handled_total"]["grpc_code"])
        self.assertIn("refused", exported["concordat_tls_reloads_total"]["result"])
        self.assertIsNone(exported["concordat_connections"]["agency"])
        expressions = [(RULES.name, alert["expr"]) for alert in alerts()]
        expressions += [(dashboard.name, query) for dashboard in DASHBOARDS for query in queries(dashboard)]
        tests = yaml.safe_load((Path(__file__).parent / "alerts.test.yaml").read_text())["tests"]
        # `up` is what scraping adds.
        expressions += [
            ("alerts.test.yaml", series)
            for test in tests
            for series in (one["series"] for one in test["input_series"])
            if not series.startswith("up{")
        ]
        for place, expression in expressions:
            with self.subTest(place=place, expression=expression):
                metrics = {re.sub("_(bucket|sum|count)$", "", name) for name in METRIC.findall(expression)}
                self.assertLessEqual(metrics, set(exported))
                known = set().union(SCRAPED, *(exported[metric] for metric in metrics))
                used = {label for label, _ in labels_of(expression)}
                used |= {label for labels in re.findall(r"by \(([^)]*)\)", expression) for label in labels.split(", ")}
                self.assertLessEqual(used, known)
                for label, value in labels_of(expression):
                    closed = [exported[metric][label] for metric in metrics if exported[metric].get(label)]
                    self.assertTrue(all(value in values for values in closed), f"`{label}` is never `{value}`")

    def test_the_runbook_says_what_each_part_of_readiness_means(self):
        metrics = documented()
        checks = metrics["concordat_ready"]["check"] | metrics["concordat_degraded"]["check"]
        runbook = re.search(r"^## ConcordatNotReady$(.*?)^## ", (ROOT / "docs/alerts.md").read_text(), re.M | re.S)[1]
        self.assertEqual(set(re.findall(r"^\| `(\w+)` \| ", runbook, re.M)), checks | {"check"})


if __name__ == "__main__":
    unittest.main()
