//! What people see: data on stdout, everything else on stderr; colours and tables in a terminal only.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use concordat::config::LogFormat;
use indicatif::{ProgressBar, ProgressStyle};
use tracing::Level;
use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

pub(super) const BOLD: Style = Style::new().bold();
pub(super) const DIM: Style = Style::new().dimmed();
pub(super) const GOOD: Style = AnsiColor::Green.on_default().bold();
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(super) const KEY: Style = AnsiColor::Cyan.on_default();

/// How a command prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// For spreadsheets: a table of statistics alone.
    Csv,
}

/// The format that was stated, else the one that suits where stdout goes.
pub(super) fn format(stated: Option<Format>) -> Format {
    stated.unwrap_or(if is_terminal() { Format::Table } else { Format::Json })
}

/// Whether stdout is a terminal.
pub(super) fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// A line on stdout.
pub(super) fn line(text: &str) {
    if let Err(error) = writeln!(anstream::stdout(), "{text}") {
        lost(&error);
    }
}

/// A text on stdout, as it is.
pub(super) fn text(text: &str) {
    let mut stdout = std::io::stdout();
    if let Err(error) = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        lost(&error);
    }
}

/// Ends the program: what it has to say does not arrive. A reader who has seen enough, such as `head`, needs no words.
fn lost(error: &std::io::Error) -> ! {
    if error.kind() != std::io::ErrorKind::BrokenPipe {
        problem(&format!("stdout cannot be written: {error}"));
    }
    std::process::exit(i32::from(super::Verdict::Undecided.code()))
}

/// What went wrong, on stderr.
pub(super) fn problem(text: &str) {
    anstream::eprintln!("{BAD}error{BAD:#}: {text}");
}

/// A hint or a warning, on stderr.
pub(super) fn note(text: &str) {
    anstream::eprintln!("{text}");
}

/// A table for a terminal.
pub(super) fn table(head: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(head.iter().copied());
    table
}

/// A progress bar on stderr, hidden where that is not a terminal.
pub(super) fn progress(length: u64, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(length).with_message(what);
    if let Ok(style) = ProgressStyle::with_template("  {msg} {wide_bar} {pos}/{len} ({eta})") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Logs to stderr: plain text in a terminal and JSON elsewhere, unless a format is stated. `RUST_LOG` chooses what.
///
/// WHY: below INFO other crates write down what goes through them, headers with tokens and statements among it. What we
/// write ourselves is known to hold none of it, so only that can be had.
pub(super) fn logs(default: &str, format: LogFormat) {
    let chosen = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let ours = filter_fn(|about| *about.level() <= Level::INFO || about.target().starts_with(env!("CARGO_PKG_NAME")));
    // Both for all that is written: a filter of one layer's own would be asked for events that then never come.
    let registry = tracing_subscriber::registry().with(chosen).with(ours);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let is_plain = match format {
        LogFormat::Auto => std::io::stderr().is_terminal(),
        LogFormat::Json => false,
        LogFormat::Pretty => true,
    };
    if is_plain {
        registry.with(lines.with_target(false).with_ansi(std::io::stderr().is_terminal())).init();
    } else {
        registry.with(lines.json().with_ansi(false)).init();
    }
}
