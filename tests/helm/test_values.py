"""Values that make no node are turned away, with what to do instead; several at once."""

import re
import unittest

from chart import CHART, SCENARIOS, Turned, helm, render

# What is set beside the scenario, and what the message must say.
WRONG = [
    ("postgresql", "replicaCout=3", "'replicaCout' not allowed"),
    ("postgresql", 'config.node.audiense="x"', "'audiense' not allowed"),
    (
        "postgresql",
        'config.agency=[{"id":"ico","trust_domain":"i","roots_fil":"ico/r.pem"}]',
        "'roots_fil' not allowed",
    ),
    ("postgresql", 'database.type="mysql"', "one of 'postgresql', 'sqlite'"),
    ("postgresql", 'ingress={"enabled":true}', "an Ingress ends TLS"),
    ("postgresql", 'autoscaling={"enabled":true}', "answer no more asks"),
    ("postgresql", 'tls.existingSecret=""', "tls.certManager.enabled"),
    ("postgresql", "tls.certManager.enabled=true", "Which certificate is it?"),
    ("postgresql", 'ledgerKey.value="PRIVATE+KEY"', "nothing secret is a value"),
    ("postgresql", 'ledgerKey.existingSecret=""', "concordat ledger keygen"),
    ("postgresql", 'nodeSecret.existingSecret=""', "openssl rand"),
    ("postgresql", 'database.postgresql.password="x"', "nothing secret is a value"),
    ("postgresql", 'database.postgresql.host=""', "where is the primary?"),
    *[
        (
            "postgresql",
            f'extraEnv=[{{"name":"CONCORDAT__NODE__DATABASE","value":"postgres://{url}"}}]',
            "CONCORDAT__NODE__DATABASE has a password",
        )
        for url in ("c:hunter2@db.example/c", "c:hunter/2@db/c", "c:hunt@r2@db/c", "c@db/c?p%61ssword=a")
    ],
    (
        "postgresql",
        'extraEnv=[{"name":"CONCORDAT__node__database","value":"postgres://db.example/c?user=c&password=hunter2"}]',
        "`valueFrom: {secretKeyRef: ",
    ),
    ("postgresql", 'extraEnv=[{"value":"x"}]', "missing property 'name'"),
    ("postgresql", 'migrations.existingSecret=""', "the role that owns the tables"),
    ("postgresql", 'config.node.audience=""', "config.node.audience"),
    ("postgresql", 'config.node.database="sqlite:x"', "config.node.database: the chart sets this"),
    ("postgresql", "config.agency=[]", "none has `holds`"),
    (
        "postgresql",
        'trust={"ico":{"configMap":"a"}}',
        "`ncsc/roots.pem` must be NAME/KEY, with NAME one of `trust`: ico",
    ),
    ("postgresql", 'trust.ico={"configMap":"a","secret":"b"}', "exactly one of"),
    ("postgresql", "config.ops.shutdown_delay_seconds=60", "set 80 or more"),
    ("postgresql", "gateway.tlsRoute.enabled=true", "`parentRefs` and `hostnames`"),
    ("postgresql", "config.ops=null", "config.ops: `null` takes away"),
    ("postgresql", "config.tls=null", "config.tls: `null` takes away"),
    ("postgresql", "config.node=null", "config.node: `null` takes away"),
    ("postgresql", "config=null", "config.agency: none has `holds`"),
    *[
        ("postgresql", f"config.{key}={value}", f"config.{key}: {said}")
        for key, value, said in (
            ("tls.certificate_file", '"a.pem"', "the chart sets this"),
            ("tls.key_file", '"a.key"', "the chart sets this"),
            ("tls.allow_readable_keys", "true", "not in a cluster"),
            ("ops.enabled", "false", "the chart sets this"),
            ("ops.listen", '"127.0.0.1:1"', "the chart sets this"),
            ("node.other_secret_files", '["next.secret"]', "`next.secret` would be beside node.toml"),
            ("node.other_secret_files", '["/etc/concordat/config/a"]', "`/etc/concordat/config/a` would be"),
            ("node.other_secret_files", '["/etc/concordat/tls/../config/b/c"]', "`/etc/concordat/tls/.."),
            ("node.other_ledger_key_files", '["ico/next.key"]', "`ico/next.key` would be beside node.toml"),
        )
    ],
    ("postgresql", 'config.node.other_secret_files=["a"]', "such as `/etc/concordat/node-secret/next.secret`"),
    ("postgresql", 'config.node.other_ledger_key_files=["a"]', "such as `/etc/concordat/ledger-key/next.key`"),
    ("postgresql", 'nodeSecret.value="ab"', "nodeSecret.value: nothing secret is a value"),
    ("postgresql", 'trust.ico={"configMap":""}', "trust.ico: must have exactly one of"),
    *[
        (
            "sqlite",
            f'config.agency=[{{"id":"nca","trust_domain":"n","roots_file":"{file}"}}]',
            f"`{file}` must be NAME/KEY",
        )
        for file in ("nca", "nca/", "nca/../roots.pem", "nca/a/b")
    ],
    ("postgresql", "ops.port=8443", "ops.port: callers are served at 8443"),
    *[
        ("postgresql", f'database.postgresql.host="{host}"', "a name or an IPv4 address")
        for host in ("fd00::1", "[fd00::1]", "db.example:5432", "db.example/concordat")
    ],
    ("postgresql", 'database.postgresql.existingSecret=""', "the Secret with the password of `concordat`"),
    ("postgresql", "serviceAccount.automountServiceAccountToken=true", "automountServiceAccountToken"),
    ("postgresql", 'service.type="ExternalName"', "'ClusterIP', 'LoadBalancer', 'NodePort'"),
    ("postgresql", 'tls={"existingSecret":"","volume":"spiffe"}', "`spiffe` is none of `extraVolumes`"),
    ("postgresql", 'tls.volume="spiffe"', "Which certificate is it?"),
    ("sqlite", "replicaCount=2", "an SQLite file is one pod's"),
    ("cert-manager", "tls.certManager.issuerRef=null", "`issuerRef.name` and `uri`"),
    ("cert-manager", "tls.certManager.dnsNames=[]", "what callers dial"),
    ("cert-manager", 'tls.certManager.uri="https://ncsc.example"', "tls/certManager/uri"),
]


class Values(unittest.TestCase):
    def test_wrong_values_are_turned_away(self):
        for scenario, value, message in WRONG:
            with self.subTest(value=value):
                render(scenario)
                with self.assertRaises(Turned) as turned:
                    render(scenario, value)
                self.assertIn(message, str(turned.exception))

    def test_other_keys_are_taken_from_the_mounted_secrets(self):
        for key, path in (("secret", "node-secret/next.secret"), ("ledger_key", "ledger-key/next.key")):
            render("postgresql", f'config.node.other_{key}_files=["/etc/concordat/{path}"]')

    def test_a_database_without_a_password_in_it_is_taken(self):
        for variable in (
            '{"name":"CONCORDAT__NODE__DATABASE","value":"postgres://concordat@db.example:5432/concordat"}',
            '{"name":"CONCORDAT__NODE__DATABASE","valueFrom":{"secretKeyRef":{"name":"a","key":"b"}}}',
        ):
            render("postgresql", f"extraEnv=[{variable}]")

    def test_all_that_is_missing_is_said_at_once(self):
        with self.assertRaises(Turned) as turned:
            helm("template", "concordat", CHART, "--kube-version", "1.37.0")
        said = str(turned.exception)
        for value in ("tls", "ledgerKey", "nodeSecret", "database.postgresql.host", "migrations", "config.agency"):
            self.assertIn(f"\n- {value}", said)

    def test_the_schema_refers_to_itself_alone(self):
        references = re.findall(r'"\$ref": "([^"]*)"', (CHART / "values.schema.json").read_text())
        self.assertGreater(len(references), 10)
        self.assertEqual([reference for reference in references if not reference.startswith("#/$defs/")], [])

    def test_each_scenario_says_what_it_is(self):
        for scenario in SCENARIOS:
            self.assertTrue((CHART / f"ci/{scenario}-values.yaml").read_text().startswith("# "))


if __name__ == "__main__":
    unittest.main()
