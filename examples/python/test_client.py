"""A channel is replaced when the certificate and its key are, and not before both are there."""

import datetime
import tempfile
import unittest
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256

from concordat_client import Renewing

CONTEXT = """
server = "localhost:1"
server_name = "localhost"
roots_file = "client.pem"
certificate_file = "client.pem"
key_file = "client.key"
[token]
key_file = "token.key"
"""


def pem_of(key) -> bytes:
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, serialization.NoEncryption())


def issued() -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    return builder.sign(key, SHA256()).public_bytes(serialization.Encoding.PEM), pem_of(key)


class RenewingTest(unittest.TestCase):
    def test_a_channel_is_replaced_when_both_files_are(self):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "context.toml").write_text(CONTEXT)
            (folder / "token.key").write_bytes(pem_of(ed25519.Ed25519PrivateKey.generate()))

            def put(certificate: bytes, key: bytes) -> None:
                (folder / "client.pem").write_bytes(certificate)
                (folder / "client.key").write_bytes(key)

            first, second = issued(), issued()
            put(*first)
            renewing = Renewing(folder / "context.toml")
            channel = renewing.channel()
            self.assertIs(renewing.channel(), channel)
            put(second[0], first[1])
            self.assertIs(renewing.channel(), channel)
            put(*second)
            self.assertIsNot(renewing.channel(), channel)


if __name__ == "__main__":
    unittest.main()
