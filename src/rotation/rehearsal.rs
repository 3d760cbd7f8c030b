//! What a node would make of other files, without putting them in place.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;

use super::lasts::Lasts;
use super::read::{self, Before};
use super::set::{Contents, Set};
use super::{Error, now, vouching};
use crate::config::{AgencySection, Config, RevocationPolicy};
use crate::domain::AgencyId;
use crate::tls::{self, Trust, Vouching};

/// A node's configuration, and what vouches for the systems of its agencies as it is on disk now.
///
/// The database is not looked at: which lists were the last ones is known only of those on disk.
#[derive(Debug)]
pub struct Rehearsal {
    config: Config,
    sets: Vec<Set<Arc<Vouching>>>,
}

/// What is added to the files of an agency, each as PEM.
#[derive(Debug, Clone, Default)]
pub struct Added {
    /// Below what is in `roots_file`.
    pub roots: String,
    /// Below what is in `intermediates_file`.
    pub intermediates: String,
    /// In the place of what is in `revocation_lists_file`. None: that stays as it is.
    pub lists: Option<String>,
}

/// What the node would put in place.
#[derive(Debug)]
pub struct Rehearsed {
    /// Whom it would trust.
    pub trust: Trust,
    /// What would vouch for the agency's systems.
    pub vouching: Arc<Vouching>,
    /// What it could not use, and can as the files are now.
    pub problems: Vec<String>,
}

impl Rehearsal {
    /// Reads the files as they are now.
    pub fn of(config: Config) -> Result<Self, Error> {
        let sets = config.agency.iter().map(|agency| vouching(&config, agency, &Lasts::default(), now()));
        let sets = sets.collect::<Result<_, Error>>()?;
        Ok(Self { config, sets })
    }

    /// Whom the node would trust now.
    pub fn trust(&self) -> Result<Trust, Error> {
        Ok(Trust::of(self.sets.iter().map(|set| Arc::clone(set.good())))?)
    }

    /// What of the files as they are now it cannot use.
    pub fn problems(&self) -> Vec<String> {
        self.sets.iter().filter_map(Set::problem).collect()
    }

    /// The agencies, in the order of the configuration.
    pub fn agencies(&self) -> impl Iterator<Item = &AgencyId> {
        self.config.agency.iter().map(|agency| &agency.id)
    }

    /// Whether an agency's certificates are taken back by lists.
    pub fn is_by_lists(&self, agency: &AgencyId) -> bool {
        self.find(agency).is_ok_and(|(_, section)| section.revocation == RevocationPolicy::Crl)
    }

    /// Whether intermediates of an agency can be configured.
    pub fn takes_intermediates(&self, agency: &AgencyId) -> bool {
        self.find(agency).is_ok_and(|(_, section)| section.intermediates_file.is_some())
    }

    /// An agency's roots and intermediates.
    pub fn authorities(&self, agency: &AgencyId) -> Result<Vec<CertificateDer<'static>>, Error> {
        let (set, section) = self.find(agency)?;
        let mut authorities = set.good().trusted().roots.clone();
        if let Some(file) = &section.intermediates_file {
            authorities.extend(tls::certificates_from_file(&self.config.path(file))?);
        }
        Ok(authorities)
    }

    /// What the node would put in place if this were added to an agency's files; otherwise why it would leave all as it is.
    pub fn with(&self, agency: &AgencyId, added: &Added) -> Result<Rehearsed, Error> {
        let (config, (set, section)) = (&self.config, self.find(agency)?);
        let files = read::trusted_files(config, section);
        let mut contents = Contents::read(&files);
        let before = Before { vouching: Some(set.good()), lasts: &Lasts::default() };
        let known = read::vouching(config, section, &contents, &before, now())?.problems;
        contents.add(&config.path(&section.roots_file), &added.roots);
        if let Some(file) = &section.intermediates_file {
            contents.add(&config.path(file), &added.intermediates);
        }
        if let (Some(file), Some(lists)) = (&section.revocation_lists_file, &added.lists) {
            contents.put(&config.path(file), lists);
        }
        let mut reading = read::vouching(config, section, &contents, &before, now())?;
        reading.problems.retain(|problem| !known.contains(problem));
        let all = self.sets.iter().zip(&config.agency);
        let all = all.map(|(set, one)| Arc::clone(if one.id == *agency { &reading.usable } else { set.good() }));
        Ok(Rehearsed { trust: Trust::of(all)?, vouching: reading.usable, problems: reading.problems })
    }

    fn find(&self, agency: &AgencyId) -> Result<(&Set<Arc<Vouching>>, &AgencySection), Error> {
        let found = self.sets.iter().zip(&self.config.agency).find(|(_, section)| section.id == *agency);
        found.ok_or_else(|| format!("`{agency}` is no agency of this configuration").into())
    }
}
