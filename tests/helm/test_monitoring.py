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
            self.assertTrue(
                one["annotations"]["runbook_url"].startswith("https://docs.ico.example/concordat/alerts.md#")
            )
        (monitor,) = of_kind(render("everything", release="ico"), "ServiceMonitor")
        service = named(render("everything", release="ico"), "Service", "ico-concordat-ops")
        labels = monitor["spec"]["selector"]["matchLabels"]
        self.assertLessEqual(labels.items(), service["metadata"]["labels"].items())
        self.assertEqual(monitor["spec"]["endpoints"][0]["port"], service["spec"]["ports"][0]["name"])

    def test_each_alert_has_its_runbook(self):
        headings = re.findall(r"^## (\w+)$", (ROOT / "docs/alerts.md").read_text(), re.M)
        self.assertEqual(headings, [alert["alert"] for alert in alerts()])
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

    def test_each_metric_is_exported(self):
        exported = set(METRIC.findall((ROOT / "docs/metrics.md").read_text()))
        self.assertGreater(len(exported), 20)
        for place, expressions in [(RULES.name, [a["expr"] for a in alerts()])] + [
            (d.name, queries(d)) for d in DASHBOARDS
        ]:
            for name in METRIC.findall("\n".join(expressions)):
                with self.subTest(place=place, metric=name):
                    self.assertIn(re.sub("_(bucket|sum|count)$", "", name), exported)


if __name__ == "__main__":
    unittest.main()
