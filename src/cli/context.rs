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
    let (mut context, folder) = Context::load(&file).map_err(anyhow::Error::from_boxed)?;
    context.proxy = context.proxy.or_else(|| proxy(&context.server));
    Ok((context, folder))
}

/// The proxy that the environment names for this server (`HTTPS_PROXY`, and `NO_PROXY` for where there is none).
pub(super) fn proxy(server: &str) -> Option<String> {
    let said = |name: &str| {
        let spelt = [name.to_owned(), name.to_lowercase()].into_iter();
        spelt.filter_map(|name| std::env::var_os(name)?.into_string().ok()).find(|value| !value.is_empty())
    };
    let proxy = said("HTTPS_PROXY")?;
    let except = said("NO_PROXY").unwrap_or_default();
    goes_through(server, &except).then_some(proxy)
}

/// Whether the way to a server leads through a proxy; never to this machine itself.
fn goes_through(server: &str, except: &str) -> bool {
    let host = server.rsplit_once(':').map_or(server, |(host, _)| host).trim_matches(['[', ']']);
    let is_here = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    let is_excepted = except.split(',').map(str::trim).filter(|name| !name.is_empty()).any(|name| {
        let name = name.trim_start_matches('.');
        name == "*" || host == name || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'))
    });
    !is_here && !is_excepted
}

/// `concordat/context.toml` where the user's settings are.
fn default() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")))?;
    Some(folder.join("concordat/context.toml"))
}

#[cfg(test)]
mod tests {
    use super::goes_through;

    #[test]
    fn the_way_leads_through_a_proxy_unless_it_is_excepted_or_ends_here() {
        for (server, except) in
            [("node.example:8443", ""), ("node.example:8443", "ode.example, other"), ("10.0.0.7:1", "")]
        {
            assert!(goes_through(server, except), "{server} {except}");
        }
        for (server, except) in [
            ("localhost:8443", ""),
            ("127.0.0.1:8443", ""),
            ("[::1]:8443", ""),
            ("node.example:8443", "other, .example"),
            ("node.example:8443", "node.example"),
            ("node.example:8443", "*"),
        ] {
            assert!(!goes_through(server, except), "{server} {except}");
        }
    }
}
