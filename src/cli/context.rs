//! Which context a command uses, and what to write where there is none.

use std::path::{Path, PathBuf};

use concordat::client::Context;

use super::Usage;

/// Names a context for every command of a shell.
pub(super) const VARIABLE: &str = "CONCORDAT_CONTEXT";

const EXAMPLE: &str = r#"server = "concordat.ncsc.example:8443"        # the node
server_name = "concordat.ncsc.example"        # the name in its certificate
roots_file = "roots.pem"                      # by which that is verified; paths are relative to this file
certificate_file = "client.pem"               # your system's certificate
key_file = "client.key"

[token]                                       # how the officer's tokens are made
key_file = "token.key"
kid = "ico-1"
issuer = "https://tokens.ico.example"
audience = "https://concordat.ncsc.example"
officer = "case-officer"
unit = "incident-desk"
roles = ["requester"]
purposes = ["harm-reduction"]"#;

/// The context in the file that was named, else in the default one, with the folder that its paths are relative to.
pub(super) fn load(named: Option<&Path>) -> anyhow::Result<(Context, PathBuf)> {
    let Some(file) = named.map(Path::to_owned).or_else(default) else {
        return Err(Usage(format!("no context: name one with --context FILE or {VARIABLE}")).into());
    };
    if !file.is_file() {
        return Err(Usage(format!(
            "no context: {} is not there. Name one with --context FILE or {VARIABLE}, or write that file:\n\n{EXAMPLE}",
            file.display()
        ))
        .into());
    }
    Context::load(&file).map_err(anyhow::Error::from_boxed)
}

/// `concordat/context.toml` where the user's settings are.
fn default() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")))?;
    Some(folder.join("concordat/context.toml"))
}
