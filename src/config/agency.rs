//! `[[agency]]`: who may call, and with what.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::{AgencyId, AgencyName, AgencyNames, Instant, Invalid, Role};
use crate::proto::ROLES;

/// `[[agency]]`
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgencySection {
    /// The agency's id.
    #[schemars(with = "String")]
    pub id: AgencyId,
    /// The SPIFFE trust domain of its certificates.
    pub trust_domain: String,
    /// The roots of its certificates, PEM.
    pub roots_file: PathBuf,
    /// How it takes certificates back.
    #[serde(default)]
    pub revocation: RevocationPolicy,
    /// Revocation lists, PEM: a current one of each authority that signs certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation_lists_file: Option<PathBuf>,
    /// Authorities below the roots whose lists are in that file, PEM. Nobody trusts them for being here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intermediates_file: Option<PathBuf>,
    /// What it is called, and when.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub name: Vec<NameSection>,
    /// Whether this node holds its records.
    #[serde(default)]
    pub holds: Option<HoldsSection>,
    /// Who issues its officers' tokens.
    #[serde(default)]
    pub issuer: Vec<IssuerSection>,
    /// The keys of its node's ledger, where that is another node: what it shows by receipts is believed with these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ledger: Vec<LedgerSection>,
}

/// `agency.revocation`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RevocationPolicy {
    /// By lists of its authorities; without current ones nobody of the agency is admitted.
    #[default]
    Crl,
    /// Not at all: nobody is admitted with a certificate that is valid for more than 24 hours.
    ShortLived,
}

/// `[[agency.name]]`: a name of the agency, for as long as it is the name.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NameSection {
    /// The name.
    pub text: String,
    /// The first day on which it is the name, such as `2001-01-30`; days are in UTC.
    pub from: String,
    /// The first day on which it is no longer the name.
    #[serde(default)]
    pub until: Option<String>,
}

/// `[agency.holds]`
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HoldsSection {
    /// Where callers turn to when nothing is released.
    pub duty_desk: String,
    /// Where recipients send corrections.
    pub correction_contact: String,
}

/// `[[agency.issuer]]`
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IssuerSection {
    /// The `iss` of its tokens.
    pub issuer: String,
    /// The roles that its tokens may carry.
    #[schemars(with = "BTreeSet<String>")]
    pub roles: BTreeSet<Role>,
    /// Its keys.
    pub key: Vec<KeySection>,
}

/// `[[agency.ledger]]`: a key that signs the ledger of the agency's own node.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LedgerSection {
    /// The verifier key, `NAME+ID+KEY`.
    pub key_file: PathBuf,
    /// The first day on which it is believed, such as `2026-01-30`; days are in UTC.
    #[serde(default)]
    pub from: Option<String>,
    /// The first day whose entries it cannot have signed any more.
    #[serde(default)]
    pub until: Option<String>,
}

impl LedgerSection {
    /// From when on it is believed, and the first instant whose entries it cannot have signed.
    pub fn dates(&self) -> Result<(Option<Instant>, Option<Instant>), Invalid> {
        let date = |field: &str, text: &Option<String>| {
            text.as_deref().map(|text| Instant::on_date(text).map_err(|problem| problem.within(field))).transpose()
        };
        Ok((date("from", &self.from)?, date("until", &self.until)?))
    }
}

/// `[[agency.issuer.key]]`
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeySection {
    /// The `kid` of its tokens.
    pub kid: String,
    /// The public key, PEM: Ed25519 or P-256.
    pub public_key_file: PathBuf,
}

impl NameSection {
    fn dated(&self) -> Result<AgencyName, Invalid> {
        let date = |field: &str, text: &str| Instant::on_date(text).map_err(|problem| problem.within(field));
        let until = self.until.as_deref().map(|until| date("until", until)).transpose()?;
        Ok(AgencyName { text: self.text.clone(), from: date("from", &self.from)?, until })
    }
}

impl AgencySection {
    /// What the agency is called, and when.
    pub fn names(&self) -> Result<AgencyNames, Invalid> {
        let names: Vec<AgencyName> = self.dated_names().collect::<Result<_, Invalid>>()?;
        AgencyNames::new(names).map_err(|problem| problem.within("name"))
    }

    fn dated_names(&self) -> impl Iterator<Item = Result<AgencyName, Invalid>> {
        let name = |(place, name): (usize, &NameSection)| {
            name.dated().map_err(|problem| problem.within(&format!("name[{place}]")))
        };
        self.name.iter().enumerate().map(name)
    }

    /// Everything of it that contradicts itself.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems: Vec<Invalid> = self.dated_names().filter_map(Result::err).collect();
        if problems.is_empty() {
            problems.extend(self.names().err());
        }
        let lists = match (self.revocation, &self.revocation_lists_file, &self.intermediates_file) {
            (RevocationPolicy::Crl, None, _) => {
                "is not there: name the file of its authorities' revocation lists, or \
                say `revocation = \"short-lived\"` if its certificates live for 24 hours at most"
            }
            (RevocationPolicy::ShortLived, Some(_), _) | (RevocationPolicy::ShortLived, _, Some(_)) => {
                "is there, or `intermediates_file` is, and nobody would read it: `revocation` is `short-lived`"
            }
            _ => "",
        };
        if !lists.is_empty() {
            problems.push(Invalid::new("revocation_lists_file", lists));
        }
        for (place, ledger) in self.ledger.iter().enumerate() {
            problems.extend(ledger.dates().err().map(|problem| problem.within(&format!("ledger[{place}]"))));
        }
        let mut kids = BTreeSet::new();
        for (place, issuer) in self.issuer.iter().enumerate() {
            let within = |problem: Invalid| problem.within(&format!("issuer[{place}]"));
            problems.extend(issuer.role_problem().map(within));
            if issuer.key.is_empty() {
                problems.push(within(Invalid::new("key", "is empty: name at least one public key of it")));
            }
            for (number, KeySection { kid, .. }) in issuer.key.iter().enumerate() {
                let problem = if kid.is_empty() {
                    "is empty: name the key as the issuer's tokens do".to_owned()
                } else if !kids.insert(kid) {
                    format!("`{kid}` is another key's: keep ids apart, also between an agency's issuers")
                } else {
                    continue;
                };
                problems.push(within(Invalid::new(format!("key[{number}].kid"), problem)));
            }
        }
        problems.into_iter().map(|problem| format!("agency `{}`: {problem}", self.id)).collect()
    }
}

impl IssuerSection {
    fn role_problem(&self) -> Option<Invalid> {
        let known: Vec<&str> = ROLES.iter().map(|(id, ..)| *id).collect();
        let unknown: Vec<String> =
            self.roles.iter().filter(|role| !known.contains(&role.as_str())).map(|role| format!("`{role}`")).collect();
        let which = match unknown.as_slice() {
            [] => return None,
            [_] => "which is not a role",
            _ => "which are not roles",
        };
        Some(Invalid::new("roles", format!("has {}, {which}; there are {}", unknown.join(", "), known.join(", "))))
    }
}

/// How the agencies contradict each other.
pub(super) fn problems_of_all(agencies: &[AgencySection]) -> Vec<String> {
    let mut problems = Vec::new();
    if !agencies.iter().any(|agency| agency.holds.is_some()) {
        problems.push("no [[agency]] has [agency.holds]: say whose records this node holds".to_owned());
    }
    let (mut ids, mut domains, mut issuers) = (BTreeSet::new(), BTreeMap::new(), BTreeMap::new());
    for AgencySection { id, trust_domain, issuer, .. } in agencies {
        if !ids.insert(id) {
            problems.push(format!("agency `{id}`: is there twice: keep one"));
        }
        if let Some(other) = domains.insert(trust_domain, id) {
            let problem = format!("`{trust_domain}` is that of `{other}`, too: each agency has one of its own");
            problems.push(format!("agency `{id}`: trust_domain: {problem}"));
        }
        for (place, IssuerSection { issuer, .. }) in issuer.iter().enumerate() {
            if let Some(other) = issuers.insert(issuer, id) {
                let problem = format!(
                    "`{issuer}` is registered for `{other}` already: an issuer vouches for one agency, in one place"
                );
                problems.push(format!("agency `{id}`: issuer[{place}].issuer: {problem}"));
            }
        }
    }
    problems
}
