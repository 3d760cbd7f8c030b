//! Which database a node has, and what of that may be shown.

use std::path::Path;

use zeroize::Zeroizing;

use super::{Config, Error, NodeSection};

impl Config {
    /// The database's URL, with the path of an SQLite file seen from where we are.
    pub fn database_url(&self) -> String {
        match self.node.database.strip_prefix("sqlite:") {
            Some(path) => format!("sqlite:{}", self.path(Path::new(path)).display()),
            None => self.node.database.clone(),
        }
    }

    /// The database's URL with the password from its file, if there is one.
    pub fn database_login(&self) -> Result<Zeroizing<String>, Error> {
        let url = self.database_url();
        let Some(file) = &self.node.database_password_file else { return Ok(url.into()) };
        let parts = url.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.split_once('@')?)));
        let Some((scheme, (user, place))) = parts.filter(|(_, (user, _))| !user.contains(':')) else {
            let problem = "is of use only with a URL that names a user and no password: postgres://user@host/database";
            return Err(Error::new(&self.path(file), format!("`node.database_password_file` {problem}")));
        };
        let password = self.read_secret(file)?;
        let byte =
            |byte: u8| if byte.is_ascii_alphanumeric() { char::from(byte).into() } else { format!("%{byte:02X}") };
        let password: Zeroizing<String> =
            password.trim_end_matches(['\r', '\n']).bytes().map(byte).collect::<String>().into();
        Ok(format!("{scheme}://{user}:{}@{place}", *password).into())
    }

    /// The same, as it may be shown.
    #[must_use]
    pub fn shown(&self) -> Self {
        let mut shown = self.clone();
        if !self.node.database.starts_with("sqlite:") {
            shown.node.database = self.database_shown();
        }
        shown
    }

    /// The database as it may be shown: scheme, host, port and database. Who logs in, and whatever a query says, is not for
    /// logs.
    pub fn database_shown(&self) -> String {
        let url = self.database_url();
        let Some((scheme, rest)) = url.split_once("://").filter(|_| !url.starts_with("sqlite:")) else { return url };
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        if query.contains('@') {
            // Then a part of a password may be what looks like the host.
            return format!("{scheme}://…");
        }
        let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
        format!("{scheme}://{place}")
    }
}

impl NodeSection {
    /// What of the database's keys cannot be meant.
    pub(super) fn database_problem(&self) -> Option<String> {
        let url = &self.database;
        if url.starts_with("sqlite:") {
            let contradiction = "node.migrate: cannot be false with SQLite: nobody else can change the tables of a file that \
                 the node has for itself, and the node would wait for ever";
            return (!self.migrate).then(|| contradiction.to_owned());
        }
        if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Some("node.database: is neither `sqlite:PATH` nor `postgres://user@host/database`".to_owned());
        }
        let query = url.split_once('?').map_or("", |(_, query)| query);
        let mut keys = query.split('&').map(|pair| pair.split_once('=').map_or(pair, |(key, _)| key));
        // A name with an escape in it could be any.
        let has_password = keys.any(|key| key.eq_ignore_ascii_case("password") || key.contains('%'));
        let remedy = "node.database: must have no password after the `?`, and no escape in a parameter's name: \
             `node.database_password_file` names a file with it";
        has_password.then(|| remedy.to_owned())
    }
}
