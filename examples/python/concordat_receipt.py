"""Verifies receipts offline, from docs/receipts.md alone: nothing of Concordat's own code is used.

Hashing is `hashlib`, the signature is Ed25519 from `cryptography`, and the messages are the contract's, generated.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from concordat.v1 import receipt_pb2 as pb
from concordat.v1.release_service_pb2 import RequestReleaseResponse

ED25519 = b"\x01"


class Invalid(Exception):
    """Something does not verify: changed, or wrong in itself."""


class Undecided(Exception):
    """It cannot be told: there is no trusted key for this ledger."""


@dataclass(frozen=True)
class VerifierKey:
    """A ledger's public key, as its agency hands it out."""

    name: str
    id: bytes
    public: Ed25519PublicKey
    until_micros: int | None = None
    compromised: bool = False

    @classmethod
    def parse(cls, line: str) -> "VerifierKey":
        """Reads a line of a keyring: `NAME+ID+KEY`, where the key may have a `+` in it, then words with a date each."""
        try:
            verifier_key, *words = line.split()
            said = dict(zip(words[::2], words[1::2], strict=True))
            if len(said) * 2 != len(words) or not said.keys() <= {"from", "until", "compromised"}:
                raise ValueError
            dates = {word: micros(text) for word, text in said.items()}
            name, key_id, encoded = verifier_key.split("+", 2)
            key = strict_base64(encoded)
            expected = sha256(name.encode() + b"\n" + key)[:4]
            if key[:1] != ED25519 or key_id != expected.hex():
                raise ValueError
            public = Ed25519PublicKey.from_public_bytes(key[1:])
            return cls(name, expected, public, dates.get("until"), "compromised" in dates)
        except ValueError as error:
            raise Undecided("not a verifier key") from error


@dataclass(frozen=True)
class Verified:
    """What a receipt says, once all of it has been checked."""

    size: int
    entry: pb.LedgerEntry
    ask: pb.AskStatement | None = None
    act: pb.Act | None = None
    subject: pb.SubjectStatement | None = None
    outcome: pb.OutcomeStatement | None = None
    offer: pb.OfferStatement | None = None
    notice: pb.NoticeStatement | None = None
    wrongful_release: pb.WrongfulReleaseStatement | None = None
    grounds: pb.GroundsStatement | None = None


def verify(receipt: pb.Receipt, keys: list[VerifierKey]) -> Verified:
    """Checks signature, inclusion and openings, and returns what was opened."""
    trusted = [key for key in keys if key.name == receipt.origin]
    if not trusted:
        raise Undecided(f"there is no key for the ledger {receipt.origin!r}")
    size, root, signers = open_checkpoint(receipt.checkpoint, receipt.origin, trusted)
    leaf = sha256(b"\x00" + receipt.entry)
    if root_from(leaf, receipt.index, size, receipt.inclusion) != root:
        raise Invalid("the entry is not in the tree that was signed")
    entry = decode(pb.LedgerEntry, receipt.entry)
    if entry.format != 1 or [len(commitment) for commitment in entry.commitments] != [32] * 4:
        raise Invalid("not an entry of format 1")
    proves(signers, entry.at_micros)
    return Verified(size, entry, **statements(entry, receipt.openings))


def verify_response(response: RequestReleaseResponse, keys: list[VerifierKey]) -> Verified:
    """Checks an ask's receipt, and that it commits to this outcome and to every byte of content beside it."""
    verified = verify(response.receipt, keys)
    if verified.ask is None or verified.outcome is None:
        raise Invalid("the receipt does not say what was asked and what came of it")
    outcome = (response.WhichOneof("outcome") or "").replace("_", "-")
    if verified.ask.request != response.request or verified.outcome.outcome != outcome:
        raise Invalid("the receipt is of another answer")
    promised = {released.reference: released for released in verified.outcome.released}
    for incident in response.released.incidents:
        if incident.reference not in promised or incident.handling != promised[incident.reference].handling:
            raise Invalid("the receipt does not commit to this incident and its handling terms")
        commitments = {category.category: category.commitment for category in promised[incident.reference].categories}
        for category in incident.categories:
            if sha256(category.salt + category.content) != commitments.get(category.category):
                raise Invalid(f"the receipt does not commit to this content of `{category.category}`")
    return verified


def proves(signers: list[VerifierKey], at_micros: int) -> None:
    """Whether one of the keys that signed was in use at the entry's time and in no other hands."""
    if any(not key.compromised and (key.until_micros is None or at_micros < key.until_micros) for key in signers):
        return
    if any(key.compromised for key in signers):
        raise Undecided("the key that signed it may have been in other hands: fetch the entry again")
    raise Invalid("the key that signed it was not in use any more at the entry's time")


def micros(text: str) -> int:
    """A date or a time in UTC, in microseconds since 1970."""
    at = datetime.fromisoformat(text)
    since = (at if at.tzinfo else at.replace(tzinfo=timezone.utc)) - datetime(1970, 1, 1, tzinfo=timezone.utc)
    return since // timedelta(microseconds=1)


def open_checkpoint(note: str, origin: str, trusted: list[VerifierKey]) -> tuple[int, bytes, list[VerifierKey]]:
    """Opens a signed note that is a checkpoint of `origin`: the tree's size and root, and the trusted keys that signed."""
    text, blank, signatures = note.rpartition("\n\n")
    text += "\n"
    lines = signatures.split("\n")
    if not blank or lines.pop() != "":
        raise Invalid("the checkpoint is not a signed note")
    signers = []
    for line in lines:
        match = re.fullmatch(r"— ([^ +]+) ([^ ]+)", line)
        signature = strict_base64(match[2]) if match else b""
        if match is None or len(signature) < 5:
            raise Invalid("the checkpoint has a line that is not a signature")
        for key in trusted:
            if key.name == match[1] and key.id == signature[:4]:
                try:
                    key.public.verify(signature[4:], text.encode())
                except InvalidSignature as error:
                    raise Invalid("the checkpoint's signature is wrong") from error
                signers.append(key)
    if not signers:
        raise Undecided("the checkpoint has no signature by a trusted key")
    said, size, root, *_ = text.split("\n") + ["", ""]
    if said != origin or not re.fullmatch(r"0|[1-9][0-9]*", size) or len(strict_base64(root)) != 32:
        raise Invalid("the signed text is not a checkpoint of this ledger")
    return int(size), strict_base64(root), signers


def root_from(leaf: bytes, index: int, size: int, path) -> bytes:
    """The root that an RFC 6962 inclusion proof leads to."""
    if index >= size:
        raise Invalid("the entry's index is not in the tree")
    node, last, value = index, size - 1, leaf
    for sibling in path:
        if last == 0 or len(sibling) != 32:
            raise Invalid("the inclusion proof has the wrong shape")
        if node % 2 == 1 or node == last:
            value = sha256(b"\x01" + sibling + value)
            while node % 2 == 0 and node != 0:
                node, last = node >> 1, last >> 1
        else:
            value = sha256(b"\x01" + value + sibling)
        node, last = node >> 1, last >> 1
    if last != 0:
        raise Invalid("the inclusion proof is too short")
    return value


def statements(entry: pb.LedgerEntry, openings) -> dict:
    """What the openings show, each checked against the entry's commitment for its slot."""
    act = ("ask", pb.AskStatement) if entry.kind == pb.ENTRY_KIND_ASK else ("act", pb.Act)
    wrongful = ("wrongful_release", pb.WrongfulReleaseStatement)
    outcomes = {
        pb.ENTRY_KIND_OFFER: ("offer", pb.OfferStatement),
        pb.ENTRY_KIND_NOTICE: ("notice", pb.NoticeStatement),
        pb.ENTRY_KIND_CONSENT: wrongful,
        pb.ENTRY_KIND_WRONGFUL_RELEASE: wrongful,
    }
    slots = {
        pb.SLOT_ACT: act,
        pb.SLOT_SUBJECT: ("subject", pb.SubjectStatement),
        pb.SLOT_OUTCOME: outcomes.get(entry.kind, ("outcome", pb.OutcomeStatement)),
        pb.SLOT_GROUNDS: ("grounds", pb.GroundsStatement),
    }
    opened = {}
    for opening in openings:
        if opening.slot not in slots or slots[opening.slot][0] in opened or len(opening.salt) != 32:
            raise Invalid("an opening of a slot that is not there, or is opened twice")
        if sha256(opening.salt + opening.payload) != entry.commitments[opening.slot - 1]:
            raise Invalid("an opening is not what the entry commits to")
        name, message = slots[opening.slot]
        opened[name] = decode(message, opening.payload)
    return opened


def decode(message, payload: bytes):
    """A message from bytes whose hash has been checked."""
    try:
        return message.FromString(payload)
    except Exception as error:
        raise Invalid(f"not a {message.DESCRIPTOR.name}") from error


def strict_base64(text: str) -> bytes:
    """Base64 in its one form: no other characters, and no bits that do not count."""
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Invalid("not base64") from error
    if base64.b64encode(decoded).decode() != text:
        raise Invalid("not base64 in its one form")
    return decoded


def sha256(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
