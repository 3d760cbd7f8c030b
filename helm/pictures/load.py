"""Officers who call a node over mutual TLS: the NCSC's who record and withdraw, the ICO's and the NCA's who ask."""

import contextlib
import hashlib
import math
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple

import grpc
from concordat.v1 import agreement_service_pb2 as agreements
from concordat.v1 import authorisation_service_pb2 as authorisations
from concordat.v1 import consent_service_pb2 as consents
from concordat.v1 import content_pb2 as content
from concordat.v1 import event_service_pb2 as events
from concordat.v1 import inbox_service_pb2 as inbox
from concordat.v1 import incident_service_pb2 as incidents
from concordat.v1 import notice_service_pb2 as notices
from concordat.v1 import organisation_service_pb2 as organisations
from concordat.v1 import release_service_pb2 as releases
from concordat.v1 import statistics_service_pb2 as statistics
from concordat.v1 import wrongful_release_service_pb2 as wrongful
from concordat.v1.agreement_service_pb2_grpc import AgreementServiceStub
from concordat.v1.authorisation_service_pb2_grpc import AuthorisationServiceStub
from concordat.v1.consent_service_pb2_grpc import ConsentServiceStub
from concordat.v1.event_service_pb2_grpc import EventServiceStub
from concordat.v1.inbox_service_pb2_grpc import InboxServiceStub
from concordat.v1.incident_service_pb2_grpc import IncidentServiceStub
from concordat.v1.notice_service_pb2_grpc import NoticeServiceStub
from concordat.v1.organisation_service_pb2_grpc import OrganisationServiceStub
from concordat.v1.release_service_pb2_grpc import ReleaseServiceStub
from concordat.v1.statistics_service_pb2_grpc import StatisticsServiceStub
from concordat.v1.wrongful_release_service_pb2_grpc import WrongfulReleaseServiceStub
from concordat_client import Renewing, request_id
from exchange import PODS, Exchange

PURPOSE = "harm-reduction"
AGREED = ["timeline", "root-cause"]
# So many incidents are kept in play; the consent to an older one is withdrawn.
IN_PLAY = 60


class Case(NamedTuple):
    """An incident, to which its organisation has consented."""

    consent: str
    reference: str


class Load:
    """Each officer is a thread that calls at a pace of its own until the `with` block ends."""

    def __init__(self, exchange: Exchange):
        self.exchange = exchange
        self.cases: deque[Case] = deque()
        # Asked for as well: withdrawn, or with a consent that ends soon.
        self.others: deque[Case] = deque(maxlen=IN_PLAY // 2)
        self.released: deque[int] = deque(maxlen=100)
        self.answers: Counter[str] = Counter()
        self.over = threading.Event()
        self.began = time.monotonic()
        self.threads: list[threading.Thread] = []
        first, second = PODS
        ncsc = ["requester", "recorder", "auditor"]
        self.recorder = self.officer("ncsc", "recorder", ncsc, first)
        self.senior = self.officer("ncsc", "senior", ["verifier", "authoriser", "operator"], second)

    def officer(self, agency: str, name: str, roles: list[str], pod: str, system: str = "case-system") -> Renewing:
        return Renewing(self.exchange.context(agency, name, roles, pod, system))

    def __enter__(self) -> "Load":
        first, second = PODS
        self.start("records", 1.2, self.record)
        self.start("withdraws", 1.2, self.withdraw)
        for number, pod in enumerate([first, second, second]):
            ico = self.officer("ico", f"officer-{number}", ["requester", "statistician", "auditor"], pod)
            self.start(f"asks {number}", 5, lambda ico=ico: self.ask(ico))
            self.start(f"watches {number}", 1, lambda ico=ico: self.watch(ico))
        nca = self.officer("nca", "officer", ["requester", "auditor"], first)
        self.start("asks of the NCA", 1.5, lambda: self.ask(nca))
        return self

    def __exit__(self, *_) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join(40)

    def start(self, name: str, pace: float, act: Callable[[], None]) -> None:
        """Acts `pace` times a second on the average, in waves of three minutes, whatever becomes of it."""

        def run() -> None:
            while not self.over.is_set():
                try:
                    act()
                    self.answers["OK"] += 1
                except grpc.RpcError as error:
                    self.answers[error.code().name] += 1
                wave = 1 + 0.6 * math.sin((time.monotonic() - self.began) * math.tau / 180)
                self.over.wait(random.expovariate(pace * wave))

        thread = threading.Thread(target=run, name=name, daemon=True)
        thread.start()
        self.threads.append(thread)

    # What each officer does.

    def activate(self) -> None:
        """Puts every agreement of the NCSC into force."""
        stub = AgreementServiceStub(self.senior.channel())
        for agreement in stub.ListAgreements(agreements.ListAgreementsRequest()).agreements:
            stub.ActivateAgreement(
                agreements.ActivateAgreementRequest(
                    request_id=request_id(), agreement_id=agreement.id, digest=agreement.digest
                )
            )

    def record(self) -> None:
        """An organisation, its incident, its consent, and the authorisation to disclose; one in eight is offered."""
        now = datetime.now(timezone.utc)
        # One in four ends within the run, of which a nudge tells before.
        ends = now + random.choice([timedelta(minutes=8), *3 * [timedelta(days=200)]])
        recorder, senior = self.recorder.channel(), self.senior.channel()
        organisation = OrganisationServiceStub(recorder).RegisterOrganisation(
            organisations.RegisterOrganisationRequest(request_id=request_id(), name="Example Water plc (invented)")
        )
        stub = IncidentServiceStub(recorder)
        incident = stub.RegisterIncident(
            incidents.RegisterIncidentRequest(
                request_id=request_id(),
                organisation_id=organisation.organisation_id,
                occurred_from=now - timedelta(days=9),
                occurred_until=now - timedelta(days=8),
                content=content.IncidentContent(
                    timeline=content.Timeline(discovery="an operator noticed"),
                    root_cause=content.RootCause(actions=["malware"], varieties=["Ransomware"]),
                ),
            )
        ).incident_id
        reference = stub.IssueReference(
            incidents.IssueReferenceRequest(request_id=request_id(), incident_id=incident, recipient="ico")
        ).reference
        recorded = ConsentServiceStub(recorder).RecordConsent(
            consents.RecordConsentRequest(
                request_id=request_id(),
                organisation_id=organisation.organisation_id,
                scope=consents.ConsentScope(
                    recipient="ico",
                    purposes=[PURPOSE],
                    categories=AGREED,
                    incident_id=incident,
                    valid_until=ends,
                ),
                evidence=consents.ConsentEvidence(
                    signatory="A. Director (invented)",
                    authority="company secretary",
                    channel="signed-letter",
                    digest=hashlib.sha256(b"letter").digest(),
                    received_at=now - timedelta(minutes=5),
                ),
            )
        )
        ConsentServiceStub(senior).VerifyConsent(
            consents.VerifyConsentRequest(
                request_id=request_id(), consent_id=recorded.consent_id, version=recorded.version
            )
        )
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
        among = self.others if ends < now + timedelta(days=1) else self.cases
        among.append(Case(recorded.consent_id, reference))
        if random.random() < 1 / 8:
            offered = inbox.OfferedIncident(incident_id=incident, recipient="ico", purpose=PURPOSE, categories=AGREED)
            InboxServiceStub(senior).OfferRelease(
                inbox.OfferReleaseRequest(request_id=request_id(), incident=offered)
            )

    def withdraw(self) -> None:
        """The oldest consent, once enough are in play."""
        if len(self.cases) > IN_PLAY:
            case = self.cases.popleft()
            self.others.append(case)
            ConsentServiceStub(self.recorder.channel()).WithdrawConsent(
                consents.WithdrawConsentRequest(request_id=request_id(), consent_id=case.consent)
            )

    def ask(self, officer: Renewing) -> None:
        """Mostly for an incident, now and then with a mistake, for a table, or for what is new."""
        channel, dice = officer.channel(), random.random()
        known = [case.reference for case in (*self.cases, *self.others)]
        reference = random.choice(known) if known and dice < 0.6 else "ref_" + "0" * 26
        if dice < 0.8:
            purpose = PURPOSE if dice < 0.74 else "serious-organised-crime"
            answer = ReleaseServiceStub(channel).RequestRelease(
                releases.RequestReleaseRequest(
                    request_id=request_id(), holder="ncsc", reference=reference, purpose=purpose, categories=AGREED
                )
            )
            if answer.HasField("released"):
                self.released.append(answer.receipt.index)
        elif dice < 0.84:
            ReleaseServiceStub(channel).RequestRelease(
                releases.RequestReleaseRequest(request_id=request_id(), holder="ncsc", categories=["Time line"])
            )
        elif dice < 0.9:
            StatisticsServiceStub(channel).GetStatistics(
                statistics.GetStatisticsRequest(
                    request_id=request_id(), holder="ncsc", quarter="2026-Q1", table="sector"
                )
            )
        else:
            NoticeServiceStub(channel).ListNotices(notices.ListNoticesRequest(page_size=10))

    def watch(self, officer: Renewing) -> None:
        """Follows what there is to look at, until the stream ends."""
        stream = EventServiceStub(officer.channel()).WatchEvents(events.WatchEventsRequest(), timeout=900)
        for _ in stream:
            if self.over.is_set():
                stream.cancel()
                return

    # What happens once.

    def report_wrongful(self) -> None:
        """A release that should not have been, of which the NCSC has known for longer than 72 hours."""
        aware = datetime.now(timezone.utc) - timedelta(hours=80)
        WrongfulReleaseServiceStub(self.recorder.channel()).ReportWrongfulRelease(
            wrongful.ReportWrongfulReleaseRequest(
                request_id=request_id(), cause="wrong-recipient", receipt_indexes=[self.released[-1]], aware_at=aware
            )
        )

    def burst(self, calls: int) -> None:
        """More changes at once than an agency's queue has room for."""
        stub = OrganisationServiceStub(self.recorder.channel())
        under_way = [
            stub.RegisterOrganisation.future(
                organisations.RegisterOrganisationRequest(request_id=request_id(), name=f"Import {number} (invented)")
            )
            for number in range(calls)
        ]
        for call in under_way:
            self.answers[call.code().name] += 1

    def knock(self, context: Path, times: int) -> None:
        """A system that is turned away at the handshake, and tries again."""
        for _ in range(times):
            if self.over.wait(0.5):
                return
            with contextlib.suppress(grpc.RpcError):
                AgreementServiceStub(Renewing(context).channel()).ListAgreements(
                    agreements.ListAgreementsRequest(), timeout=2
                )
