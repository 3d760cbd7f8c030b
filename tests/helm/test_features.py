"""Whatever the values switch on is there: which objects a scenario has, and that each value arrives in one."""

import copy
import json
import os
import re
import tempfile
import tomllib
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

from chart import CHART, SCENARIOS, Turned, configuration, containers, named, node, of_kind, pods, render, template

DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text())
ALWAYS = {
    "ConfigMap/concordat",
    "Deployment/concordat",
    "NetworkPolicy/concordat",
    "Pod/concordat-test-ready",
    "Service/concordat",
    "Service/concordat-ops",
}
TWO_PODS = {"PodDisruptionBudget/concordat", "ServiceAccount/concordat"}
# What each scenario has beside that.
OBJECTS = {
    "postgresql": TWO_PODS,
    "sqlite": {"PersistentVolumeClaim/concordat", "ServiceAccount/concordat"},
    "sqlite-existing-claim": set(),
    "cert-manager": TWO_PODS
    | {
        "Bundle/exchange.concordat.ico-roots",
        "Bundle/exchange.concordat.ncsc-roots",
        "Certificate/concordat",
        "PrometheusRule/concordat",
        "TLSRoute/concordat",
    },
    "sidecar-spiffe": {
        "ConfigMap/concordat-spiffe-helper",
        "PodDisruptionBudget/concordat",
        "ServiceAccount/concordat-ncsc",
    },
    "everything": TWO_PODS
    | {f"ConfigMap/concordat-dashboard-{path.stem}" for path in (CHART / "files/dashboards").glob("*.json")}
    | {
        "ConfigMap/concordat-more",
        "Job/concordat-migrate-*",
        "PrometheusRule/concordat",
        "Service/concordat-headless",
        "ServiceMonitor/concordat",
    },
}
# Values that no scenario sets: where they are tried, and with what.
TRIED = {
    "database.postgresql.sslMode": ("postgresql", "require"),
    "fullnameOverride": ("postgresql", "node-of-the-ico"),
    "gateway.tlsRoute.annotations": ("cert-manager", {"example.com/route": "of-the-agencies"}),
    "gateway.tlsRoute.apiVersion": ("cert-manager", "gateway.networking.k8s.io/v1alpha2"),
    "image.repository": ("postgresql", "images/of-the-node"),
    "image.tag": ("postgresql", "7.7.7-rebuilt"),
    "nameOverride": ("postgresql", "exchange-node"),
    "networkPolicy.enabled": ("postgresql", False),
    "podDisruptionBudget.enabled": ("postgresql", False),
    "tls.certManager.ipAddresses": ("cert-manager", ["198.51.100.77"]),
}
# Values that are looked at elsewhere.
ELSEWHERE = {
    "config": "the program's own: test_the_configuration_is_what_the_values_say, key by key",
    "podSecurityContext": "test_pods_are_restricted",
    "securityContext": "test_pods_are_restricted",
    "serviceAccount.automountServiceAccountToken": "nothing but `false` is taken: test_wrong_values_are_turned_away",
}
# Values without which, and with any other text in which, there is no node.
NEEDED = {
    "database.type": "OBJECTS and test_an_sqlite_file_is_one_pods",
    "tls.certManager.enabled": "OBJECTS",
    "tls.volume": "test_files_of_the_configuration_are_mounted",
}
# What is in no object as it is in the values.
CHANGED = {
    "everything: extraObjects.0.metadata.name": "a template",
    "sidecar-spiffe: extraObjects.0.metadata.namespace": "a template",
    "everything: migrations.mode": "a Job is there",
    "sidecar-spiffe: migrations.mode": "no container migrates",
    "sqlite: database.type": "node.toml says it, and there is a claim",
    "sqlite-existing-claim: database.type": "node.toml says it, and the claim is mounted",
}


def values_of(scenario: str) -> dict:
    return yaml.safe_load((CHART / f"ci/{scenario}-values.yaml").read_text())


def settings(values: dict, defaults: dict, path: str = "") -> dict[str, object]:
    """What is set, by path, down to where the chart's own structure ends and the user's begins."""
    found = {}
    for key, value in values.items():
        default, place = defaults.get(key), f"{path}{key}"
        if place in ELSEWHERE:
            continue
        if isinstance(default, dict) and default and isinstance(value, dict):
            found |= settings(value, default, f"{place}.")
        else:
            found[place] = value
    return found


def leaves(value, path: str = ""):
    """Each number and text, by its path, with the keys that the user chose."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if inside is None:
        yield path, value
        return
    for key, one in inside:
        yield from leaves(one, f"{path}.{key}" if path else str(key))


def texts(value):
    """All that an object says, with its keys."""
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from texts(one)
    else:
        yield str(value)


def says(documents: list[dict], value) -> bool:
    """Whether a text is in what is rendered; a number as a number of its own."""
    pattern = re.escape(str(value))
    if not isinstance(value, str) or value.isdigit():
        pattern = rf"(?<![\w.]){pattern}(?![\w.])"
    return any(re.search(pattern, text) for document in documents for text in texts(document))


def without(values: dict, path: str) -> dict:
    changed = copy.deepcopy(values)
    *parents, last = path.split(".")
    inside = changed
    for key in parents:
        inside = inside[key]
    del inside[last]
    return changed


def altered(values: dict, path: str) -> dict:
    """With an `x` at the end of the first text of a setting, or a number that is larger by one."""
    changed = copy.deepcopy(values)
    inside, keys = changed, path.split(".")
    while not isinstance(inside, (str, int)):
        parent, key = inside, keys.pop(0) if keys else next(iter(inside if isinstance(inside, dict) else range(1)))
        inside = parent[key]
    parent[key] += "x" if isinstance(inside, str) else 1
    return changed


def made_of(values: dict) -> list[dict] | None:
    """What the chart makes of values; nothing where it turns them away."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        json.dump(values, file)
        file.flush()
        try:
            return template(Path(file.name))
        except Turned:
            return None


class Features(unittest.TestCase):
    def test_each_scenario_has_its_objects(self):
        self.assertEqual(set(OBJECTS), set(SCENARIOS))
        for scenario, more in OBJECTS.items():
            with self.subTest(scenario=scenario):
                objects = [f"{one['kind']}/{one['metadata']['name']}" for one in render(scenario)]
                objects = [re.sub("-migrate-[0-9a-f]{8}$", "-migrate-*", one) for one in objects]
                self.assertEqual(sorted(objects), sorted(ALWAYS | more))

    def test_each_value_of_a_scenario_arrives(self):
        for scenario in SCENARIOS:
            values = values_of(scenario)
            values.pop("config")
            for path, value in leaves(values):
                if isinstance(value, bool) or f"{scenario}: {path}" in CHANGED:
                    continue
                with self.subTest(scenario=scenario, path=path):
                    self.assertTrue(says(render(scenario), value), value)

    def test_each_value_of_a_scenario_changes_something(self):
        def others(job):
            scenario, path = job
            values = values_of(scenario)
            # Without some there is no node: those with another text.
            return made_of(without(values, path)) or made_of(altered(values, path))

        jobs = [
            (scenario, path)
            for scenario in SCENARIOS
            for path in settings(values_of(scenario), DEFAULTS)
            if scenario == "everything" or path not in settings(values_of("everything"), DEFAULTS)
            if path not in NEEDED
        ]
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            for (scenario, path), documents in zip(jobs, threads.map(others, jobs)):
                with self.subTest(scenario=scenario, path=path):
                    self.assertIsNotNone(documents)
                    self.assertNotEqual(documents, render(scenario))

    def test_no_value_is_left_out(self):
        known = {path for scenario in SCENARIOS for path in settings(values_of(scenario), DEFAULTS)} | set(TRIED)
        self.assertEqual(sorted(set(settings(DEFAULTS, DEFAULTS)) - known), [])
        for path, (scenario, value) in TRIED.items():
            with self.subTest(path=path):
                documents = render(scenario, f"{path}={json.dumps(value)}")
                self.assertNotEqual(documents, render(scenario))
                for _, one in leaves(value):
                    self.assertTrue(isinstance(one, bool) or says(documents, one), one)

    def test_the_configuration_is_what_the_values_say(self):
        def placed(value, key=""):
            if isinstance(value, dict):
                return {key: placed(one, key) for key, one in value.items()}
            if isinstance(value, list):
                return [placed(one) for one in value]
            in_trust = key.endswith("_file") and not value.startswith("/")
            return f"/etc/concordat/trust/{value}" if in_trust else value

        for scenario in SCENARIOS:
            said = tomllib.loads(configuration(render(scenario)))
            config = values_of(scenario)["config"]
            for section, keys in config.items():
                with self.subTest(scenario=scenario, section=section):
                    inside = said[section]
                    if section != "agency":
                        inside = {key: inside.get(key) for key in keys}
                    self.assertEqual(inside, placed(keys))
            self.assertEqual(said["log"]["level"], config.get("log", DEFAULTS["config"]["log"])["level"])

    def test_a_certificate_is_written_where_the_node_reads_it(self):
        documents = render("cert-manager", release="ncsc")
        (certificate,) = of_kind(documents, "Certificate")
        (volume,) = (one for one in node(documents)["spec"]["volumes"] if one["name"] == "tls")
        self.assertEqual(certificate["spec"]["secretName"], volume["secret"]["secretName"])
        # With the keys that cert-manager gives every Secret.
        (config,) = (one for one in of_kind(documents, "ConfigMap") if "node.toml" in one["data"])
        tls = tomllib.loads(config["data"]["node.toml"])["tls"]
        folder = "/etc/concordat/tls"
        self.assertEqual(tls, {"certificate_file": f"{folder}/tls.crt", "key_file": f"{folder}/tls.key"})

    def test_pods_are_spread_unless_the_values_say_how(self):
        spread = node(render("postgresql"))["spec"]["topologySpreadConstraints"]
        keys = ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
        self.assertEqual([one["topologyKey"] for one in spread], keys)
        for one in spread:
            labels = node(render("postgresql"))["metadata"]["labels"]
            self.assertLessEqual(one["labelSelector"]["matchLabels"].items(), labels.items())
        budget = named(render("postgresql"), "PodDisruptionBudget", "concordat")["spec"]
        self.assertEqual((budget["maxUnavailable"], budget["unhealthyPodEvictionPolicy"]), (1, "AlwaysAllow"))

    def test_each_container_of_the_node_is_of_its_image(self):
        ours = [
            container
            for pod in pods(render("everything")) + pods(render("everything", 'migrations.mode="initContainer"'))
            for container in containers(pod)
            if container["name"] in ("concordat", "migrate", "probe")
        ]
        self.assertEqual(len(ours), 6)
        for container in ours:
            self.assertEqual(container["image"], f"registry.example/agencies/concordat@sha256:{'0' * 64}")
            self.assertEqual(container["imagePullPolicy"], "Always")
            limit = "2Gi" if container["name"] == "concordat" else "192Mi"
            self.assertEqual(container["resources"]["limits"]["memory"], limit)

    def test_common_labels_are_on_everything(self):
        for document in render("everything"):
            if document["metadata"]["name"] != "concordat-more":
                self.assertEqual(document["metadata"]["labels"]["team"], "incident-exchange")


if __name__ == "__main__":
    unittest.main()
