//! Reading one's own records. Nothing here takes the lock, and nothing here shows another agency anything.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::domain::{
    AgencyId, Authorisation, Candidate, Category, Consent, ConsentId, Identifier, Incident, IncidentId, Instant,
    Invalid, Organisation, OrganisationId, Question, Rejected,
};
use crate::proto::v1::Receipt;
use crate::release;
use crate::store::{ConsentVersions, KnownCall, QuestionRow, Reads, Store};

use super::agreements::AgreementView;
use super::{Error, Exchange, Node, Result, asks};

/// Which page of which list a caller wants.
#[derive(Debug, Clone)]
pub struct Page {
    /// The caller's agency.
    pub agency: AgencyId,
    /// The list, such as `ConsentService/ListConsents`.
    pub list: &'static str,
    /// At most how many; 0 for the default.
    pub size: i32,
    /// Where the last page ended; empty for the first.
    pub token: String,
    /// The field of the request that carries the token.
    pub field: &'static str,
    /// What the list is narrowed to; empty for all.
    pub filter: String,
}

/// One page and the token of the next; empty on the last.
pub type Pages<T> = (Vec<T>, String);

const DEFAULT_SIZE: i64 = 50;
const MOST_SIZE: i64 = 200;

impl Page {
    fn bound_to(&self) -> [&str; 3] {
        [self.agency.as_str(), self.list, &self.filter]
    }

    /// How many rows to read: one more than the page, to know whether another page follows.
    pub(super) fn rows(&self) -> Result<i64> {
        match i64::from(self.size) {
            0 => Ok(DEFAULT_SIZE + 1),
            size if size > 0 => Ok(size.min(MOST_SIZE) + 1),
            _ => Err(Invalid::new("page_size", "must not be negative").into()),
        }
    }

    pub(super) fn after(&self, node: &Node) -> Result<String> {
        if self.token.is_empty() {
            return Ok(String::new());
        }
        let problem = "is not a token that this list gave you";
        node.seal.open_token(&self.bound_to(), &self.token).map_err(|_| Invalid::new(self.field, problem).into())
    }

    pub(super) fn turn<T>(
        &self,
        node: &Node,
        mut rows: Vec<T>,
        read: i64,
        key: impl Fn(&T) -> String,
    ) -> Result<Pages<T>> {
        let more = cut(&mut rows, read);
        let token = match rows.last() {
            Some(last) if more => self.seal(node, &key(last))?,
            _ => String::new(),
        };
        Ok((rows, token))
    }

    /// The token of this place in the list, for this caller alone.
    pub(super) fn seal(&self, node: &Node, place: &str) -> Result<String> {
        Ok(node.seal.seal_token(&self.bound_to(), place)?)
    }
}

/// Leaves the page of what [`Page::rows`] had read; true if another page follows.
pub(super) fn cut<T>(rows: &mut Vec<T>, read: i64) -> bool {
    let most = usize::try_from(read - 1).unwrap_or_default();
    let more = rows.len() > most;
    rows.truncate(most);
    more
}

type Reading<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

impl Exchange {
    /// Reads in a task of its own, to the end: a caller that goes away must not spoil the connection. A suspended one
    /// is turned away in the same transaction.
    pub(super) async fn read<T, F>(&self, read: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a Node, &'a mut Reads) -> Reading<'a, T> + Send + 'static,
    {
        let (node, caller) = (Arc::clone(&self.node), self.caller.clone());
        let task = tokio::spawn(async move {
            let mut reads = node.store.reads().await?;
            if let Some(caller) = caller {
                node.turn_away_suspended(&mut reads, &caller).await?;
            }
            read(&node, &mut reads).await
        });
        task.await.unwrap_or(Err(Error::Internal("a read was stopped by a panic")))
    }

    /// Reads nothing: for what every caller may know who is not suspended.
    pub async fn check_caller(&self) -> Result<()> {
        self.read(|_, _| Box::pin(async { Ok(()) })).await
    }

    /// The agreements that the agency is a party to.
    pub async fn agreements(&self, page: Page) -> Result<Pages<AgreementView>> {
        self.read(move |node, reads| {
            Box::pin(async move {
                let (after, read) = (page.after(node)?, page.rows()?);
                let mut views = node.agreements_of(reads, &page.agency).await?;
                views.retain(|view| view.key() > after);
                views.truncate(usize::try_from(read).unwrap_or_default());
                page.turn(node, views, read, AgreementView::key)
            })
        })
        .await
    }

    /// One of the agency's own organisations.
    pub async fn organisation(&self, agency: AgencyId, id: OrganisationId) -> Result<Organisation> {
        self.read(move |node, reads| {
            Box::pin(async move {
                let found = reads.organisation(&agency, &id, &node.seal).await?;
                Ok(found.ok_or(Rejected::NotFound("organisation"))?)
            })
        })
        .await
    }

    /// The agency's own organisations.
    pub async fn organisations(&self, page: Page) -> Result<Pages<Organisation>> {
        self.read(move |node, reads| {
            Box::pin(async move {
                let (after, read) = (page.after(node)?, page.rows()?);
                let rows = reads.organisations(&page.agency, &after, read, &node.seal).await?;
                page.turn(node, rows, read, |row| row.id.to_string())
            })
        })
        .await
    }

    /// The agency's own organisations that have one of the identifiers, and the candidates; and whether there are more.
    pub async fn find_organisations(
        &self,
        agency: AgencyId,
        identifiers: Vec<Identifier>,
        name: Option<String>,
    ) -> Result<(Vec<(Organisation, Candidate)>, bool)> {
        self.read(move |node, reads| {
            Box::pin(async move {
                let (found, more) = reads.candidates(&agency, &identifiers, name.as_deref(), &node.seal).await?;
                let ids: Vec<&OrganisationId> = found.iter().map(|candidate| &candidate.organisation).collect();
                let records = reads.organisations_by_id(&agency, &ids, &node.seal).await?;
                let mut records: BTreeMap<String, Organisation> =
                    records.into_iter().map(|record| (record.id.to_string(), record)).collect();
                let with = |found: Candidate| Some((records.remove(found.organisation.as_str())?, found));
                Ok((found.into_iter().filter_map(with).collect(), more))
            })
        })
        .await
    }

    /// One of the agency's own incidents, with its content for its own officers.
    pub async fn incident(&self, agency: AgencyId, id: IncidentId) -> Result<(Incident, Vec<(Category, Vec<u8>)>)> {
        self.read(move |node, reads| {
            Box::pin(async move {
                let incident = reads.incident(&agency, &id).await?.ok_or(Rejected::NotFound("incident"))?;
                let content = release::open_own(&incident, reads, &node.seal).await?;
                Ok((incident, content))
            })
        })
        .await
    }

    /// The agency's own incidents, without content; `filter` is an organisation.
    pub async fn incidents(&self, page: Page) -> Result<Pages<Incident>> {
        self.read(move |node, reads| {
            Box::pin(async move {
                let (after, read) = (page.after(node)?, page.rows()?);
                let rows = reads.incidents(&page.agency, &after, read, &page.filter).await?;
                page.turn(node, rows, read, |row| row.id.to_string())
            })
        })
        .await
    }

    /// One of the agency's own consents in all its versions, newest first.
    pub async fn consent(&self, agency: AgencyId, id: ConsentId) -> Result<ConsentVersions> {
        self.read(move |node, reads| {
            Box::pin(async move {
                let versions = reads.consent(&agency, &id, &node.seal).await?;
                if versions.is_empty() { Err(Rejected::NotFound("consent").into()) } else { Ok(versions) }
            })
        })
        .await
    }

    /// The newest version of each of the agency's own consents; `filter` is an organisation.
    pub async fn consents(&self, page: Page) -> Result<Pages<Consent>> {
        self.read(move |node, reads| {
            Box::pin(async move {
                let (after, read) = (page.after(node)?, page.rows()?);
                let rows = reads.consents(&page.agency, &after, read, &page.filter, &node.seal).await?;
                page.turn(node, rows, read, |row| row.id.to_string())
            })
        })
        .await
    }

    /// The agency's own authorisations; `filter` is an incident.
    pub async fn authorisations(&self, page: Page) -> Result<Pages<Authorisation>> {
        self.read(move |node, reads| {
            Box::pin(async move {
                let (after, read) = (page.after(node)?, page.rows()?);
                let rows = reads.authorisations(&page.agency, &after, read, &page.filter).await?;
                page.turn(node, rows, read, |row| row.id.to_string())
            })
        })
        .await
    }

    /// One of the agency's own requests, where it stands, and each of its asks with its receipt.
    pub async fn request(
        &self,
        agency: AgencyId,
        id: Question,
    ) -> Result<(QuestionRow, &'static str, Vec<(KnownCall, Receipt)>)> {
        self.read(move |node, reads| {
            Box::pin(async move {
                let mut found = reads.questions_by_id(&[id.as_str()], &node.seal).await?;
                found.retain(|question| question.requester.agency == agency);
                let question = found.pop().ok_or(Rejected::NotFound("request"))?;
                let mut asks = Vec::new();
                for call in reads.asks_of(&id).await? {
                    let receipt = Store::receipt(reads, node.origin(), &agency, call.index, &node.seal).await?;
                    asks.push((call, receipt.ok_or(Error::Internal("an ask has no receipt"))?));
                }
                let state = asks::state(&question, asks.iter().map(|(call, _)| call), node.now(reads).await?);
                Ok((question, state, asks))
            })
        })
        .await
    }

    /// The agency's own requests, each with where it stands.
    pub async fn requests(&self, page: Page) -> Result<Pages<(QuestionRow, &'static str)>> {
        self.read(move |node, reads| {
            Box::pin(async move {
                let (after, read) = (page.after(node)?, page.rows()?);
                let rows = reads.questions(&page.agency, &after, read, &node.seal).await?;
                let (found, next) = page.turn(node, rows, read, |row| row.id.to_string())?;
                let ids: Vec<&str> = found.iter().map(|question| question.id.as_str()).collect();
                let (asks, at) = (reads.asks_of_all(&ids).await?, node.now(reads).await?);
                let with_state = |question: QuestionRow| {
                    let own = asks.iter().filter(|ask| ask.object == question.id.as_str());
                    let state = asks::state(&question, own, at);
                    (question, state)
                };
                Ok((found.into_iter().map(with_state).collect(), next))
            })
        })
        .await
    }

    /// The latest signed checkpoint: size, note, and when the last entry took effect.
    pub async fn checkpoint(&self) -> Result<(u64, String, Instant)> {
        self.read(move |_, reads| {
            Box::pin(async move {
                let missing = Error::Internal("the ledger has no checkpoint");
                let (size, note) = reads.last_checkpoint().await?.ok_or(missing)?;
                Ok((size, note, reads.size().await?.1))
            })
        })
        .await
    }

    /// The receipt of an entry that the agency is a party to.
    pub async fn receipt(&self, agency: &AgencyId, index: u64) -> Result<Receipt> {
        let agency = agency.clone();
        self.read(move |node, reads| {
            Box::pin(async move {
                let receipt = Store::receipt(reads, node.origin(), &agency, index, &node.seal).await?;
                Ok(receipt.ok_or(Rejected::NotFound("entry"))?)
            })
        })
        .await
    }

    /// The receipts of the entries that the agency is a party to.
    pub async fn receipts(&self, page: Page) -> Result<Pages<Receipt>> {
        self.read(move |node, reads| {
            Box::pin(async move {
                let (after, read) = (page.after(node)?, page.rows()?);
                let from = after.parse::<u64>().map_or(0, |last| last + 1);
                let rows = reads.receipts_from(node.origin(), &page.agency, from, read, &node.seal).await?;
                page.turn(node, rows, read, |row| row.index.to_string())
            })
        })
        .await
    }

    /// The proof that an entry is in the tree of a size; 0: the present one.
    pub async fn inclusion(&self, index: u64, size: u64) -> Result<(u64, Vec<Vec<u8>>)> {
        self.read(move |_, reads| {
            Box::pin(async move {
                let size = tree_size(reads, size).await?;
                if index >= size {
                    return Err(Invalid::new("index", format!("must be below the tree's size, {size}")).into());
                }
                Ok((size, reads.inclusion(size, index).await?))
            })
        })
        .await
    }

    /// The proof that one tree is a prefix of another; `size` 0: the present one.
    pub async fn consistency(&self, from: u64, size: u64) -> Result<(u64, Vec<Vec<u8>>)> {
        self.read(move |_, reads| {
            Box::pin(async move {
                let size = tree_size(reads, size).await?;
                if from == 0 || from > size {
                    return Err(Invalid::new("from_size", format!("must be from 1 to the tree's size, {size}")).into());
                }
                Ok((size, reads.consistency(size, from).await?))
            })
        })
        .await
    }
}

async fn tree_size(reads: &mut Reads, wanted: u64) -> Result<u64> {
    let (size, _) = reads.size().await?;
    match wanted {
        0 => Ok(size),
        wanted if wanted <= size => Ok(wanted),
        _ => Err(Invalid::new("size", format!("must be at most the ledger's size, {size}")).into()),
    }
}
