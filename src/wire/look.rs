//! `validate_only`: what an ask would rest on, and whose eyes would see it.

use super::convert;
use crate::decision::Clause;
use crate::domain::{
    Activity, AgencyId, Ask, Ground, Instant, Invalid, NamedOrganisation, Occurred, Purpose, Question, Reference,
    RequestId, Requester, Subject, check,
};
use crate::exchange::Covering;
use crate::identity::Caller;
use crate::proto::v1;
use crate::proto::v1::request_release_request::Target;

/// The ask to look at. A name, an identifier or a reference is turned away: naming discloses.
pub(super) fn ask(message: &v1::RequestReleaseRequest, holder: AgencyId, caller: &Caller) -> Result<Ask, Invalid> {
    let discloses = "must not be sent with validate_only: it would disclose what you are interested in";
    let subject = match &message.target {
        None => Subject::Reference(Reference::known("-")),
        Some(Target::Reference(_)) => return Err(Invalid::new("reference", discloses)),
        Some(Target::Organisation(named)) => {
            check(named.identifiers.is_empty(), "organisation.identifiers", discloses)?;
            check(named.from.is_none(), "organisation.from", discloses)?;
            check(named.until.is_none(), "organisation.until", discloses)?;
            Subject::Organisation(NamedOrganisation {
                identifiers: std::collections::BTreeSet::new(),
                period: Occurred { from: Instant::from_micros(0), until: Instant::MAX },
                ground: convert::field("organisation.ground", &named.ground, Ground::parse)?,
            })
        }
    };
    check(message.external_ref.is_empty(), "external_ref", discloses)?;
    check(message.naming_receipt.is_empty(), "naming_receipt", discloses)?;
    Ok(Ask {
        question: Question::known("-"),
        request_id: RequestId::known("-"),
        requester: Requester::from(caller.actor()),
        holder,
        subject,
        activity: Activity::Disclose,
        purpose: convert::field("purpose", &message.purpose, Purpose::parse)?,
        form: super::releases::form(&message.form, message.target.as_ref())?,
        categories: convert::categories("categories", &message.categories)?,
        urgency: convert::urgency(&message.urgency)?,
        pinned: super::releases::pin(message.agreement.as_ref())?,
        naming: None,
    })
}

/// What the agreements say to it.
pub(super) fn covered(ask: &Ask, covering: &Covering) -> v1::Covered {
    let clause = |clause: &Clause, naming: bool| v1::CoveringClause {
        clause_id: clause.id.to_string(),
        text: clause.text.clone(),
        form: clause.form.clone(),
        purposes: clause.purposes.iter().map(ToString::to_string).collect(),
        categories: clause.categories.intersection(&ask.categories).map(ToString::to_string).collect(),
        consent_required: clause.consent_required,
        grounds: clause.grounds.iter().map(ToString::to_string).collect(),
        naming,
    };
    let sight = |agency: &AgencyId, roles: &[&str], sees: &str| v1::Sight {
        agency: agency.to_string(),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        sees: sees.to_owned(),
    };
    let disclosing = covering.clauses.iter().map(|one| clause(one, false));
    v1::Covered {
        clauses: disclosing.chain(covering.naming.iter().map(|one| clause(one, true))).collect(),
        sights: vec![
            sight(
                &ask.requester.agency,
                &["requester", "auditor"],
                "The request, its outcome and the receipt, from now on.",
            ),
            sight(
                &ask.holder,
                &["auditor"],
                "That your agency asked: unit, the officer's pseudonym, purpose, categories, urgency, outcome; from now \
                 on. Not what it is about.",
            ),
            sight(
                &ask.holder,
                &["authoriser", "auditor"],
                "What it is about and your case number, once one of their records matches, and not before.",
            ),
        ],
    }
}
