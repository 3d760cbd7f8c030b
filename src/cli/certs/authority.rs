//! What an authority does: come to be, issue, renew and revoke.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, ensure};
use concordat::clock::Clock;
use concordat::domain::{Instant, certificate_name};
use concordat::identity::{SpiffeId, check_leaf, is_trust_domain};
use concordat::pki::{Authority, List, Profile};
use concordat::rotation::MOST_BYTES;
use concordat::tls::{self, RevocationList};
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};

use super::files::{Readable, check_free, put, read};
use super::inspect::facts;
use super::{Init, Issue, Kept, Renew, Revoke};
use crate::cli::output::{BOLD, DIM, Format, line, note};
use crate::cli::{Usage, Verdict, json, table};

/// How long an authority's first list counts.
const FIRST_LIST_DAYS: i64 = 7;

/// The longest that a certificate of a system may be valid.
const LONGEST_SECONDS: i64 = 90 * 86_400;

impl Kept {
    fn file(&self, name: &str) -> PathBuf {
        self.authority.join(name)
    }

    fn read(&self) -> anyhow::Result<Authority> {
        let (certificate, key) = (self.file("authority.pem"), self.file("authority.key"));
        if !certificate.exists() {
            let problem = format!(
                "there is no authority in {}: name its folder with --authority, or make one with `concordat certs init`",
                self.authority.display()
            );
            return Err(Usage(problem).into());
        }
        let problem = || format!("{} and {}", certificate.display(), key.display());
        Authority::read(&read(&certificate)?, &read(&key)?).with_context(problem)
    }

    /// The list that the authority published last. `init` makes the first: without one it was lost, and another in its
    /// place would bring back what was revoked.
    fn list(&self) -> anyhow::Result<List> {
        let file = self.file("lists.pem");
        if !file.exists() {
            let lost =
                "is not there: put the last list that was published in its place, or what was revoked comes back";
            return Err(anyhow!("{} {lost}", file.display()));
        }
        let lists = tls::revocation_lists(read(&file)?.as_bytes()).into_iter().collect::<Result<Vec<_>, _>>();
        let lists = lists.with_context(|| file.display().to_string())?;
        let newest = lists.iter().filter_map(|der| List::read(der)).max_by(|one, other| one.number.cmp(&other.number));
        let problem =
            || anyhow!("{}: no list with a number in it: put the last one that was published there", file.display());
        newest.ok_or_else(problem)
    }
}

/// What a command made, for people or for programs.
fn tell(made: &serde_json::Value, next: &str, format: Format) -> anyhow::Result<()> {
    match format {
        Format::Json | Format::Csv => line(&json::written(made)?),
        Format::Table => {
            let rows = made.as_object().into_iter().flatten().map(|(name, value)| {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                vec![name.replace('_', " "), text]
            });
            line(&table::lines(&["", ""], rows));
        }
    }
    note(&format!("{DIM}{next}{DIM:#}"));
    Ok(())
}

pub(super) fn init(init: &Init, format: Format) -> anyhow::Result<Verdict> {
    let Init { trust_domain, name, valid, kept, over } = init;
    if !is_trust_domain(trust_domain) {
        return Err(
            Usage(format!("--trust-domain: `{trust_domain}` is none: 1 to 255 of a-z, 0-9, `.`, `-` and `_`")).into()
        );
    }
    let now = Clock::system().now();
    let name =
        name.clone().unwrap_or_else(|| format!("{trust_domain} {}", now.to_string().get(..10).unwrap_or_default()));
    let [certificate, key, lists] = ["authority.pem", "authority.key", "lists.pem"].map(|file| kept.file(file));
    check_free(&[&certificate, &key, &lists], over.force)?;
    let authority = Authority::establish(&name, trust_domain, now.plus_seconds(*valid), now)?;
    let list = authority.publish(&List::first(), now.plus_days(FIRST_LIST_DAYS), now)?;
    check_taken(&list, &tls::certificates(authority.root_pem().as_bytes())?, now)?;
    fs::create_dir_all(&kept.authority).with_context(|| kept.authority.display().to_string())?;
    put(&key, &authority.key_pem(), Readable::ByOwner)?;
    put(&certificate, authority.root_pem(), Readable::ByAll)?;
    put(&lists, &list, Readable::ByAll)?;
    let mut made = json!({
        "certificate_file": certificate, "key_file": key, "lists_file": lists, "trust_domain": trust_domain,
    });
    add(&mut made, authority.root_pem())?;
    let next = format!(
        "Give authority.pem and lists.pem to every node that knows the agency, and the fingerprint by another way. There:

  [[agency]]
  trust_domain = \"{trust_domain}\"
  roots_file = \"authority.pem\"
  revocation_lists_file = \"lists.pem\"

The list counts for {FIRST_LIST_DAYS} days: `concordat certs revoke` publishes the next one. Then: concordat certs issue NAME"
    );
    tell(&made, &next, format)?;
    Ok(Verdict::Well)
}

/// Adds what a certificate says to what was made.
fn add(made: &mut serde_json::Value, pem: &str) -> anyhow::Result<()> {
    let chain = tls::certificates(pem.as_bytes())?;
    let said = chain.first().map(|der| facts::certificate(der)).unwrap_or_default();
    if let (Some(made), serde_json::Value::Object(said)) = (made.as_object_mut(), said) {
        let of_use = ["fingerprint", "serial", "names", "valid_from", "valid_until"];
        made.extend(said.into_iter().filter(|(name, _)| of_use.contains(&name.as_str())));
    }
    Ok(())
}

pub(super) fn issue(issue: &Issue, format: Format) -> anyhow::Result<Verdict> {
    let Issue { system, address, valid, out, kept, over } = issue;
    if *valid > LONGEST_SECONDS {
        return Err(
            Usage("--valid: at most 90d: no node takes a certificate that is valid for longer".to_owned()).into()
        );
    }
    let authority = kept.read()?;
    let id = format!("spiffe://{}/{system}", authority.trust_domain());
    if SpiffeId::parse(&id).is_none() {
        let problem =
            format!("`{system}` is no name of a system: letters, digits, `.`, `-` and `_`, with `/` between parts");
        return Err(Usage(problem).into());
    }
    let now = Clock::system().now();
    let profile = if address.is_empty() {
        Profile::client(&id, now)?
    } else {
        let address: Vec<&str> = address.iter().map(String::as_str).collect();
        Profile::node(&id, &address, now).map_err(|e| Usage(format!("--address: {e}: DNS names and IP addresses")))?
    };
    let out = out.clone().unwrap_or_else(|| system.rsplit('/').next().unwrap_or(system).into());
    put_issued(&authority, &profile.lasting(*valid), &out, over.force, format)
}

pub(super) fn renew(renew: &Renew, format: Format) -> anyhow::Result<Verdict> {
    let Renew { certificate, valid, out, kept, over } = renew;
    let now = Clock::system().now();
    let old = tls::certificates(read(certificate)?.as_bytes()).with_context(|| certificate.display().to_string())?;
    let Some(profile) = old.first().and_then(|der| Profile::again(der, now)) else {
        return Err(Usage(format!("{} is no certificate of a system or a node", certificate.display())).into());
    };
    let out = out.clone().unwrap_or_else(|| certificate.with_extension(""));
    let profile = valid.map_or(profile.clone(), |seconds| profile.lasting(seconds));
    put_issued(&kept.read()?, &profile, &out, over.force, format)
}

/// Issues and writes `out.pem` and `out.key`, the key first: a node takes neither before both are there.
fn put_issued(
    authority: &Authority,
    profile: &Profile,
    out: &Path,
    force: bool,
    format: Format,
) -> anyhow::Result<Verdict> {
    let beside = |ending: &str| {
        let mut path = out.as_os_str().to_owned();
        path.push(ending);
        PathBuf::from(path)
    };
    let (certificate, key) = (beside(".pem"), beside(".key"));
    check_free(&[&certificate, &key], force)?;
    let issued = authority.issue(profile)?;
    let der = tls::certificates(issued.chain_pem.as_bytes())?;
    let leaf = der.first().ok_or_else(|| anyhow!("nothing was issued"))?;
    let is_caller = is_for_callers(leaf);
    if is_caller {
        check_leaf(leaf).map_err(|problem| Usage(format!("no node would take it: {problem}")))?;
    }
    put(&key, &issued.key_pem, Readable::ByOwner)?;
    put(&certificate, &issued.chain_pem, Readable::ByAll)?;
    let mut made = json!({ "certificate_file": certificate, "key_file": key });
    add(&mut made, &issued.chain_pem)?;
    let next = if is_caller {
        "Name both in the context as `certificate_file` and `key_file`; tokens must be bound to this certificate (docs/tokens.md)."
    } else {
        "Name both in the node's configuration as `tls.certificate_file` and `tls.key_file`."
    };
    tell(&made, next, format)?;
    Ok(Verdict::Well)
}

fn is_for_callers(leaf: &CertificateDer<'_>) -> bool {
    let facts = facts::certificate(leaf);
    let usages = facts.get("usages").and_then(Value::as_array);
    usages.is_some_and(|usages| usages.iter().any(|usage| usage == "clientAuth"))
}

pub(super) fn revoke(revoke: &Revoke, format: Format) -> anyhow::Result<Verdict> {
    let Revoke { certificates, serial, valid, kept } = revoke;
    let authority = kept.read()?;
    let root = tls::certificates(authority.root_pem().as_bytes())?;
    let issuer = root.first().and_then(|root| facts::certificate(root).get("subject").cloned()).unwrap_or_default();
    let mut serials = Vec::new();
    for file in certificates {
        let read = tls::certificates(read(file)?.as_bytes()).with_context(|| file.display().to_string())?;
        let said = read.first().map(|der| facts::certificate(der)).unwrap_or_default();
        let theirs = said.get("issuer").cloned().unwrap_or_default();
        if theirs != issuer {
            let problem = format!(
                "{} was issued by {theirs}, and this authority is {issuer}: name its authority's folder",
                file.display()
            );
            return Err(Usage(problem).into());
        }
        serials.push(named(said.get("serial").and_then(Value::as_str).unwrap_or_default())?);
    }
    for text in serial {
        serials.push(named(text)?);
    }
    let now = Clock::system().now();
    let added = serials.len();
    let list = kept.list()?.next(serials, now);
    let until = now.plus_seconds(*valid);
    let published = authority.publish(&list, until, now)?;
    check_taken(&published, &root, now).with_context(|| {
        format!("no node would take the new list, so {} stays as it is", kept.file("lists.pem").display())
    })?;
    put(&kept.file("lists.pem"), &published, Readable::ByAll)?;
    let made = json!({
        "lists_file": kept.file("lists.pem"), "number": list.number.to_string(), "revoked": list.revoked.len(),
        "counts_until": until.to_string(),
    });
    let half = now.plus_seconds(valid / 2);
    let what = if added == 0 { "Nothing new is revoked." } else { "It counts where it is in place, not before." };
    tell(
        &made,
        &format!(
            "{what} Give {BOLD}lists.pem{BOLD:#} to every node that knows the agency, and publish the next one by {half}."
        ),
        format,
    )?;
    Ok(Verdict::Well)
}

/// Reads a list that was made for this authority as a node does that knows the authority.
fn check_taken(pem: &str, authority: &[CertificateDer<'_>], now: Instant) -> anyhow::Result<()> {
    ensure!(pem.len() as u64 <= MOST_BYTES, "it has more than {MOST_BYTES} bytes");
    let lists = tls::revocation_lists(pem.as_bytes()).into_iter().collect::<Result<Vec<_>, _>>()?;
    ensure!(lists.len() == 1, "it is {} lists", lists.len());
    for der in lists {
        RevocationList::read(&der, authority, now)?;
    }
    Ok(())
}

/// The bytes of a serial number in hexadecimal.
fn named(text: &str) -> Result<Vec<u8>, Usage> {
    let problem = || Usage(format!("--serial: `{text}` is none: write it in hexadecimal, such as 4f:06:1c"));
    let name = certificate_name(&format!("serial:{text}")).map_err(|_| problem())?;
    let digits = name.trim_start_matches("serial:");
    let even = if digits.len() % 2 == 0 { digits.to_owned() } else { format!("0{digits}") };
    data_encoding::HEXLOWER.decode(even.as_bytes()).map_err(|_| problem())
}
