//! `concordat completion`.

use clap::Args;

use super::Verdict;
use super::output::text;

/// Print a completion script for a shell.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  concordat completion bash > ~/.local/share/bash-completion/completions/concordat
  concordat completion zsh > ~/.zfunc/_concordat
  concordat completion fish > ~/.config/fish/completions/concordat.fish")]
pub(super) struct Arguments {
    /// The shell.
    shell: clap_complete::Shell,
}

pub(super) fn run(arguments: &Arguments, commands: &mut clap::Command) -> anyhow::Result<Verdict> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, commands, "concordat", &mut script);
    text(&String::from_utf8(script)?);
    Ok(Verdict::Well)
}
