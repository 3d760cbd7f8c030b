//! Papers for the organisations of the holder's own register: what is on each is read here, `papers` writes the page.
//!
//! A page says nothing of another organisation, of an officer, of what another agency asked for and didn't get, and of
//! what another agency said.

mod statement;

use prost::Message as _;

use crate::domain::{
    AgencyId, Consent, ConsentHistory, ConsentId, ConsentScope, ConsentState, Coverage, Digest, DisclosureId, Instant,
    Organisation, OrganisationId, Rejected,
};
use crate::ledger::Kind;
use crate::papers::{Acknowledgement, ConsentForm, Letterhead, ShownScope, Standing, Wording};
use crate::proto::v1::{PaperStatement, Receipt, Slot};
use crate::store::{Reads, Store};

use super::consents::ScopeTerms;
use super::plan::{By, Change, Context, Plan};
use super::replay::sum;
use super::{Error, Exchange, Result};

/// Which paper an officer wants.
#[derive(Debug)]
pub enum PaperFor {
    /// A form on which the organisation consents.
    ConsentForm {
        /// The organisation.
        organisation: OrganisationId,
        /// To what.
        scope: ScopeTerms,
    },
    /// What was recorded of a consent.
    Acknowledgement {
        /// The consent.
        consent: ConsentId,
    },
    /// What was disclosed about an organisation.
    Statement {
        /// The organisation.
        organisation: OrganisationId,
        /// Only from then on, inclusive.
        from: Option<Instant>,
        /// Only before.
        until: Option<Instant>,
        /// Disclosures that the officer decided not to state.
        leave_out: Vec<DisclosureId>,
        /// Disclosures without consent that the officer decided to state.
        include: Vec<DisclosureId>,
    },
}

/// A page that was made.
#[derive(Clone)]
pub struct Paper {
    /// The page; none for a repeat of a call that would give another one by now.
    pub page: Option<String>,
    /// SHA-256 over the page that was made.
    pub digest: Vec<u8>,
    /// The version of its wording.
    pub wording: String,
    /// SHA-256 over the wording.
    pub wording_digest: Vec<u8>,
    /// The receipts in the page.
    pub receipts: Vec<Receipt>,
}

impl std::fmt::Debug for Paper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Paper(..)")
    }
}

/// A page and what its entry says.
#[derive(Clone)]
struct Drawn {
    organisation: OrganisationId,
    version: i64,
    page: String,
    receipts: Vec<Receipt>,
    stated: PaperStatement,
}

/// Notes in the ledger that a page was made.
struct MakePaper {
    /// Drawn before the lock. A repeat doesn't look at it: what was done has its result, whatever is true by now.
    drawn: Result<Drawn>,
}

impl Plan for MakePaper {
    const KIND: Kind = Kind::Organisation;

    async fn plan(&self, _: Context<'_>, _: &mut Reads) -> Result<Change> {
        let drawn = self.drawn.as_ref().map_err(Clone::clone)?;
        let outcome = drawn.stated.encode_to_vec();
        Ok(Change { outcome, ..Change::new(&drawn.organisation, drawn.version, Vec::new()) })
    }
}

impl Exchange {
    /// Makes a page.
    ///
    /// When this returns, its entry is durable, with the digest of the page that the first call gave.
    pub async fn make_paper(&self, by: By, wanted: PaperFor) -> Result<(Paper, Option<Receipt>)> {
        let (actor, call) = (by.actor.clone(), by.call.clone());
        let drawn = self
            .read(move |node, reads| {
                Box::pin(async move {
                    let at = node.now(reads).await?;
                    wanted.draw(Context { node, actor: &actor, call: &call, at }, reads).await
                })
            })
            .await;
        let done = self.change(by, MakePaper { drawn: drawn.clone() }).await?;
        let openings = done.receipt.iter().flat_map(|receipt| &receipt.openings);
        let outcome = openings.into_iter().find(|opening| opening.slot() == Slot::Outcome);
        let stated = outcome.and_then(|outcome| PaperStatement::decode(outcome.payload.as_slice()).ok());
        let stated = stated.ok_or(Error::Internal("the entry of a page does not say which"))?;
        let same = drawn.ok().filter(|drawn| drawn.stated == stated);
        let (page, receipts) = same.map(|drawn| (drawn.page, drawn.receipts)).unzip();
        let PaperStatement { digest, wording, wording_digest, .. } = stated;
        Ok((Paper { page, digest, wording, wording_digest, receipts: receipts.unwrap_or_default() }, done.receipt))
    }
}

impl PaperFor {
    async fn draw(&self, context: Context<'_>, reads: &mut Reads) -> Result<Drawn> {
        let none = Rejected::WrongState("no wording of the papers holds at this time");
        let wording = Wording::at(context.at).ok_or(none)?;
        let draft = Draft { context, wording, digest: sum(wording.text().as_bytes()) };
        match self {
            Self::ConsentForm { organisation, scope } => draft.consent_form(reads, organisation, scope).await,
            Self::Acknowledgement { consent } => draft.acknowledgement(reads, consent).await,
            Self::Statement { organisation, from, until, leave_out, include } => {
                draft.statement(reads, organisation, (*from, *until), leave_out, include).await
            }
        }
    }
}

/// What each paper is drawn with.
#[derive(Clone, Copy)]
struct Draft<'a> {
    context: Context<'a>,
    wording: &'static Wording,
    digest: Digest,
}

impl Draft<'_> {
    async fn organisation(&self, reads: &mut Reads, id: &OrganisationId) -> Result<Organisation> {
        let found = reads.organisation(self.context.agency(), id, self.context.seal()).await?;
        Ok(found.ok_or(Rejected::NotFound("organisation"))?)
    }

    fn name(&self, agency: &AgencyId) -> String {
        let names = self.context.node.known.get(agency);
        names.and_then(|names| names.at(self.context.at)).unwrap_or(agency.as_str()).to_owned()
    }

    fn head(&self, organisation: &Organisation) -> Letterhead {
        let holder = self.context.agency();
        Letterhead {
            holder: self.name(holder),
            organisation: organisation.profile.name.clone(),
            contact: self.context.node.agency(holder).map(|agency| agency.duty_desk.clone()).unwrap_or_default(),
            at: self.context.at,
            wording_digest: self.digest.to_hex(),
        }
    }

    fn drawn(&self, organisation: &Organisation, paper: &str, page: String) -> Drawn {
        let stated = PaperStatement {
            paper: paper.to_owned(),
            digest: sum(page.as_bytes()).as_bytes().to_vec(),
            wording: self.wording.version().to_owned(),
            wording_digest: self.digest.as_bytes().to_vec(),
            ..PaperStatement::default()
        };
        let (organisation, version) = (organisation.id.clone(), organisation.version);
        Drawn { organisation, version, page, receipts: Vec::new(), stated }
    }

    async fn shown(&self, reads: &mut Reads, scope: ConsentScope) -> Result<ShownScope> {
        let (mut occurred, mut revised_at) = (None, None);
        if let Coverage::Incident { id, revision, .. } = &scope.coverage
            && let Some(incident) = reads.incident(self.context.agency(), id).await?
        {
            occurred = Some((incident.occurred.from, incident.occurred.until));
            revised_at = reads.revised_at(id, *revision).await?;
        }
        Ok(ShownScope { recipient: self.name(&scope.recipient), occurred, revised_at, scope })
    }

    async fn consent_form(&self, reads: &mut Reads, id: &OrganisationId, terms: &ScopeTerms) -> Result<Drawn> {
        let organisation = self.organisation(reads, id).await?;
        let scope = terms.scope(self.context, reads, id, None, None).await?;
        let scope = self.shown(reads, scope).await?;
        let page = ConsentForm { head: self.head(&organisation), scope }.page(self.wording);
        Ok(self.drawn(&organisation, "consent-form", page))
    }

    async fn acknowledgement(&self, reads: &mut Reads, id: &ConsentId) -> Result<Drawn> {
        let versions = reads.consent(self.context.agency(), id, self.context.seal()).await?;
        let history = ConsentHistory::new(&versions).ok_or(Rejected::NotFound("consent"))?;
        let newest = || versions.iter().find_map(|version| Some((version, version.scope.clone()?)));
        let given = history.given().and_then(|given| Some((given, given.scope.clone()?)));
        let only_sought = Rejected::WrongState("it was only sought: there is nothing to acknowledge");
        let (consent, scope) = given.or_else(newest).ok_or(only_sought)?;
        let organisation = self.organisation(reads, &consent.organisation).await?;
        let mut receipts = Vec::new();
        for index in reads.changes_of(id.as_str()).await? {
            receipts.extend(self.closed(reads, index).await?);
        }
        let acknowledgement = Acknowledgement {
            head: self.head(&organisation),
            consent: id.to_string(),
            version: consent.version,
            standing: standing(consent, &organisation, self.context.at),
            scope: self.shown(reads, scope).await?,
            recorded_at: consent.recorded_at,
            document: consent.evidence.as_ref().map(|evidence| evidence.digest.to_hex()),
            receipts: receipts.clone(),
        };
        let mut drawn = self.drawn(&organisation, "acknowledgement", acknowledgement.page(self.wording));
        (drawn.stated.consent, drawn.stated.version) = (id.to_string(), consent.version);
        Ok(Drawn { receipts, ..drawn })
    }

    /// A receipt that opens nothing: what was done names the officer who did it, and what came of it may name others.
    async fn closed(&self, reads: &mut Reads, index: u64) -> Result<Option<Receipt>> {
        let Context { node, .. } = self.context;
        let receipt = Store::receipt(reads, node.origin(), self.context.agency(), index, &node.seal).await?;
        Ok(receipt.map(|receipt| Receipt { openings: Vec::new(), ..receipt }))
    }
}

/// Where a version stands, as its organisation is told: given is not enough to permit.
fn standing(consent: &Consent, organisation: &Organisation, at: Instant) -> Standing {
    let is_over = consent.scope.as_ref().is_some_and(|scope| scope.valid_until <= at);
    let outlived = organisation.merger_recorded_at.is_some_and(|merger| consent.confirmed_at <= merger);
    match consent.state {
        ConsentState::Given if is_over => Standing::Expired,
        ConsentState::Given if outlived => Standing::Unconfirmed,
        state => Standing::State(state),
    }
}
