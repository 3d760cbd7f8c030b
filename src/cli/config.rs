//! `concordat config`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use concordat::config::Config;
use concordat::{rotation, server};
use serde_json::json;

use super::Verdict;
use super::output::{BAD, Format, GOOD, format, line, text};

/// A commented configuration.
pub(super) const EXAMPLE: &str = include_str!("../config/example.toml");

/// Check, print or begin a node's configuration.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say everything that is wrong with a configuration, and with the files that it names.
    #[command(after_help = "Exit code: 0 a node can start with it, 1 it cannot.

The database is not asked: `concordat doctor` does that.

Example:
  concordat config check --config /etc/concordat/node.toml")]
    Check {
        #[command(flatten)]
        file: File,
        /// Looks at no file that it names.
        #[arg(long)]
        offline: bool,
    },
    /// Print a configuration as the node reads it: with what the environment says, and what holds unless stated.
    Print(File),
    /// Print the JSON Schema of a configuration.
    Schema,
    /// Print a configuration to begin with, with comments.
    #[command(after_help = "Example:
  concordat config init > node.toml")]
    Init,
}

#[derive(Debug, Args)]
struct File {
    /// The node's configuration.
    #[arg(long, env = "CONCORDAT_CONFIG", value_name = "FILE")]
    config: PathBuf,
}

pub(super) fn run(arguments: &Arguments, stated: Option<Format>) -> anyhow::Result<Verdict> {
    match &arguments.command {
        Command::Check { file, offline } => Ok(check(&file.config, *offline, format(stated))),
        Command::Print(file) => {
            let config = Config::load(&file.config)?.shown();
            match stated {
                Some(Format::Json) => line(&serde_json::to_string(&config)?),
                _ => text(&toml::to_string(&config)?),
            }
            Ok(Verdict::Well)
        }
        Command::Schema => {
            line(&serde_json::to_string_pretty(&Config::schema())?);
            Ok(Verdict::Well)
        }
        Command::Init => {
            text(EXAMPLE);
            Ok(Verdict::Well)
        }
    }
}

fn check(file: &Path, offline: bool, format: Format) -> Verdict {
    let problems = match Config::load(file) {
        Err(error) => error.problems().to_vec(),
        Ok(_) if offline => Vec::new(),
        Ok(config) => {
            let mut problems = server::problems(&config);
            problems.extend(rotation::survey(&config).into_iter().filter_map(|surveyed| surveyed.problem));
            problems
        }
    };
    let well = problems.is_empty();
    if format == Format::Json {
        line(&json!({ "well": well, "problems": problems }).to_string());
    } else if well {
        line(&format!("{GOOD}well{GOOD:#}: {}", file.display()));
    } else {
        line(&format!("{BAD}not well{BAD:#}: {}", file.display()));
        for problem in problems {
            line(&format!("  {problem}"));
        }
    }
    if well { Verdict::Well } else { Verdict::NotWell }
}

#[cfg(test)]
mod tests {
    use super::{Config, EXAMPLE};

    #[test]
    fn the_example_is_a_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("node.toml");
        std::fs::write(&file, EXAMPLE).unwrap();
        Config::load_alone(&file).unwrap();
    }
}
