//! Putting agreements into force, ending them, and showing them to their parties.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::decision::Agreement;
use crate::domain::{AgencyId, AgreementId, Digest, Rejected};
use crate::ledger::Kind;
use crate::store::{AgreementRow, Reads, Write};

use super::plan::{Change, Context, Plan};
use super::{Node, Result, nudges, obligations};

/// Puts a proposal into force.
#[derive(Debug)]
pub struct ActivateAgreement {
    /// The agreement.
    pub id: AgreementId,
    /// The digest of the text that the operator read.
    pub digest: Digest,
}

/// Ends an agreement.
#[derive(Debug)]
pub struct EndAgreement {
    /// The agreement.
    pub id: AgreementId,
}

/// An agreement and where it stands.
#[derive(Debug, Clone)]
pub struct AgreementView {
    /// The agreement.
    pub agreement: Arc<Agreement>,
    /// `proposed`, `in-force` or `ended`.
    pub state: String,
}

impl AgreementView {
    /// Its place in a list: by id, what is or was in force before what is proposed.
    pub(super) fn key(&self) -> String {
        let rank = u8::from(self.state == "proposed");
        format!("{} {rank} {}", self.agreement.id(), self.agreement.digest().to_hex())
    }
}

impl Plan for ActivateAgreement {
    const KIND: Kind = Kind::Agreement;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let proposal = context.node.proposals.get(&self.id);
        let (proposal, agreement) = proposal
            .filter(|(_, agreement)| agreement.binds(context.agency()))
            .ok_or(Rejected::NotFound("agreement"))?;
        if agreement.digest() != self.digest {
            let problem = "is not the digest of the proposal: read it again with GetAgreement";
            return Err(Rejected::invalid("digest", problem).into());
        }
        let earlier = reads.agreements().await?;
        if earlier.iter().any(|row| row.digest == self.digest && row.state == "in-force") {
            return Err(Rejected::WrongState("this text is already in force").into());
        }
        let version = earlier.iter().filter(|row| row.id == self.id).map(|row| row.version).max().unwrap_or(0) + 1;
        let row = AgreementRow {
            id: self.id.clone(),
            version,
            digest: self.digest,
            state: "in-force".to_owned(),
            activated_at: context.at,
        };
        let mut change = Change::new(&self.id, version, Write::activate(&row, proposal.text()));
        // The text before may have had another day.
        change.writes.push(Write::drop_events(self.id.as_str()));
        change.writes.extend(nudges::reviews(context, agreement, version)?);
        obligations::on_activation(context, reads, agreement, &mut change).await?;
        Ok(change)
    }
}

impl Plan for EndAgreement {
    const KIND: Kind = Kind::Agreement;
    const STOPS: bool = true;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let rows = reads.agreements().await?;
        let row = rows.iter().find(|row| row.id == self.id && row.state == "in-force");
        let row = row.ok_or(Rejected::NotFound("agreement in force"))?;
        if !context.node.agreement(reads, row.digest).await?.binds(context.agency()) {
            return Err(Rejected::NotFound("agreement in force").into());
        }
        let writes = vec![Write::end_agreement(&self.id), Write::drop_events(self.id.as_str())];
        Ok(Change::new(&self.id, row.version, writes))
    }
}

impl Node {
    /// The agreements that an agency is a party to, by id: what is in force or was ended last, and what is proposed
    /// where that is another text.
    pub(super) async fn agreements_of(&self, reads: &mut Reads, agency: &AgencyId) -> Result<Vec<AgreementView>> {
        let mut last = BTreeMap::new();
        for row in reads.agreements().await?.into_iter().filter(|row| row.state != "superseded") {
            let agreement = self.agreement(reads, row.digest).await?;
            last.insert(row.id, AgreementView { agreement, state: row.state });
        }
        let mut views: Vec<AgreementView> = last.into_values().collect();
        for (_, agreement) in self.proposals.values() {
            if views.iter().all(|view| view.agreement.digest() != agreement.digest()) {
                views.push(AgreementView { agreement: Arc::clone(agreement), state: "proposed".to_owned() });
            }
        }
        views.retain(|view| view.agreement.binds(agency));
        views.sort_by_key(AgreementView::key);
        Ok(views)
    }
}
