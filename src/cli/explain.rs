//! `concordat explain`: the page of `docs/errors.md` for a reason, an outcome or a verdict.

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};
use serde_json::json;

use super::Verdict;
use super::contract::sentence;
use super::output::{BOLD, DIM, Format, line, text};

const TEXT: &str = include_str!("../../docs/errors.md");

/// Explain a reason, an outcome or a verdict.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  concordat explain
  concordat explain WRONG_STATE
  concordat explain open")]
pub(super) struct Arguments {
    /// The reason, as an error or an answer names it. Without it: the list.
    #[arg(value_parser = PossibleValuesParser::new(names()), ignore_case = true, hide_possible_values = true)]
    reason: Option<String>,
}

/// A section of `docs/errors.md` that is headed by a name in backticks.
struct Page {
    chapter: &'static str,
    name: &'static str,
    text: &'static str,
}

fn pages() -> Vec<Page> {
    let mut pages = Vec::new();
    for chapter in TEXT.split("\n## ").skip(1) {
        let (title, rest) = chapter.split_once('\n').unwrap_or((chapter, ""));
        for section in rest.split("\n### `").skip(1) {
            if let Some((name, text)) = section.split_once("`\n") {
                pages.push(Page { chapter: title, name, text: text.trim() });
            }
        }
    }
    pages
}

fn names() -> impl Iterator<Item = PossibleValue> {
    pages().into_iter().map(|page| PossibleValue::new(page.name))
}

pub(super) fn run(arguments: &Arguments, format: Option<Format>) -> Verdict {
    let pages = pages();
    let as_json = |page: &Page| json!({ "name": page.name, "chapter": page.chapter, "text": page.text });
    if let Some(wanted) = &arguments.reason {
        for page in pages.iter().filter(|page| page.name.eq_ignore_ascii_case(wanted)) {
            match format {
                Some(Format::Json) => line(&as_json(page).to_string()),
                _ => line(&format!("{BOLD}{}{BOLD:#}\n\n{}", page.name, page.text)),
            }
        }
        return Verdict::Well;
    }
    if format == Some(Format::Json) {
        line(&json!({ "pages": pages.iter().map(as_json).collect::<Vec<_>>() }).to_string());
        return Verdict::Well;
    }
    let mut chapter = "";
    for page in &pages {
        if page.chapter != chapter {
            text(if chapter.is_empty() { "" } else { "\n" });
            chapter = page.chapter;
            line(&format!("{BOLD}{chapter}{BOLD:#}"));
        }
        let first: Vec<&str> = sentence(page.text).split_whitespace().collect();
        line(&format!("  {:<26}{DIM}{}{DIM:#}", page.name, first.join(" ")));
    }
    Verdict::Well
}
