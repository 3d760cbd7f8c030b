//! Asks for tables of a holder's statistics, on their way through the gate.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::decision::{Agreement, InForce, Published, Sharing, SharingFacts, decide_sharing};
use crate::domain::{AgencyId, ClauseId, Digest, Instant, Quarter, Requester};
use crate::ledger::{Draft, Kind, Salts, Slots};
use crate::proto::v1::{Receipt, StatisticsTable};
use crate::release::Shareable;
use crate::seal;
use crate::store::{Answer, Committed, KnownCall, Locked, Reads};

use super::plan::By;
use super::tables::Tables;
use super::{Error, Node, Result, statement};

/// Which table is asked for.
#[derive(Debug, Clone)]
pub struct AskForTable {
    /// The agency asked.
    pub holder: AgencyId,
    /// The quarter.
    pub quarter: Quarter,
    /// The table.
    pub table: String,
}

/// What such an ask's call is kept with.
pub(super) fn object(holder: &AgencyId, quarter: Quarter, table: &str) -> String {
    format!("{holder}/{quarter}/{table}")
}

/// One call that asks for a table.
#[derive(Debug)]
pub(super) struct TableCall {
    pub(super) by: By,
    pub(super) ask: AskForTable,
}

/// What an ask for a table came to.
#[derive(Debug)]
pub struct Told {
    /// The outcome.
    pub outcome: Telling,
    /// Its entry.
    pub index: u64,
    /// The proof, for the requester.
    pub receipt: Option<Receipt>,
}

/// The outcome of an ask for a table.
#[derive(Debug)]
pub enum Telling {
    /// It is shared.
    Shared {
        /// The table. None: a repeat may not have it any more.
        table: Option<StatisticsTable>,
        /// Its digest.
        digest: Digest,
        /// The clauses under which it was shared.
        clauses: BTreeSet<ClauseId>,
        /// What they oblige the recipient to.
        obligations: Vec<String>,
    },
    /// The agreements do not allow it.
    NotCovered {
        /// The reason.
        reason: String,
        /// The same in words.
        explanation: String,
    },
    /// There is no such table yet.
    NotPublished {
        /// The same in words.
        explanation: String,
    },
}

impl From<Answer> for Telling {
    /// Nothing is shared here: the table comes with what `release` gives for a committed permit.
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Shared { digest, clauses } => {
                Self::Shared { table: None, digest, clauses, obligations: Vec::new() }
            }
            Answer::NotCovered { reason, explanation } => Self::NotCovered { reason, explanation },
            Answer::NotPublished { explanation } => Self::NotPublished { explanation },
            // What is kept of an ask about an incident is never an ask's for a table.
            Answer::Released { .. } | Answer::Open => Self::NotPublished { explanation: String::new() },
        }
    }
}

/// An ask for a table with everything that its decision reads.
pub(super) struct Asked {
    facts: SharingFacts,
    agreements: Vec<Arc<Agreement>>,
    table: Option<(Digest, StatisticsTable)>,
}

/// A decision on its way into the ledger.
pub(super) struct Decided {
    pub(super) draft: Draft,
    pub(super) facts: Vec<u8>,
    pub(super) answer: Answer,
    pub(super) shareable: Option<Shareable>,
}

impl Asked {
    /// Reads the facts, under the lock.
    pub(super) async fn read(node: &Node, reads: &mut Reads, call: &TableCall, at: Instant) -> Result<Self> {
        let TableCall { by, ask: AskForTable { holder, quarter, table } } = call;
        let agreements = node.in_force(reads).await?;
        let in_force = agreements.iter();
        let in_force = in_force.map(|one| InForce { id: one.id().clone(), digest: one.digest() }).collect();
        let mut found = None;
        if let Some(row) = reads.publication(holder, *quarter).await? {
            let tables = Tables::read(&row.tables).filter(|tables| tables.digest() == row.digest);
            let tables = tables.ok_or(Error::Internal("a publication is not what was published"))?;
            found = tables.find(table).cloned().map(|table| (row, table));
        }
        let facts = SharingFacts {
            format: 1,
            at,
            requester: Requester::from(&by.actor),
            request_id: by.call.request_id.clone(),
            holder: holder.clone(),
            quarter: *quarter,
            table: table.clone(),
            in_force,
            published: found.as_ref().map(|(row, (digest, _))| Published {
                at: row.published_at,
                rule: row.rule,
                digest: *digest,
            }),
        };
        Ok(Self { facts, agreements, table: found.map(|(_, table)| table) })
    }

    fn decide(&self) -> Sharing {
        let agreements: Vec<&Agreement> = self.agreements.iter().map(Arc::as_ref).collect();
        decide_sharing(&self.facts, &agreements)
    }

    /// What an ask comes to when it is put for the first time: one entry, whatever the outcome.
    pub(super) fn first_time(self) -> Result<Decided> {
        let decision = self.decide();
        let facts = statement::sharing_facts(&self.facts)?;
        let stated = statement::of_table_ask(&self.facts, &facts, &decision);
        let draft = Draft {
            kind: Kind::Statistics,
            act: stated.act,
            subject: stated.subject,
            outcome: stated.outcome,
            grounds: stated.grounds,
            salts: Salts::from_seed(&seal::random()),
            parties: vec![
                (self.facts.requester.agency.clone(), Slots::REQUESTER),
                (self.facts.holder.clone(), Slots::ALL),
            ],
        };
        let answer = answer(&decision);
        Ok(Decided { draft, facts, answer, shareable: shareable(decision, self.table) })
    }

    /// The same ask again: the same outcome and entry, and the table only if it may still be shared.
    pub(super) fn again(self, locked: &Locked, call: &KnownCall) -> (Told, Option<Committed<Shareable>>) {
        let decision = self.decide();
        let same = call.answer.as_ref().is_some_and(|earlier| *earlier == answer(&decision));
        let shareable = if same { shareable(decision, self.table) } else { None };
        let outcome = call.answer.clone().unwrap_or(Answer::Open).into();
        let told = Told { outcome, index: call.index, receipt: None };
        (told, shareable.map(|shareable| locked.committed_earlier(call, shareable)))
    }
}

fn shareable(decision: Sharing, table: Option<(Digest, StatisticsTable)>) -> Option<Shareable> {
    match (decision, table) {
        (Sharing::Permit(permit), Some((digest, table))) => Shareable::new(permit, digest, table),
        _ => None,
    }
}

/// What repeats of an ask are told.
pub(super) fn answer(decision: &Sharing) -> Answer {
    match decision {
        Sharing::Permit(permit) => Answer::Shared { digest: permit.digest(), clauses: permit.clauses().clone() },
        Sharing::NotCovered(why) => {
            Answer::NotCovered { reason: why.reason.to_owned(), explanation: why.explanation.clone() }
        }
        Sharing::NotPublished(explanation) => Answer::NotPublished { explanation: explanation.clone() },
    }
}
