"""A pod of the chart without a cluster: the image with volumes, containers and probes as the kubelet would have them.

What only a cluster does (scheduling, Services, network policies) is not here.
"""

import json
import os
import re
import sqlite3
import sys
import unittest
from contextlib import closing
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from machine import HERE, PROGRAM, USER, InTheImage, Running, free_port, run, serve_names, until

sys.path.append(str(HERE / "tests/helm"))
from chart import named, node, of_kind, render  # noqa: E402

OWNER = """
CREATE ROLE concordat_owner LOGIN PASSWORD 'owner';
CREATE ROLE concordat LOGIN PASSWORD 'node';
CREATE DATABASE concordat OWNER concordat_owner;
\\c concordat
ALTER DEFAULT PRIVILEGES FOR ROLE concordat_owner IN SCHEMA public
  GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO concordat;
"""
LATER = """
INSERT INTO _sqlx_migrations
  SELECT 999999, 'later', installed_on, success, checksum, execution_time FROM _sqlx_migrations WHERE version = 1
"""


class Pod(InTheImage):
    def setUp(self):
        # A developer's node makes certificates, keys and officers. They become what the chart takes from Secrets.
        made = self.volume()
        developers = self.start(
            "serve", "--dev", "--folder", "/var/lib/concordat/dev", mounts={"/var/lib/concordat": made}
        )
        until(lambda: "Try: " in developers.log() or developers.ended(), "the developer's node")
        developers.stop()
        self.made = made / "dev"
        keys, trust = self.made / "node-dev", {a: self.trust(a) for a in ("ico", "ncsc", "nca")}
        self.sources = {
            "concordat-server": {"tls.crt": keys / "server.pem", "tls.key": keys / "server.key"},
            "concordat-ledger-key": {"ledger.key": keys / "ledger.key"},
            "concordat-node-secret": {"node.secret": keys / "node.secret"},
            "concordat-database": {"password": b"node\n"},
            "concordat-database-owner": {"password": b"owner\n"},
            "another-agreement": {
                name: (HERE / "agreements/ico-nca-2024" / name).read_text().replace("ico-nca-2024", "ico-nca-2031")
                for name in ("agreement.toml", "clauses.cedar")
            },
        } | {f"{agency}-trust": files for agency, files in trust.items()}
        self.ops, self.port = free_port(), free_port()
        self.claims = {}

    def trust(self, agency: str) -> dict:
        return {"roots.pem": self.made / agency / "root.pem", "token.pem": self.made / agency / "token.pem"}

    def pod(self, scenario: str, *sets: str, **environment: str) -> dict:
        """A pod of the chart, known to the officers of the developer's node."""
        environment |= {"CONCORDAT__NODE__LISTEN": f"127.0.0.1:{self.port}"}
        variables = [{"name": name, "value": value} for name, value in environment.items()]
        agency = {
            "id": "ico",
            "trust_domain": "ico.example",
            "roots_file": "ico/roots.pem",
            "revocation": "short-lived",
            "holds": {"duty_desk": "the desk", "correction_contact": "corrections@ico.example"},
            "issuer": [
                {
                    "issuer": "https://tokens.ico.example",
                    "roles": ["requester", "recorder", "auditor"],
                    "key": [{"kid": "ico-1", "public_key_file": "ico/token.pem"}],
                }
            ],
        }
        values = (
            'config.node.audience="https://dev.concordat.example"',
            f"config.agency={json.dumps([agency])}",
            'trust={"ico":{"configMap":"ico-trust"}}',
            f"ops.port={self.ops}",
            "config.ops.shutdown_delay_seconds=1",
            f"extraEnv={json.dumps(variables)}",
            *sets,
        )
        self.documents = render(scenario, *values)
        return node(self.documents)["spec"]

    def mounts(self, pod: dict, container: dict) -> dict[str, Path]:
        """What the kubelet mounts into a container, by place."""
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        return {
            m["mountPath"]: self.filled(volumes[m["name"]]) for m in container["volumeMounts"] if m["name"] != "tmp"
        }

    def filled(self, volume: dict) -> Path:
        """A volume's folder. Of Secrets and ConfigMaps the files are links into a folder that is swapped as a whole."""
        if "persistentVolumeClaim" in volume:
            claim = volume["persistentVolumeClaim"]["claimName"]
            if claim not in self.claims:
                self.claims[claim] = self.volume()
            return self.claims[claim]
        source = volume.get("configMap") or volume["secret"]
        name = source.get("name") or source["secretName"]
        files = self.sources.get(name) or named(self.documents, "ConfigMap", name)["data"]
        folder = self.folder / f"{self.id()}-{volume['name']}"
        if not folder.exists():
            (folder / "..1").mkdir(parents=True)
            (folder / "..data").symlink_to("..1")
            for key, content in files.items():
                file = folder / "..1" / key
                if isinstance(content, Path):
                    content = content.read_bytes()
                file.write_bytes(content if isinstance(content, bytes) else content.encode())
                os.chown(file, 0, USER)
                file.chmod(source.get("defaultMode", 0o644))
                (folder / key).symlink_to(f"..data/{key}")
        return folder

    def container(self, pod: dict, container: dict) -> Running:
        mounts = self.mounts(pod, container)
        for place in mounts:
            (self.root / place.lstrip("/")).mkdir(parents=True, exist_ok=True)
        environment = {variable["name"]: variable["value"] for variable in container.get("env", [])}
        return self.start(*container["args"], mounts=mounts, environment=environment)

    def probe(self, container: dict, kind: str) -> int | None:
        """The status that the kubelet sees, if anybody answers."""
        probe = container[f"{kind}Probe"]["httpGet"]
        port = next(port["containerPort"] for port in container["ports"] if port["name"] == probe["port"])
        try:
            return urlopen(f"http://127.0.0.1:{port}{probe['path']}", timeout=5).status
        except HTTPError as error:
            return error.code
        except URLError:
            return None

    def serves(self, pod: dict) -> str:
        """Runs the pod: it is ready, answers an officer, passes the chart's own test, and stops as it should.

        What the officer was told of agreements.
        """
        for container in pod.get("initContainers", []):
            first = self.container(pod, container)
            until(first.ended, container["name"])
            self.assertEqual(first.process.returncode, 0, first.log())
        (container,) = pod["containers"]
        serving = self.container(pod, container)
        until(lambda: self.probe(container, "startup") == 200 or serving.ended(), "the start")
        until(lambda: self.probe(container, "readiness") == 200 or serving.ended(), "readiness")
        self.assertFalse(serving.ended(), serving.log())
        self.assertEqual(self.probe(container, "liveness"), 200)
        context = self.made / "ico-case-officer.toml"
        context.write_text(re.sub(r"(?m)^server = .*", f'server = "127.0.0.1:{self.port}"', context.read_text()))
        agreements = run(PROGRAM, "agreement", "list", "-o", "json", "--context", context)
        # As the chart's notes say. It changes nothing, and no agreement in force is well, for a beginning.
        looked = self.container(pod, container | {"args": ["doctor", *container["args"][1:]]})
        until(looked.ended, "the doctor")
        self.assertEqual(looked.process.returncode, 0, looked.log())
        (test,) = named(self.documents, "Pod", "concordat-test-ready")["spec"]["containers"]
        here = [argument.replace("concordat-ops:", "127.0.0.1:") for argument in test["args"]]
        probed = self.start(*here)
        until(probed.ended, "the probe")
        self.assertEqual(probed.process.returncode, 0, probed.log())
        serving.process.terminate()
        until(lambda: self.probe(container, "readiness") == 503 or serving.ended(), "the end of readiness")
        self.assertEqual(serving.process.wait(30), 0, serving.log())
        return agreements

    def waits_for_the_job(self, pod: dict):
        """Runs a pod before its tables are there: it lives, and starts by itself when the Job is done."""
        (container,) = pod["containers"]
        waiting = self.container(pod, container)
        until(lambda: self.probe(container, "liveness") == 200 or waiting.ended(), "a life")
        self.assertEqual(self.probe(container, "startup"), 503, waiting.log())
        (job,) = of_kind(self.documents, "Job")
        migration = self.container(job["spec"]["template"]["spec"], job["spec"]["template"]["spec"]["containers"][0])
        until(migration.ended, "the migration")
        self.assertEqual(migration.process.returncode, 0, migration.log())
        until(lambda: self.probe(container, "startup") == 200 or waiting.ended(), "the start")
        self.assertEqual(waiting.stop(), 0, waiting.log())

    def test_on_postgresql_the_node_needs_no_right_to_its_tables_shape(self):
        serve_names()
        port = self.postgresql(OWNER)
        sets = (
            'database.postgresql.host="database.test"',
            f"database.postgresql.port={port}",
            'database.postgresql.sslMode="disable"',
            "database.postgresql.rootCertificate=null",
        )
        self.waits_for_the_job(self.pod("postgresql", *sets, 'migrations.mode="job"'))
        pod = self.pod("postgresql", *sets)
        self.serves(pod)
        # Going back, as `helm rollback` does: the tables are of a later version, whose migration this program does not know.
        run("psql", f"postgres://concordat_owner:owner@127.0.0.1:{port}/concordat", "--command", LATER)
        self.serves(pod)

    def test_on_sqlite_the_database_is_made_once(self):
        agreements = self.serves(self.pod("sqlite", 'agreements={"another":"another-agreement"}'))
        self.assertIn("ico-nca-2031", agreements)
        again = self.pod("sqlite", "database.sqlite.create=false")
        self.assertNotIn("initContainers", again)
        with closing(sqlite3.connect(self.claims["concordat"] / "node.db")) as later:
            later.execute(LATER)
            later.commit()
        self.serves(again)
        # On a volume that was lost nothing begins a second ledger.
        self.claims.clear()
        lost = self.container(again, again["containers"][0])
        until(lost.ended, "an end")
        self.assertNotEqual(lost.process.returncode, 0)


if __name__ == "__main__":
    unittest.main()
