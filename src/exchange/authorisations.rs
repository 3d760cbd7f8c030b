//! The holder's officers' decisions to disclose.

use std::collections::BTreeSet;

use crate::domain::{
    AgencyId, Authorisation, AuthorisationId, Category, Digest, Ground, IncidentId, Instant, NoticeKind, Purpose,
    Rejected,
};
use crate::ledger::Kind;
use crate::seal;
use crate::store::{Reads, Write};

use super::plan::{Change, Context, Plan};
use super::{Result, events, incidents, notices, preview};

/// How long an authorisation lasts unless it says otherwise.
const DEFAULT_DAYS: i64 = 90;

/// Records a decision to disclose.
#[derive(Debug)]
pub struct GiveAuthorisation {
    /// The incident.
    pub incident: IncidentId,
    /// The revision that the officer saw.
    pub revision: i64,
    /// Whether later revisions are covered.
    pub covers_updates: bool,
    /// The receiving agency.
    pub recipient: AgencyId,
    /// For which purposes.
    pub purposes: BTreeSet<Purpose>,
    /// Which categories.
    pub categories: BTreeSet<Category>,
    /// On which ground.
    pub ground: Ground,
    /// Until when.
    pub valid_until: Option<Instant>,
    /// The preview that the officer saw; of an organisation-specific release.
    pub preview: Option<Digest>,
    /// In which form.
    pub form: String,
}

/// Ends an authorisation.
#[derive(Debug)]
pub struct RevokeAuthorisation {
    /// The authorisation.
    pub id: AuthorisationId,
}

impl Plan for GiveAuthorisation {
    const KIND: Kind = Kind::Authorisation;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        context.check_recipient("recipient", &self.recipient)?;
        let incident = incidents::own(context, reads, &self.incident).await?;
        if incident.revision != self.revision {
            return Err(Rejected::WrongState("the incident has another revision now: look at it again").into());
        }
        let valid_until = self.valid_until.unwrap_or_else(|| context.at.plus_days(DEFAULT_DAYS));
        if valid_until <= context.at {
            return Err(Rejected::invalid("valid_until", "must be in the future").into());
        }
        let authorisation = Authorisation {
            id: AuthorisationId::known(seal::new_id("aut")),
            holder: context.agency().clone(),
            incident: incident.id.clone(),
            revision: self.revision,
            covers_updates: self.covers_updates,
            recipient: self.recipient.clone(),
            purposes: self.purposes.clone(),
            categories: self.categories.clone(),
            ground: self.ground.clone(),
            given_at: context.at,
            valid_until,
            revoked_at: None,
            preview: self.preview,
            form: self.form.clone(),
        };
        if let Some(seen) = self.preview {
            let same = preview::would_leave(context, reads, &authorisation, &incident).await? == Some(seen);
            let problem = "what would leave is not what the preview showed: look at it again";
            same.then_some(()).ok_or(Rejected::WrongState(problem))?;
        }
        let writes = vec![
            Write::authorisation(&authorisation, &context.actor.officer)?,
            Write::event(&events::authorisation_ends(&authorisation))?,
        ];
        Ok(Change::new(&authorisation.id, 1, writes))
    }
}

impl Plan for RevokeAuthorisation {
    const KIND: Kind = Kind::Authorisation;
    const STOPS: bool = true;

    async fn plan(&self, context: Context<'_>, reads: &mut Reads) -> Result<Change> {
        let present = reads.authorisation(context.agency(), &self.id).await?;
        let present = present.ok_or(Rejected::NotFound("authorisation"))?;
        if present.revoked_at.is_some() {
            return Err(Rejected::WrongState("it is already revoked").into());
        }
        let mut made = reads.disclosures_of(&[&present.incident]).await?;
        made.retain(|made| made.terms.authorisation.as_ref() == Some(&self.id));
        let cause = format!("authorisation {}", self.id);
        let notices = notices::due(context, reads, NoticeKind::StopFurtherUse, &cause, made).await?;
        let writes = vec![Write::revoke_authorisation(&self.id, context.at), Write::drop_events(self.id.as_str())];
        Ok(Change { notices, ..Change::new(&self.id, 2, writes) })
    }
}
