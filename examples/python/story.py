"""The whole story against a developer's node: python3 story.py FOLDER [--keep FILE]

FOLDER is the one of `concordat serve --dev`. With --keep, the response that released something is written to FILE.
"""

import argparse
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import grpc

import concordat_receipt
from concordat.v1 import agreement_service_pb2 as agreements
from concordat.v1 import authorisation_service_pb2 as authorisations
from concordat.v1 import consent_service_pb2 as consents
from concordat.v1 import content_pb2 as content
from concordat.v1 import incident_service_pb2 as incidents
from concordat.v1 import organisation_service_pb2 as organisations
from concordat.v1 import release_service_pb2 as releases
from concordat.v1.agreement_service_pb2_grpc import AgreementServiceStub
from concordat.v1.authorisation_service_pb2_grpc import AuthorisationServiceStub
from concordat.v1.consent_service_pb2_grpc import ConsentServiceStub
from concordat.v1.incident_service_pb2_grpc import IncidentServiceStub
from concordat.v1.organisation_service_pb2_grpc import OrganisationServiceStub
from concordat.v1.release_service_pb2_grpc import ReleaseServiceStub
from concordat_client import connect, explain, request_id

PURPOSE = "harm-reduction"
AGREED = ["timeline", "root-cause"]


def step(good: bool, what: str) -> None:
    print(f"  {'✓' if good else '✗'} {what}", flush=True)
    if not good:
        sys.exit(f"failed: {what}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--keep", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    folder = arguments.folder
    key = concordat_receipt.VerifierKey.parse((folder / "node-dev/ledger.pub").read_text())
    with (
        connect(folder / "ncsc-case-officer.toml") as ncsc_officer,
        connect(folder / "ncsc-senior-officer.toml") as ncsc_senior,
        connect(folder / "ico-case-officer.toml") as ico_officer,
    ):
        print("1. The agreements")
        activate(ncsc_senior)

        print("2. The NCSC registers what it knows, and issues a reference for the ICO")
        organisation, incident, reference = register(ncsc_officer)

        print("3. The ICO asks")
        ico = ReleaseServiceStub(ico_officer)
        first = ask(ico, key, holder="ncsc", reference=reference, purpose=PURPOSE, categories=[*AGREED, "narrative"])
        step(first.HasField("open"), f"open: {first.open.statement}")

        print("4. The organisation consents, and a senior officer authorises")
        consent = give_consent(ncsc_officer, ncsc_senior, organisation, incident)
        authorise(ncsc_senior, incident)

        print("5. The ICO asks again")
        released = ask(ico, key, request=first.request)
        show(released)
        if arguments.keep:
            arguments.keep.write_bytes(released.SerializeToString())

        print("6. The organisation withdraws")
        withdrawal = consents.WithdrawConsentRequest(request_id=request_id(), consent_id=consent)
        withdrawn = ConsentServiceStub(ncsc_officer).WithdrawConsent(withdrawal)
        step(True, f"withdrawn at ledger entry {withdrawn.receipt.index}")
        step(ask(ico, key, request=first.request).HasField("open"), "the next ask is open again")

        print("7. Errors say what to do")
        provoke(ico, reference)
    print("All steps came out as they should.")


def activate(senior: grpc.Channel) -> None:
    """Puts the agreement between the two into force, if it is not."""
    stub = AgreementServiceStub(senior)
    for agreement in stub.ListAgreements(agreements.ListAgreementsRequest()).agreements:
        if agreement.id == "ico-ncsc-2023" and agreement.state == "proposed":
            stub.ActivateAgreement(
                agreements.ActivateAgreementRequest(
                    request_id=request_id(), agreement_id=agreement.id, digest=agreement.digest
                )
            )
    agreement = stub.GetAgreement(agreements.GetAgreementRequest(agreement_id="ico-ncsc-2023")).agreement
    step(agreement.state == "in-force", f"{agreement.title}: {agreement.state}, {len(agreement.clauses)} clauses")


def register(officer: grpc.Channel) -> tuple[str, str, str]:
    """An invented organisation with an invented incident, and the ICO's reference to it."""
    organisation = OrganisationServiceStub(officer).RegisterOrganisation(
        organisations.RegisterOrganisationRequest(request_id=request_id(), name="Example Water plc (invented)")
    )
    now = datetime.now(timezone.utc)
    stub = IncidentServiceStub(officer)
    incident = stub.RegisterIncident(
        incidents.RegisterIncidentRequest(
            request_id=request_id(),
            organisation_id=organisation.organisation_id,
            occurred_from=now - timedelta(days=9),
            occurred_until=now - timedelta(days=8),
            content=content.IncidentContent(
                timeline=content.Timeline(discovery="an operator noticed"),
                root_cause=content.RootCause(actions=["malware"], varieties=["Ransomware"]),
                narrative=content.Narrative(text="what nobody agreed to release"),
            ),
        )
    )
    issued = stub.IssueReference(
        incidents.IssueReferenceRequest(request_id=request_id(), incident_id=incident.incident_id, recipient="ico")
    )
    step(issued.reference.startswith("ref_"), "registered; the reference goes to the ICO through the organisation")
    return organisation.organisation_id, incident.incident_id, issued.reference


def ask(ico: ReleaseServiceStub, key: concordat_receipt.VerifierKey, **fields) -> releases.RequestReleaseResponse:
    """Puts an ask, and believes nothing of the answer before its receipt has verified."""
    request = releases.RequestReleaseRequest(request_id=request_id(), **fields)
    response = ico.RequestRelease(request)
    verified = concordat_receipt.verify_response(response, [key])
    step(
        verified.ask.request_id == request.request_id,
        f"entry {response.receipt.index} of {verified.size} says `{verified.outcome.outcome}`, proven offline",
    )
    return response


def give_consent(recorder: grpc.Channel, verifier: grpc.Channel, organisation: str, incident: str) -> str:
    """One officer records what the organisation agreed to, another verifies it."""
    recorded = ConsentServiceStub(recorder).RecordConsent(
        consents.RecordConsentRequest(
            request_id=request_id(),
            organisation_id=organisation,
            scope=consents.ConsentScope(
                recipient="ico", purposes=[PURPOSE], categories=AGREED, incident_id=incident
            ),
            evidence=consents.ConsentEvidence(
                signatory="A. Director (invented)",
                authority="company secretary",
                channel="signed-letter",
                digest=bytes(32),
                received_at=datetime.now(timezone.utc) - timedelta(minutes=5),
            ),
        )
    )
    ConsentServiceStub(verifier).VerifyConsent(
        consents.VerifyConsentRequest(
            request_id=request_id(), consent_id=recorded.consent_id, version=recorded.version
        )
    )
    step(True, f"consent to {', '.join(AGREED)}: recorded by one officer, verified by another")
    return recorded.consent_id


def authorise(senior: grpc.Channel, incident: str) -> None:
    AuthorisationServiceStub(senior).GiveAuthorisation(
        authorisations.GiveAuthorisationRequest(
            request_id=request_id(),
            incident_id=incident,
            revision=1,
            recipient="ico",
            purposes=[PURPOSE],
            categories=AGREED,
            ground="isa-1994-s4-2-a",
        )
    )
    step(True, "authorised under the Intelligence Services Act 1994 s.4(2)(a)")


def show(response: releases.RequestReleaseResponse) -> None:
    """Decodes what was released: the contents of an incident's categories, put together, are one message."""
    step(response.HasField("released") and response.released.content_included, "released")
    [incident] = response.released.incidents
    names = sorted(category.category for category in incident.categories)
    step(names == sorted(AGREED), f"exactly what was agreed: {', '.join(names)}; no narrative")
    decoded = content.IncidentContent.FromString(b"".join(category.content for category in incident.categories))
    step(
        decoded.timeline.discovery == "an operator noticed" and not decoded.HasField("narrative"),
        f"found when {decoded.timeline.discovery}; cause: {', '.join(decoded.root_cause.varieties)}",
    )
    handling = incident.handling
    print(f"    for {', '.join(handling.purposes)}; pass on: {handling.onward}; TLP {handling.tlp}")


def provoke(ico: ReleaseServiceStub, reference: str) -> None:
    """Two mistakes. The reason is for the program, the field and its problem for the person."""
    wrong_field = releases.RequestReleaseRequest(
        request_id=request_id(), holder="ncsc", reference=reference, purpose=PURPOSE, categories=["Time line"]
    )
    used_twice = releases.RequestReleaseRequest(
        request_id=request_id(), holder="ncsc", reference=reference, purpose=PURPOSE, categories=["timeline"]
    )
    ico.RequestRelease(used_twice)
    used_twice.categories.append("impact")
    for request, expected in [(wrong_field, "INVALID_FIELD"), (used_twice, "KEY_REUSED")]:
        try:
            ico.RequestRelease(request)
            step(False, f"{expected} was expected")
        except grpc.RpcError as error:
            reason, fields = explain(error)
            problems = "; ".join(f"`{field}` {problem}" for field, problem in fields.items())
            step(reason == expected and bool(fields), f"{error.code().name}, {reason}: {problems}")


if __name__ == "__main__":
    main()
