//! `concordat certs`: certificates for development and for teams without a public-key infrastructure, and what a node
//! would say to any certificate.

mod authority;
mod files;
mod inspect;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Verdict;
use super::output::Format;

/// Make an agency's authority and certificates, revoke them, and say what a node would say to them.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make an authority for an agency: its certificate, its key and its first revocation list.
    #[command(
        after_help = "Whoever has authority.key names the agency's systems. Keep it where nodes and systems do not run.

Exit code: 0 made, 2 wrong usage, 3 could not write.

Examples:
  concordat certs init --trust-domain ico.example
  concordat certs init --trust-domain ico.example --name 'ICO systems 2027' --valid 730d --authority /secure/ico-2027"
    )]
    Init(Init),
    /// Issue a certificate for a system that calls nodes or, with --address, for a node.
    #[command(after_help = "Exit code: 0 issued, 2 wrong usage, 3 could not write.

Examples:
  concordat certs issue case-system
  concordat certs issue case-system --valid 24h          # for an agency with revocation = \"short-lived\"
  concordat certs issue node --address concordat.ico.example,10.0.0.7 --out /etc/concordat/server")]
    Issue(Issue),
    /// Issue a certificate that says the same as another, over a new key.
    #[command(
        after_help = "Exit code: 0 issued, 1 the certificate is not one to renew, 2 wrong usage, 3 could not write.

Examples:
  concordat certs renew case-system.pem --out case-system-2
  concordat certs renew case-system.pem --force          # in place: nodes and clients read it within seconds"
    )]
    Renew(Renew),
    /// Revoke certificates: publish the authority's next list. Without any, the list is published anew.
    #[command(
        after_help = "Each list has a higher number than the one before. Publish one before half of its life is over, and
give it to every node that knows the agency, in the place of the one before. What no node would take is not written: the
list before stays.

Exit code: 0 published, 2 wrong usage, 3 not published: the list or a certificate cannot be read, no node would take the new
list, or it could not be written.

Examples:
  concordat certs revoke stolen.pem
  concordat certs revoke --serial 4f:06:1c:…
  concordat certs revoke                                 # nothing new: the same list, counting for longer"
    )]
    Revoke(Revoke),
    /// Say what is in files of certificates, lists and keys, and what a node would say to it and why.
    #[command(
        after_help = "With --config the judge is the node itself: its configuration, its roots and its lists as they are on
disk now. With --agency as well, authorities and lists are judged as the node would if they were added to that agency's
files: a root below those that are there, lists in the place of those. What is in the node's database, the numbers of
earlier lists and who is suspended, is not looked at. With --roots the judge is a node that knows only those. With
neither, only the form is judged.

Exit code: 0 nothing would be turned away, 1 something would be, 2 wrong usage, 3 could not read.

Examples:
  concordat certs inspect case-system.pem --config /etc/concordat/node.toml
  concordat certs inspect root-2027.pem lists-2027.pem --config /etc/concordat/node.toml --agency nca
  concordat certs inspect case-system.pem --roots ico/authority.pem --lists ico/lists.pem
  concordat certs inspect server.pem --key server.key
  concordat certs inspect authority.pem lists.pem -o json"
    )]
    Inspect(inspect::Inspect),
}

/// Where an authority is kept.
#[derive(Debug, Args)]
struct Kept {
    /// The authority's folder, with authority.pem, authority.key and lists.pem.
    #[arg(long, value_name = "FOLDER", default_value = "authority")]
    authority: PathBuf,
}

/// What is there already.
#[derive(Debug, Args)]
struct Over {
    /// Replace files that are there.
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
struct Init {
    /// The SPIFFE trust domain of the agency's systems, such as `ico.example`.
    #[arg(long, value_name = "DOMAIN")]
    trust_domain: String,
    /// The authority's name. Default: the trust domain and the day.
    #[arg(long)]
    name: Option<String>,
    /// How long it is valid: 30d, 52w.
    #[arg(long, value_name = "TIME", default_value = "365d", value_parser = seconds)]
    valid: i64,
    #[command(flatten)]
    kept: Kept,
    #[command(flatten)]
    over: Over,
}

#[derive(Debug, Args)]
struct Issue {
    /// The system's name within the trust domain, such as `case-system` or `north/gateway`.
    system: String,
    /// For a node: the DNS names and addresses that callers dial; with commas between.
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    address: Vec<String>,
    /// How long it is valid: 24h, 30d. At most 90d.
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = seconds)]
    valid: i64,
    /// Where to write: this with .pem and .key. Default: the last part of the system's name.
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    #[command(flatten)]
    kept: Kept,
    #[command(flatten)]
    over: Over,
}

#[derive(Debug, Args)]
struct Renew {
    /// The certificate to renew, PEM. With --force it and the .key beside it are replaced.
    certificate: PathBuf,
    /// How long the new one is valid. Default: as long as the old one was.
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    valid: Option<i64>,
    /// Where to write: this with .pem and .key.
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    #[command(flatten)]
    kept: Kept,
    #[command(flatten)]
    over: Over,
}

#[derive(Debug, Args)]
struct Revoke {
    /// The certificates, PEM.
    certificates: Vec<PathBuf>,
    /// The serial number of one, in hexadecimal, with or without colons; given several times.
    #[arg(long, value_name = "HEX")]
    serial: Vec<String>,
    /// How long the list counts.
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = seconds)]
    valid: i64,
    #[command(flatten)]
    kept: Kept,
}

/// `24h`, `30d` or `52w` in seconds.
fn seconds(text: &str) -> Result<i64, String> {
    let problem = || "not a length of time: write 24h, 30d or 52w".to_owned();
    let units = [('h', 3_600), ('d', 86_400), ('w', 7 * 86_400)];
    let split = units.into_iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)));
    let (count, unit) = split.ok_or_else(problem)?;
    match count.parse::<u16>() {
        Ok(count) if count > 0 => Ok(i64::from(count) * unit),
        _ => Err(problem()),
    }
}

pub(super) fn run(arguments: Arguments, stated: Option<Format>) -> anyhow::Result<Verdict> {
    let format = super::output::format(stated);
    match arguments.command {
        Command::Init(init) => authority::init(&init, format),
        Command::Issue(issue) => authority::issue(&issue, format),
        Command::Renew(renew) => authority::renew(&renew, format),
        Command::Revoke(revoke) => authority::revoke(&revoke, format),
        Command::Inspect(inspect) => inspect::run(&inspect, format),
    }
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn a_length_of_time_is_a_number_and_a_unit() {
        assert_eq!(seconds("24h"), Ok(86_400));
        assert_eq!(seconds("30d"), Ok(30 * 86_400));
        assert_eq!(seconds("52w"), Ok(364 * 86_400));
        for wrong in ["", "d", "30", "0d", "-1d", "1.5d", "30 d", "99999999d"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
