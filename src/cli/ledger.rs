//! `concordat ledger`.

mod keys;
mod replay;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use concordat::config::Config;
use concordat::ledger::{Checkpoint, Keyring, SigningKey, TrustedKey, read_checkpoint};
use concordat::seal;
use concordat::server::signing_keys;
use concordat::store::{CheckFailed, Options, Schema, Store};
use prost::Message;
use serde_json::json;

use super::output::{BAD, Format, GOOD, format, line, note, progress};
use super::{Verdict, verify};

/// Make or check a node's ledger; ask a node for its checkpoints, entries and proofs.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the database of a new node. A database that is there already is only brought up to date.
    #[command(after_help = "Example:
  concordat ledger init --config /etc/concordat/node.toml")]
    Init(ConfigArgument),
    /// Recompute the tree from the database and compare it with the last signed checkpoint.
    #[command(after_help = "Exit code: 0 it checks, 1 it does not, 2 wrong usage, 3 cannot decide.

The node may be serving meanwhile: what it appends after the check began is left to the next check.

Example:
  concordat ledger check --config /etc/concordat/node.toml")]
    Check(CheckArguments),
    /// Print the last signed checkpoint from the database: what is kept apart from backups.
    #[command(
        after_help = "What it prints is for `concordat serve --trust-checkpoint`: a restored database that lacks an entry
of it is not served. The node may be serving meanwhile. An officer anywhere gets the same by `concordat ledger get-checkpoint`.

Examples:
  concordat ledger checkpoint --config node.toml > kept.new && mv kept.new kept/checkpoint
  concordat ledger checkpoint --config node.toml -o json"
    )]
    Checkpoint(ConfigArgument),
    /// Print the keys that sign or signed the ledger, as a keyring to hand out.
    #[command(after_help = "Example:
  concordat ledger keys --config node.toml -o table > ncsc.keyring")]
    Keys(ConfigArgument),
    /// Print the fingerprints of verifier keys, to be read out and read back.
    #[command(after_help = "Example:
  concordat ledger fingerprint ncsc.keyring")]
    Fingerprint {
        /// A verifier key (NAME+ID+KEY), or a keyring.
        key: Vec<String>,
    },
    /// Let a new key sign the ledger, beside those that sign.
    RotateKey(keys::Rotate),
    /// Let a key sign the ledger no more.
    RetireKey(keys::Retire),
    /// Make decisions again from their sealed facts and stored agreement texts, and compare with what was committed.
    Replay(replay::Arguments),
    /// Print a receipt as the flags of other commands take it: what is carried from one node to another.
    #[command(after_help = "Example:
  concordat permission ask --upstream nca --receipt $(concordat ledger receipt release.json --outcome-alone) \\
    --recipient ncsc --purpose harm-reduction --categories technical-indicators")]
    Receipt {
        /// The receipt, or a response that has one: JSON or binary. `-`: stdin.
        receipt: PathBuf,
        /// Opens nothing but the outcome: more than that no other agency's node takes of a release or a permission.
        #[arg(long)]
        outcome_alone: bool,
    },
    /// Print a new ledger key: the private line for the key file, and the verifier key to hand out.
    #[command(after_help = "Example:
  concordat ledger keygen ncsc.example")]
    Keygen {
        /// The ledger's name, such as `ncsc.example`.
        origin: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct ConfigArgument {
    /// The node's configuration.
    #[arg(long, env = "CONCORDAT_CONFIG", value_name = "FILE")]
    config: PathBuf,
}

#[derive(Debug, Args)]
struct CheckArguments {
    #[command(flatten)]
    of: ConfigArgument,
    /// The keys to believe: a verifier key or a keyring. Unless given: the configured ones. May be given several times.
    #[arg(long, value_name = "KEY")]
    key: Vec<String>,
}

pub(super) async fn run(arguments: Arguments, stated: Option<Format>) -> anyhow::Result<Verdict> {
    match arguments.command {
        Command::Init(argument) => prepare(&Config::load(&argument.config)?, Options::creating, stated).await,
        Command::Check(arguments) => check(&arguments, format(stated)).await,
        Command::Checkpoint(argument) => checkpoint(&argument.config, stated).await,
        Command::Keys(argument) => keys::list(&argument.config, format(stated)).await,
        Command::Fingerprint { key } => keys::fingerprints(&key, format(stated)),
        Command::RotateKey(arguments) => keys::rotate(&arguments, format(stated)).await,
        Command::RetireKey(arguments) => keys::retire(&arguments, format(stated)).await,
        Command::Replay(arguments) => replay::run(&arguments, format(stated)).await,
        Command::Receipt { receipt, outcome_alone } => {
            let (receipt, _) = verify::received(&receipt)?;
            let encoded = if outcome_alone { verify::outcome_alone(receipt) } else { receipt.encode_to_vec() };
            let hex = data_encoding::HEXLOWER.encode(&encoded);
            match stated {
                Some(Format::Json) => line(&json!({ "receipt": hex }).to_string()),
                _ => line(&hex),
            }
            Ok(Verdict::Well)
        }
        Command::Keygen { origin } => {
            let seed = seal::random();
            let private = SigningKey::write(&origin, &seed)?;
            let (private, public) = (private.trim_end(), SigningKey::from_seed(&origin, &seed)?.verifier_key());
            match stated {
                Some(Format::Json) => {
                    line(&json!({ "private_key": private, "verifier_key": public }).to_string());
                }
                _ => line(&format!("{private}\n{public}")),
            }
            Ok(Verdict::Well)
        }
    }
}

/// Brings the database of a node up to date; an SQLite file must be there. Of what a later program did nothing is undone.
pub(super) async fn migrate(argument: &ConfigArgument, stated: Option<Format>) -> anyhow::Result<Verdict> {
    prepare(&Config::load(&argument.config)?, |options| options, stated).await
}

async fn prepare(
    config: &Config,
    how: impl FnOnce(Options) -> Options,
    stated: Option<Format>,
) -> anyhow::Result<Verdict> {
    let store = Store::open(&how(Options::serve(config.database_login()?.as_str()))).await?;
    if let Schema::Later(version) = store.schema().await? {
        note(&format!("its tables are a later program's (migration {version}), and stay as they are"));
    }
    store.close().await;
    let database = config.database_shown();
    match stated {
        Some(Format::Json) => line(&json!({ "ready": database }).to_string()),
        _ => line(&format!("{database} is ready")),
    }
    Ok(Verdict::Well)
}

/// The note itself unless JSON is stated: it is kept in a file, whatever stdout is. As JSON it is what `get-checkpoint` says.
async fn checkpoint(config: &Path, stated: Option<Format>) -> anyhow::Result<Verdict> {
    let config = Config::load(config)?;
    let store = Store::open(&Options::inspect(config.database_login()?.as_str())).await?;
    let mut reads = store.reads().await?;
    let found = reads.last_checkpoint().await?;
    let (_, at) = reads.size().await?;
    drop(reads);
    store.close().await;
    let (_, note) = found.context("no node has begun this ledger yet")?;
    if stated == Some(Format::Json) {
        let Checkpoint { origin, size, root } = read_checkpoint(&note)?;
        let root = data_encoding::BASE64.encode(&root);
        let said =
            json!({ "origin": origin, "size": size.to_string(), "root": root, "note": note, "at": at.to_string() });
        line(&json!({ "checkpoint": said }).to_string());
    } else {
        line(note.trim_end_matches('\n'));
    }
    Ok(Verdict::Well)
}

async fn check(arguments: &CheckArguments, format: Format) -> anyhow::Result<Verdict> {
    let config = Config::load(&arguments.of.config)?;
    let signing = signing_keys(&config).map_err(anyhow::Error::from_boxed)?;
    let keys = if arguments.key.is_empty() {
        let verifiers: Vec<String> = signing.all().map(SigningKey::verifier_key).collect();
        Keyring::parse(verifiers.iter().map(String::as_str))?
    } else {
        verify::keyring(&arguments.key)?
    };
    let store = Store::open(&Options::inspect(config.database_login()?.as_str())).await?;
    let origin = signing.origin();
    let bar = progress(0, "checking");
    let checked = store
        .check_ledger(&keys, |done, size| {
            bar.set_length(size);
            bar.set_position(done);
        })
        .await;
    bar.finish_and_clear();
    store.close().await;
    match checked {
        Ok(checked) => {
            let root = data_encoding::BASE64.encode(&checked.root);
            let by: Vec<&str> = checked.signed_by.iter().map(TrustedKey::short).collect();
            if format == Format::Table {
                line(&format!(
                    "{GOOD}checks{GOOD:#}: {} entries, root {root}, as signed by {}",
                    checked.size,
                    by.join(", ")
                ));
            } else {
                let size = checked.size;
                let said = json!({ "checks": true, "origin": origin, "size": size, "root": root, "signed_by": by });
                line(&said.to_string());
            }
            Ok(Verdict::Well)
        }
        Err(CheckFailed::Mismatch(problem)) => {
            if format == Format::Table {
                line(&format!("{BAD}does not check{BAD:#}: {problem}"));
                line("Stop the node, keep the database as it is, and compare it with the receipts that others hold.");
            } else {
                line(&json!({ "checks": false, "origin": origin, "problem": problem }).to_string());
            }
            Ok(Verdict::NotWell)
        }
        Err(CheckFailed::Store(error)) => Err(error.into()),
    }
}
