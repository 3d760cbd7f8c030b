//! Which node secrets what is stored may need, and the keys that follow from them.
//!
//! INVARIANT: a secret is on this list from before anything is sealed with it. Who seals checks, under the lock, that
//! its secret is on it and open; so a secret that was closed gets no more to do. It stays on the list when nothing
//! needs it any more, so that it is never taken up again.

use std::fmt;

use crate::seal::{Seal, Secret, SecretName};

use super::check::CheckFailed;
use super::write::Write;
use super::{Error, Locked, Reads, Result, Store, Tx, inconsistent, on, row, sql};

/// What a secret on the list is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Things may be sealed with it.
    Open,
    /// Nothing is sealed with it any more; something stored may need it.
    Closed,
    /// Nothing needs it any more, and nothing ever will.
    GivenUp,
}

impl Standing {
    /// What stands before its name.
    fn mark(self) -> &'static str {
        match self {
            Self::Open => "",
            Self::Closed => "-",
            Self::GivenUp => "!",
        }
    }
}

/// A secret that came into use, and what it is for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Listed {
    name: SecretName,
    standing: Standing,
}

/// The secrets, in the order in which they came into use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SecretsInUse(Vec<Listed>);

impl fmt::Display for SecretsInUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, one) in self.0.iter().enumerate() {
            write!(f, "{}{}{}", if place > 0 { " " } else { "" }, one.standing.mark(), one.name)?;
        }
        Ok(())
    }
}

impl SecretsInUse {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let one = |word: &str| {
            let marked = |standing: Standing| word.strip_prefix(standing.mark()).map(|name| (name, standing));
            // Every word begins with the empty mark, so that one is last.
            let (name, standing) =
                marked(Standing::Closed).or_else(|| marked(Standing::GivenUp)).unwrap_or((word, Standing::Open));
            let name = name.parse().map_err(|_| inconsistent("ledger_head", "1", "names no secret"))?;
            Ok(Listed { name, standing })
        };
        text.split_whitespace().map(one).collect::<Result<_>>().map(Self)
    }

    fn standing(&self, name: SecretName) -> Option<Standing> {
        self.0.iter().find(|one| one.name == name).map(|one| one.standing)
    }

    /// Turns away whoever would seal with a secret that nobody looks for any more.
    pub(super) fn check_open(&self, seal: &Seal) -> Result<()> {
        let name = seal.newest()?;
        if self.standing(name) == Some(Standing::Open) { Ok(()) } else { Err(Error::SecretClosed(name)) }
    }

    /// Turns away whoever would wrap everything anew with a secret that is not the last that came into use: what others
    /// seal meanwhile with a later one would be lost.
    pub(super) fn check_last(&self, seal: &Seal) -> Result<()> {
        self.check_open(seal)?;
        let newest = seal.newest()?;
        match self.0.iter().rfind(|one| one.standing == Standing::Open) {
            Some(last) if last.name != newest => Err(Error::Keys(format!(
                "the secret {last} came into use after {newest}, which is `secret_file` here: make {last} the \
                 `secret_file` of every node, {newest} one of `other_secret_files`, restart them, and run it again",
                last = last.name
            ))),
            _ => Ok(()),
        }
    }

    /// The names of those that something stored may need, the first one first.
    pub(super) fn names(&self) -> impl Iterator<Item = SecretName> {
        self.0.iter().filter(|one| one.standing != Standing::GivenUp).map(|one| one.name)
    }
}

#[derive(sqlx::FromRow)]
struct SecretsRow {
    secret_check: Option<String>,
    secrets: Option<String>,
    lasting_keys: Option<Vec<u8>>,
}

impl Reads {
    async fn secrets(&mut self) -> Result<SecretsRow> {
        row!(self, sql::SECRETS, SecretsRow).ok_or_else(|| inconsistent("ledger_head", "1", "is missing"))
    }

    /// Whether things may be sealed with the newest of these secrets, and every one is here that something stored may need.
    pub(crate) async fn may_seal(&mut self, seal: &Seal) -> Result<bool> {
        let list = in_use(&self.secrets().await?, seal)?;
        let is_here = |name| seal.names().any(|here| here == name);
        Ok(list.check_open(seal).is_ok() && list.names().all(is_here))
    }

    /// All names on the list.
    pub(super) async fn listed(&mut self) -> Result<Vec<SecretName>> {
        let text = self.secrets().await?.secrets.unwrap_or_default();
        Ok(SecretsInUse::parse(&text)?.0.iter().map(|one| one.name).collect())
    }
}

/// The secrets on the list; on none, the one with which the ledger began.
fn in_use(row: &SecretsRow, seal: &Seal) -> Result<SecretsInUse> {
    if let Some(text) = &row.secrets {
        return SecretsInUse::parse(text);
    }
    let began = if row.secret_check.is_some() { seal.beginning() } else { None };
    Ok(SecretsInUse(began.map(|name| Listed { name, standing: Standing::Open }).into_iter().collect()))
}

impl Store {
    /// The keys that follow from these secrets, the newest first. Fails if one is missing that something stored needs.
    pub async fn unlock(
        &self,
        secrets: &[impl std::ops::Deref<Target = [u8; 32]> + Sync],
    ) -> Result<Seal, CheckFailed> {
        let row = self.reads().await?.secrets().await?;
        let secrets: Result<Vec<Secret>, _> = secrets.iter().map(|secret| Secret::new(secret)).collect();
        let secrets = secrets.map_err(Error::from)?;
        let names: Vec<SecretName> = secrets.iter().map(Secret::name).collect();
        if let Some(text) = &row.secrets {
            let list = SecretsInUse::parse(text)?;
            if let Some(missing) = list.names().find(|name| !names.contains(name)) {
                let is_first = list.0.first().is_some_and(|first| first.name == missing);
                let needed = self.count_sealed_with(missing, is_first).await?;
                return Err(CheckFailed::Mismatch(format!(
                    "the node secret is not the one that its records were sealed with: {needed} of them need the secret \
                     {missing}, which is in neither `secret_file` nor `other_secret_files`. Put it back until \
                     `concordat seal rewrap` is through"
                )));
            }
        }
        Seal::unlock(secrets, row.lasting_keys.as_deref(), row.secret_check.as_deref()).map_err(|_| {
            CheckFailed::Mismatch("the node secret is not the one that its records were sealed with".to_owned())
        })
    }

    /// The names of the secrets that something stored may need, and whether things are still sealed with each.
    pub async fn secrets_in_use(&self, seal: &Seal) -> Result<Vec<(SecretName, bool)>> {
        let row = self.reads().await?.secrets().await?;
        let list = in_use(&row, seal)?.0;
        let used = list.iter().filter(|one| one.standing != Standing::GivenUp);
        Ok(used.map(|one| (one.name, one.standing == Standing::Open)).collect())
    }
}

impl Locked {
    async fn in_use(&mut self, seal: &Seal) -> Result<SecretsInUse> {
        let row = self.reads.secrets().await?;
        in_use(&row, seal)
    }

    async fn keep(&mut self, list: &SecretsInUse, seal: &Seal) -> Result<()> {
        // While there was one secret only, the keys that stay follow from it, unless it came after another.
        let stored = if list.0.len() == 1 && seal.beginning() == list.names().next() {
            None
        } else {
            Some(seal.lasting_keys()?)
        };
        let cells = vec![list.to_string().into(), stored.into()];
        self.write(vec![Write::change_one("ledger_head", sql::SET_SECRETS, cells)]).await
    }

    /// Puts the newest secret on the list; whether it was not there. Fails if it was closed, or if one is missing here.
    pub(super) async fn take_up_secret(&mut self, seal: &Seal) -> Result<bool> {
        let newest = seal.newest()?;
        let mut list = self.in_use(seal).await?;
        if let Some(missing) = list.names().find(|name| !seal.names().any(|here| here == *name)) {
            return Err(Error::SecretMissing(missing));
        }
        match list.standing(newest) {
            Some(Standing::Open) if self.lists_secrets() => return Ok(false),
            Some(Standing::Open) => {}
            Some(Standing::Closed | Standing::GivenUp) => return Err(Error::SecretClosed(newest)),
            None => list.0.push(Listed { name: newest, standing: Standing::Open }),
        }
        self.keep(&list, seal).await?;
        Ok(true)
    }

    /// Fails unless everything may be wrapped anew with the newest secret, still.
    pub(super) async fn check_wraps_anew(&mut self, seal: &Seal) -> Result<()> {
        self.in_use(seal).await?.check_last(seal)
    }

    /// Lets nothing more be sealed with any secret but the newest, which must be the last that came into use.
    pub(super) async fn close_other_secrets(&mut self, seal: &Seal) -> Result<()> {
        let newest = seal.newest()?;
        let mut list = self.in_use(seal).await?;
        if list.standing(newest).is_none() {
            return Err(Error::Keys(format!(
                "no node has started with the secret {newest} as its `secret_file` yet: start all of them with it first"
            )));
        }
        list.check_last(seal)?;
        for one in list.0.iter_mut().filter(|one| one.name != newest && one.standing == Standing::Open) {
            one.standing = Standing::Closed;
        }
        self.keep(&list, seal).await
    }

    /// Gives the closed secrets up: nothing needs them any more. Says which.
    pub(super) async fn give_up_closed_secrets(&mut self, seal: &Seal) -> Result<Vec<SecretName>> {
        let mut list = self.in_use(seal).await?;
        list.check_last(seal)?;
        let mut gone = Vec::new();
        for one in list.0.iter_mut().filter(|one| one.standing == Standing::Closed) {
            one.standing = Standing::GivenUp;
            gone.push(one.name);
        }
        self.keep(&list, seal).await?;
        Ok(gone)
    }
}
