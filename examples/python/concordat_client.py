"""Calling a node with a context file: mutual TLS, an officer's token with each call, errors with their details."""

import hashlib
import json
import secrets
import ssl
import time
import tomllib
from pathlib import Path

import grpc
import jwt
from google.rpc import error_details_pb2
from grpc_status import rpc_status

# A call that failed in one of these ways is put again as it was. Its `request_id` makes that safe: if the node had
# done it already, the answer is the one of the first time.
RETRIES = {
    "methodConfig": [
        {
            "name": [{}],
            "timeout": "20s",
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.25s",
                "maxBackoff": "4s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
            },
        },
        # A stream of events has no end of its own.
        {"name": [{"service": "concordat.v1.EventService", "method": "WatchEvents"}]},
    ]
}


def connect(file: Path) -> grpc.Channel:
    """A channel that speaks for the context's officer. Paths in the file are relative to its folder."""
    context = tomllib.loads(file.read_text())

    def read(key: str) -> bytes:
        return (file.parent / context[key]).read_bytes()

    certificate = read("certificate_file")
    tls = grpc.ssl_channel_credentials(read("roots_file"), read("key_file"), certificate)
    officer = grpc.metadata_call_credentials(Tokens(context["token"], file.parent, certificate))
    return grpc.secure_channel(
        context["server"],
        grpc.composite_channel_credentials(tls, officer),
        [
            ("grpc.ssl_target_name_override", context["server_name"]),
            ("grpc.service_config", json.dumps(RETRIES)),
        ],
    )


class Renewing:
    """Channels for programs that outlive a certificate: by the context's files as they are when `channel` is called.

    A token is good only on connections that its own certificate opened, so the two are replaced as one. Take a channel
    for each piece of work, and anew whenever a stream ends: the node ends it when a connection is 15 minutes old.
    """

    def __init__(self, file: Path):
        self.file = file
        self.made_of: list[bytes] = []
        self.current: grpc.Channel | None = None

    def channel(self) -> grpc.Channel:
        """The newest; files that do not belong together, half written ones among them, leave the last one."""
        context = tomllib.loads(self.file.read_text())
        names = [context[key] for key in ("certificate_file", "key_file", "roots_file")]
        files = [self.file.parent / name for name in [*names, context["token"]["key_file"]]]
        made_of = [file.read_bytes() for file in files]
        if made_of != self.made_of and (self.current is None or is_pair(*files[:2])):
            # What is under way on the old one goes on: it is closed when nobody uses it any more.
            self.current, self.made_of = connect(self.file), made_of
        return self.current


def is_pair(certificate: Path, key: Path) -> bool:
    """Whether the key is the certificate's."""
    try:
        ssl.create_default_context().load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError):
        return False
    return True


class Tokens(grpc.AuthMetadataPlugin):
    """Signs a token for each call, as a case system does with its agency's registered key (docs/tokens.md)."""

    def __init__(self, section: dict, folder: Path, certificate_pem: bytes):
        self.section = section
        self.key = (folder / section["key_file"]).read_text()
        # The first certificate is the system's own; the token is good only on connections that it opened.
        first = certificate_pem.decode().partition("-----END CERTIFICATE-----")
        der = ssl.PEM_cert_to_DER_cert(first[0] + first[1])
        thumbprint = jwt.utils.base64url_encode(hashlib.sha256(der).digest()).decode()
        self.binding = {"x5t#S256": thumbprint}

    def token(self) -> str:
        now = int(time.time())
        claims = {
            "iss": self.section["issuer"],
            "sub": self.section["officer"],
            "aud": self.section["audience"],
            "iat": now,
            "nbf": now,
            "exp": now + 300,
            "jti": secrets.token_urlsafe(16),
            "client_id": "example-python",
            "cnf": self.binding,
            "unit": self.section["unit"],
            "roles": self.section["roles"],
            "purposes": self.section["purposes"],
        }
        header = {"typ": "at+jwt", "kid": self.section["kid"]}
        return jwt.encode(claims, self.key, algorithm="EdDSA", headers=header)

    def __call__(self, _context, callback):
        callback((("authorization", f"Bearer {self.token()}"),), None)


def request_id() -> str:
    """A fresh idempotency key. Keep it with the request: a retry must carry the same one."""
    return secrets.token_urlsafe(16)


def explain(error: grpc.RpcError) -> tuple[str, dict[str, str]]:
    """The reason of an error, by which a program decides, and the problem of each wrong field."""
    reason, fields = "", {}
    status = rpc_status.from_call(error)
    for detail in status.details if status else []:
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = error_details_pb2.ErrorInfo()
            detail.Unpack(info)
            reason = info.reason
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            bad = error_details_pb2.BadRequest()
            detail.Unpack(bad)
            fields.update({violation.field: violation.description for violation in bad.field_violations})
    return reason, fields
