"""The verifier accepts what is right and nothing else: python3 -m unittest test_receipt

One receipt is the repository's own vector, whose bytes never change. The other is a release in a ledger that is made
here, so that content and its commitments are tried too.
"""

import base64
import hashlib
import unittest
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from concordat.v1 import receipt_pb2 as pb
from concordat.v1.release_service_pb2 import RequestReleaseResponse
from concordat_receipt import ED25519, Invalid, Undecided, VerifierKey, sha256, verify, verify_response

VECTORS = Path(__file__).parents[2] / "tests/it/vectors/format-1.txt"


def vectors() -> dict[str, str]:
    lines = (line for line in VECTORS.read_text().splitlines() if line and not line.startswith("#"))
    return dict(line.split(" = ", 1) for line in lines)


class Ledger:
    """A tree, a key and a name, as a node has them."""

    name = "made.example"

    def __init__(self, leaves: list[bytes]):
        self.key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
        self.hashes = [sha256(b"\x00" + leaf) for leaf in leaves]
        public = ED25519 + self.key.public_key().public_bytes_raw()
        self.key_id = sha256(self.name.encode() + b"\n" + public)[:4]
        encoded = base64.b64encode(public).decode()
        self.verifier = VerifierKey.parse(f"{self.name}+{self.key_id.hex()}+{encoded}\n")

    def checkpoint(self) -> str:
        root = base64.b64encode(tree(self.hashes)).decode()
        text = f"{self.name}\n{len(self.hashes)}\n{root}\n"
        signature = base64.b64encode(self.key_id + self.key.sign(text.encode())).decode()
        return f"{text}\n— {self.name} {signature}\n"


def tree(hashes: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, as it is defined."""
    if len(hashes) == 1:
        return hashes[0]
    split = 1 << (len(hashes) - 1).bit_length() - 1
    return sha256(b"\x01" + tree(hashes[:split]) + tree(hashes[split:]))


def path(index: int, hashes: list[bytes]) -> list[bytes]:
    """RFC 6962, section 2.1.1, as it is defined."""
    if len(hashes) == 1:
        return []
    split = 1 << (len(hashes) - 1).bit_length() - 1
    if index < split:
        return path(index, hashes[:split]) + [tree(hashes[split:])]
    return path(index - split, hashes[split:]) + [tree(hashes[:split])]


def release() -> tuple[RequestReleaseResponse, VerifierKey]:
    """A response that releases one category of one incident, at index 5 of 7."""
    handling = pb.Handling(purposes=["harm-reduction"], onward="no", tlp="amber")
    salt, content = bytes([3] * 32), b"\x22\x02\x2a\x00"
    committed = pb.CategoryStatement(category="timeline", commitment=sha256(salt + content))
    outcome = pb.OutcomeStatement(
        outcome="released",
        released=[pb.ReleasedStatement(reference="ref_one", categories=[committed], handling=handling)],
    )
    payloads = [
        pb.AskStatement(requester="ico", request="req_one").SerializeToString(),
        pb.SubjectStatement(reference="ref_one").SerializeToString(),
        outcome.SerializeToString(),
        b"",
    ]
    salts = [bytes([slot] * 32) for slot in (pb.SLOT_ACT, pb.SLOT_SUBJECT, pb.SLOT_OUTCOME, pb.SLOT_GROUNDS)]
    entry = pb.LedgerEntry(
        format=1,
        kind=pb.ENTRY_KIND_ASK,
        at_micros=1,
        commitments=[sha256(salt + payload) for salt, payload in zip(salts, payloads)],
    ).SerializeToString()
    ledger = Ledger([b"a", b"b", b"c", b"d", b"e", entry, b"f"])
    receipt = pb.Receipt(
        origin=ledger.name,
        index=5,
        entry=entry,
        openings=[
            pb.Opening(slot=slot, salt=salts[slot - 1], payload=payloads[slot - 1])
            for slot in (pb.SLOT_ACT, pb.SLOT_SUBJECT, pb.SLOT_OUTCOME)
        ],
        inclusion=path(5, ledger.hashes),
        checkpoint=ledger.checkpoint(),
    )
    response = RequestReleaseResponse(request="req_one", receipt=receipt)
    incident = response.released.incidents.add(reference="ref_one", handling=handling)
    incident.categories.add(category="timeline", content=content, salt=salt)
    response.released.content_included = True
    return response, ledger.verifier


def changes(value):
    """The value with each of its places changed, one at a time."""
    if isinstance(value, int):
        yield from (value + 1, value + 256, 0 if value else 2**63)
    elif isinstance(value, str):
        for place, character in enumerate(value):
            yield value[:place] + chr(ord(character) ^ 1) + value[place + 1 :]
        yield from (value[:-1], value + "\n")
    else:
        for place, byte in enumerate(value):
            yield value[:place] + bytes([byte ^ 1]) + value[place + 1 :]
        yield from (value[:-1], value + b"\x00")


def changed_receipts(receipt: pb.Receipt):
    """The receipt with each place of each field changed, and with its lists shortened, lengthened and swapped."""
    for field in ("origin", "index", "entry", "checkpoint"):
        for value in changes(getattr(receipt, field)):
            other = pb.Receipt.FromString(receipt.SerializeToString())
            setattr(other, field, value)
            yield field, other
    for place, opening in enumerate(receipt.openings):
        for field in ("slot", "salt", "payload"):
            for value in changes(getattr(opening, field)):
                if field == "slot" and value > 2**31 - 1:
                    continue
                other = pb.Receipt.FromString(receipt.SerializeToString())
                setattr(other.openings[place], field, value)
                yield f"openings[{place}].{field}", other
        other = pb.Receipt.FromString(receipt.SerializeToString())
        other.openings.append(opening)
        yield f"openings[{place}] twice", other
    for place, sibling in enumerate(receipt.inclusion):
        for value in changes(sibling):
            other = pb.Receipt.FromString(receipt.SerializeToString())
            other.inclusion[place] = value
            yield f"inclusion[{place}]", other
        other = pb.Receipt.FromString(receipt.SerializeToString())
        del other.inclusion[place]
        yield f"inclusion without {place}", other
    other = pb.Receipt.FromString(receipt.SerializeToString())
    other.inclusion.append(bytes(32))
    yield "inclusion and one more", other


class ReceiptTest(unittest.TestCase):
    def assert_rejected(self, what: str, check, *arguments) -> None:
        try:
            check(*arguments)
        except (Invalid, Undecided):
            return
        self.fail(f"accepted with another {what}")

    def test_the_vector_verifies(self):
        given = vectors()
        receipt = pb.Receipt.FromString(bytes.fromhex(given["receipt"]))
        verified = verify(receipt, [VerifierKey.parse(given["verifier_key"])])
        self.assertEqual(hashlib.sha256(b"\x00" + receipt.entry).hexdigest(), given["leaf_hash"])
        self.assertEqual((verified.size, verified.ask.requester, verified.ask.holder), (5, "ico", "ncsc"))

    def test_a_keyring_says_what_a_signature_is_worth(self):
        given = vectors()
        receipt = pb.Receipt.FromString(bytes.fromhex(given["receipt"]))
        key = given["verifier_key"]
        self.assertEqual(verify(receipt, [VerifierKey.parse(f"{key} from 2023-01-01 until 9000-01-01")]).size, 5)
        with self.assertRaises(Invalid):
            verify(receipt, [VerifierKey.parse(f"{key} until 1970-01-01T00:00:00Z")])
        with self.assertRaises(Undecided):
            verify(receipt, [VerifierKey.parse(f"{key} compromised 2023-01-01")])
        for wrong in ("from", "until tomorrow", "since 2023-01-01", "from 2023-01-01 from 2023-01-01"):
            with self.assertRaises(Undecided):
                VerifierKey.parse(f"{key} {wrong}")

    def test_no_place_of_the_vector_can_be_changed(self):
        given = vectors()
        keys = [VerifierKey.parse(given["verifier_key"])]
        for what, changed in changed_receipts(pb.Receipt.FromString(bytes.fromhex(given["receipt"]))):
            self.assert_rejected(what, verify, changed, keys)

    def test_no_place_of_a_release_can_be_changed(self):
        response, key = release()
        self.assertEqual(verify_response(response, [key]).outcome.outcome, "released")

        def copy() -> RequestReleaseResponse:
            return RequestReleaseResponse.FromString(response.SerializeToString())

        for what, changed in changed_receipts(response.receipt):
            other = copy()
            other.receipt.CopyFrom(changed)
            self.assert_rejected(what, verify_response, other, [key])
        for field in ("category", "content", "salt"):
            for value in changes(getattr(response.released.incidents[0].categories[0], field)):
                other = copy()
                setattr(other.released.incidents[0].categories[0], field, value)
                self.assert_rejected(field, verify_response, other, [key])
        for value in changes(response.request):
            other = copy()
            other.request = value
            self.assert_rejected("request", verify_response, other, [key])
        for value in changes("ref_one"):
            other = copy()
            other.released.incidents[0].reference = value
            self.assert_rejected("reference", verify_response, other, [key])
        other = copy()
        other.released.incidents[0].handling.onward = "yes"
        self.assert_rejected("handling", verify_response, other, [key])
        other = copy()
        other.open.statement = "nothing is released"
        self.assert_rejected("outcome", verify_response, other, [key])

    def test_every_place_in_trees_of_every_size_is_proven(self):
        for size in range(1, 20):
            for index in range(size):
                entries = [pb.LedgerEntry(format=1, at_micros=n, commitments=[bytes(32)] * 4) for n in range(1, size + 1)]
                leaves = [entry.SerializeToString() for entry in entries]
                ledger = Ledger(leaves)
                receipt = pb.Receipt(
                    origin=ledger.name,
                    index=index,
                    entry=leaves[index],
                    inclusion=path(index, ledger.hashes),
                    checkpoint=ledger.checkpoint(),
                )
                self.assertEqual(verify(receipt, [ledger.verifier]).entry.at_micros, index + 1)

    def test_without_a_key_for_the_ledger_it_is_undecided(self):
        response, _ = release()
        other = VerifierKey.parse(vectors()["verifier_key"])
        for keys in ([], [other]):
            with self.assertRaises(Undecided):
                verify_response(response, keys)


if __name__ == "__main__":
    unittest.main()
