"""What the chart makes of each documented scenario: valid, restricted, reachable, without a secret."""

import json
import re
import shutil
import subprocess
import tempfile
import tomllib
import unittest
from pathlib import Path

import jsonschema
import kubernetes_validate

from chart import CHART, ROOT, SCENARIOS, configuration, containers, helm, in_folder, named, node, of_kind, pods
from chart import program, render

OTHERS = {path.stem: json.loads(path.read_text()) for path in (Path(__file__).parent / "schemas").glob("*.json")}
# The scenarios in which the chart migrates.
MIGRATING = {"postgresql", "cert-manager", "everything"}
SECRET = re.compile(r"(?i)password|secret|token|private.?key")


def in_each_scenario(check):
    """A test of a scenario's name and of what the chart makes of it, done for each."""

    def test(self):
        for scenario in SCENARIOS:
            with self.subTest(scenario=scenario):
                check(self, scenario, render(scenario))

    return test


class Objects(unittest.TestCase):
    def test_helm_finds_no_fault(self):
        for scenario in SCENARIOS:
            helm(
                "lint", "--strict", CHART, "--kube-version", "1.37.0", "--values", CHART / f"ci/{scenario}-values.yaml"
            )

    @in_each_scenario
    def test_every_object_is_valid(self, _, documents):
        for document in documents:
            other = OTHERS.get(document["kind"].lower())
            if other:
                jsonschema.Draft7Validator(other).validate(document)
            else:
                for version in ("1.29", "1.37"):
                    kubernetes_validate.validate(document, version, strict=True)

    @in_each_scenario
    def test_a_command_can_run_where_no_node_does(self, _, documents):
        # As docs/operations.md has it.
        page = (ROOT / "docs/operations.md").read_text()
        (program,) = re.findall(r"get deployment concordat -o json \| jq '(.*?)' \| kubectl create", page, re.S)
        (deployment,) = of_kind(documents, "Deployment")
        made = subprocess.run(
            ["jq", program], input=json.dumps(deployment), capture_output=True, text=True, check=True, timeout=30
        )
        pod = json.loads(made.stdout)
        for version in ("1.29", "1.37"):
            kubernetes_validate.validate(pod, version, strict=True)
        (container,) = pod["spec"]["containers"]
        self.assertEqual(container["args"][:2], ["ledger", "check"])
        (own,) = [one for one in node(documents)["spec"]["containers"] if one["name"] == "concordat"]
        self.assertEqual(container["volumeMounts"], own["volumeMounts"])
        self.assertEqual(pod["spec"]["volumes"], deployment["spec"]["template"]["spec"]["volumes"])
        self.assertFalse({"livenessProbe", "readinessProbe", "startupProbe", "ports"} & set(container))

    @in_each_scenario
    def test_pods_are_restricted(self, _, documents):
        kinds = {"configMap", "csi", "emptyDir", "persistentVolumeClaim", "secret"}
        for pod in pods(documents):
            spec = pod["spec"]
            self.assertTrue(spec["securityContext"]["runAsNonRoot"])
            self.assertEqual(spec["securityContext"]["runAsUser"], 65532)
            self.assertEqual(spec["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
            self.assertFalse(spec["automountServiceAccountToken"])
            self.assertFalse(spec["enableServiceLinks"])
            self.assertFalse({"hostNetwork", "hostPID", "hostIPC"} & set(spec))
            for volume in spec.get("volumes", []):
                self.assertEqual(len(kinds & set(volume)), 1, volume)
            for container in containers(pod):
                context = container["securityContext"]
                self.assertFalse(context["allowPrivilegeEscalation"])
                self.assertTrue(context["readOnlyRootFilesystem"])
                self.assertEqual(context["capabilities"], {"drop": ["ALL"]})
                self.assertIn("memory", container["resources"]["limits"])

    @in_each_scenario
    def test_what_is_mounted_changes_with_its_source(self, _, documents):
        for pod in pods(documents):
            volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes", [])}
            for container in containers(pod):
                for mount in container.get("volumeMounts", []):
                    self.assertNotIn("subPath", mount)
                    self.assertIn(mount["name"], volumes)
            for volume in volumes.values():
                # Nobody else reads it: the program turns away secret files that everybody can read.
                self.assertEqual(volume.get("secret", {"defaultMode": 0o440})["defaultMode"], 0o440)
        checksums = [key for key in node(documents)["metadata"]["annotations"] if key.startswith("checksum/")]
        self.assertEqual(checksums, ["checksum/config"])

    @in_each_scenario
    def test_files_of_the_configuration_are_mounted(self, _, documents):
        mounts = {m["mountPath"]: m for m in node(documents)["spec"]["containers"][0]["volumeMounts"]}
        volumes = {volume["name"]: volume for volume in node(documents)["spec"]["volumes"]}
        paths = re.findall(r'"(/etc/concordat/[^"?]*)"', configuration(documents))
        self.assertGreater(len(paths), 4)
        for path in paths:
            folder = path.rpartition("/")[0] if "." in path.rpartition("/")[2] or path.endswith("password") else path
            self.assertTrue(any(mount == folder or mount.startswith(folder + "/") for mount in mounts), path)
        for name in mounts.values():
            self.assertIn(name["name"], volumes)

    @in_each_scenario
    def test_no_secret_is_rendered(self, _, documents):
        self.assertEqual(of_kind(documents, "Secret"), [])
        self.assertNotRegex(configuration(documents), r"postgres://[^@/]*:[^@/]*@")
        for pod in pods(documents):
            for container in containers(pod):
                for variable in container.get("env", []):
                    if SECRET.search(variable["name"]):
                        self.assertRegex(variable.get("value", ""), "^/etc/concordat/")

    def test_what_reads_the_configuration_has_the_same_environment(self):
        own = {"CONCORDAT__NODE__DATABASE", "CONCORDAT__NODE__DATABASE_PASSWORD_FILE"}
        extra = [
            {"name": "CONCORDAT__TLS__RELOAD_SECONDS", "value": "7"},
            {"name": "CONCORDAT__NODE__DATABASE", "value": "postgres://concordat@elsewhere.example/concordat"},
        ]
        sources = [{"secretRef": {"name": "more"}}]
        sets = (f"extraEnv={json.dumps(extra)}", f"extraEnvFrom={json.dumps(sources)}")
        for scenario, mode, count in (
            ("postgresql", "initContainer", 2),
            ("postgresql", "job", 2),
            ("postgresql", "none", 1),
            ("sqlite", "none", 2),
        ):
            documents = render(scenario, *sets, f'migrations.mode="{mode}"')
            readers = [one for pod in pods(documents) for one in containers(pod) if "--config" in one["args"]]
            self.assertEqual(len(readers), count)
            for container in readers:
                with self.subTest(scenario=scenario, mode=mode, container=container["name"]):
                    self.assertEqual(container["envFrom"], sources)
                    self.assertEqual(container["env"][0], extra[0])
                    if container["name"] != "migrate":
                        self.assertEqual(container["env"], extra)
                        continue
                    # It stays the owner of the tables, whatever the node is told.
                    self.assertEqual({variable["name"] for variable in container["env"][1:]}, own)
                    self.assertEqual(len(container["env"]), 3)
                    self.assertIn("concordat_owner@database.ico", container["env"][1]["value"])

    @in_each_scenario
    def test_only_the_migration_has_the_owner_of_the_tables(self, scenario, documents):
        holders = [
            (container["name"], volume["secret"]["secretName"])
            for pod in pods(documents)
            for container in containers(pod)
            for mount in container.get("volumeMounts", [])
            for volume in pod["spec"]["volumes"]
            if volume["name"] == mount["name"] and volume.get("secret", {}).get("secretName", "").endswith("-owner")
        ]
        self.assertEqual(holders, [("migrate", "concordat-database-owner")] if scenario in MIGRATING else [])

    @in_each_scenario
    def test_services_reach_the_node_and_nothing_else(self, _, documents):
        ports = {port["name"]: port["containerPort"] for port in node(documents)["spec"]["containers"][0]["ports"]}
        selecting = [service["spec"]["selector"] for service in of_kind(documents, "Service")]
        selecting += [budget["spec"]["selector"]["matchLabels"] for budget in of_kind(documents, "PodDisruptionBudget")]
        for selector in selecting:
            for pod in pods(documents):
                chosen = selector.items() <= pod["metadata"]["labels"].items()
                self.assertEqual(chosen, pod is node(documents))
        for service in of_kind(documents, "Service"):
            for port in service["spec"]["ports"]:
                self.assertIn(port["targetPort"], ports)
                # Metrics and probes are in plain text.
                if port["targetPort"] == "ops":
                    self.assertEqual(service["spec"]["clusterIP"], "None")
        container = node(documents)["spec"]["containers"][0]
        probes = [container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")]
        self.assertEqual([p["path"] for p in probes], ["/startupz", "/livez", "/readyz"])
        self.assertTrue(all(probe["port"] in ports for probe in probes))
        # Of both families: [::] is reached by IPv4 as well.
        self.assertEqual(tomllib.loads(configuration(documents))["ops"]["listen"], f"[::]:{ports['ops']}")
        self.assertEqual(tomllib.loads(configuration(documents))["node"]["listen"], f"[::]:{ports['grpc']}")

    @in_each_scenario
    def test_a_network_policy_closes_the_rest(self, scenario, documents):
        (policy,) = of_kind(documents, "NetworkPolicy")
        self.assertEqual(policy["spec"]["policyTypes"], ["Ingress", "Egress"])
        ops = [rule for rule in policy["spec"]["ingress"] if rule["ports"][0]["port"] == "ops"]
        self.assertTrue(ops and all(rule["from"] for rule in ops))
        out = {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}
        database = {"everything": {6432}}.get(scenario, set() if scenario.startswith("sqlite") else {5432})
        self.assertEqual(out - {4317}, {53} | database)

    @in_each_scenario
    def test_hooks_are_for_tests_alone(self, _, documents):
        hooks = [d["metadata"]["name"] for d in documents if "helm.sh/hook" in d["metadata"].get("annotations", {})]
        self.assertEqual(hooks, ["concordat-test-ready"])

    def test_an_sqlite_file_is_one_pods(self):
        deployment = of_kind(render("sqlite"), "Deployment")[0]["spec"]
        self.assertEqual((deployment["replicas"], deployment["strategy"]), (1, {"type": "Recreate"}))
        self.assertEqual(of_kind(render("sqlite"), "PodDisruptionBudget"), [])
        self.assertEqual(len(of_kind(render("sqlite"), "PersistentVolumeClaim")), 1)
        # Only for the first installation: a lost volume must not begin a second ledger.
        again = render("sqlite", "database.sqlite.create=false")
        self.assertNotIn("initContainers", node(again)["spec"])

    def test_a_job_has_another_name_when_anything_in_its_pods_is_another(self):
        def job(*sets):
            (made,) = of_kind(render("everything", *sets), "Job")
            return made

        before = job()
        for change in (
            'image.digest=""',
            'migrations.existingSecret="another"',
            'migrations.user="another"',
            'nodeSelector={"another":"machine"}',
            'commonLabels={"another":"label"}',
            "podSecurityContext.fsGroup=7",
            'imagePullSecrets=[{"name":"another"}]',
            'config.log.level="debug"',
        ):
            with self.subTest(change=change):
                self.assertNotEqual(job(change)["metadata"]["name"], before["metadata"]["name"])
        # And the same one while what it does is the same: `helm upgrade` does not migrate for nothing.
        for change in ("replicaCount=2", "migrations.ttlSecondsAfterFinished=60"):
            self.assertEqual(job(change)["metadata"]["name"], before["metadata"]["name"])
        with tempfile.TemporaryDirectory() as folder:
            later = Path(shutil.copytree(CHART, Path(folder) / "concordat"))
            chart = later / "Chart.yaml"
            chart.write_text(chart.read_text().replace("version: 0.1.0", "version: 0.1.1", 1))
            (made,) = of_kind(render("everything", chart=later), "Job")
            self.assertNotEqual(made["metadata"]["name"], before["metadata"]["name"])

    def test_two_releases_in_one_namespace_do_not_meet(self):
        names = [{(d["kind"], d["metadata"]["name"]) for d in render("everything", release=r)} for r in ("ico", "nca")]
        self.assertFalse(names[0] & names[1])

    def test_two_namespaces_do_not_meet_in_what_is_the_clusters(self):
        def bundles(namespace, release="concordat"):
            documents = render("cert-manager", namespace=namespace, release=release)
            made = {bundle["metadata"]["name"] for bundle in of_kind(documents, "Bundle")}
            mounted = {volume.get("configMap", {}).get("name") for volume in node(documents)["spec"]["volumes"]}
            self.assertLess(made, mounted)
            # trust-manager labels what it makes with the name.
            self.assertTrue(all(re.fullmatch(r"[a-z0-9][-a-z0-9.]{,61}[a-z0-9]", name) for name in made), made)
            return made

        long = ("n" * 62, "r" * 40)
        names = [bundles("ncsc"), bundles("test"), bundles("test-a", "b"), bundles("test", "a-b")]
        names += [bundles(long[0] + "1", long[1]), bundles(long[0] + "2", long[1])]
        self.assertEqual(len(set().union(*names)), sum(len(made) for made in names))
        for document in render("cert-manager"):
            if document["kind"] != "Bundle":
                self.assertEqual(document["metadata"]["namespace"], "exchange", document["kind"])

    @in_each_scenario
    def test_the_program_takes_each_configuration(self, _, documents):
        folder, file = in_folder("node.toml", configuration(documents))
        with folder:
            checked = program("config", "check", "--offline", "--config", file)
            self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)

    def test_the_chart_is_of_the_programs_version(self):
        version = re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.M)[1]
        self.assertRegex((CHART / "Chart.yaml").read_text(), rf"(?m)^appVersion: {re.escape(version)}$")

    def test_the_notes_name_what_there_is(self):
        folder, _ = in_folder("notes", "")
        with folder:
            # Helm shows notes only of what it installs; as a template they are rendered without a cluster.
            copy = Path(shutil.copytree(CHART, Path(folder.name) / "concordat"))
            notes = (copy / "templates/NOTES.txt").read_text()
            (copy / "templates/_notes.tpl").write_text('{{- define "notes" -}}\n' + notes + "\n{{- end -}}\n")
            (copy / "templates/notes.yaml").write_text(
                'kind: Notes\nmetadata: {name: notes}\ntext: {{ include "notes" . | toJson }}\n'
            )
            for scenario in SCENARIOS:
                text = named(render(scenario, chart=copy), "Notes", "notes")["text"]
                commands = re.findall(r"^   (\S.*)$", text, re.M)
                self.assertEqual(len(commands), 3, text)
                self.assertIn("deployment/concordat", commands[0])
                self.assertIn("config /etc/concordat/config/node.toml", commands[1])
                self.assertEqual("sqlite.create" in text, scenario == "sqlite")


if __name__ == "__main__":
    unittest.main()
