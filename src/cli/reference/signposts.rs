//! The part of docs/reference.md about whom a victim may turn to, the clocks of the law and help on offer.

use std::fmt::Write as _;

use concordat::domain::UkTime;
use concordat::signpost::{CATALOGUE, Dated, Fact, Validity, When};

use super::cell;

pub(super) fn signposts(page: &mut String) -> anyhow::Result<()> {
    page.push_str(
        "\n## Signposts\n\nWhom a victim may turn to, in which situation, in this order; from the files in `signposts`. \
         Dates are days in the United Kingdom. How they are used is in [signposting.md](signposting.md).\n\n",
    );
    page.push_str("| Stated as | Values |\n| --- | --- |\n");
    let facts = CATALOGUE.facts();
    for (field, values) in [("nation", &facts.nations), ("sector", &facts.sectors), ("facts", &facts.others)] {
        let values: Vec<String> = values.iter().map(|Fact { id, title }| format!("`{id}`: {title}.")).collect();
        writeln!(page, "| `{field}` | {} |", cell(&values.join(" ")))?;
    }
    page.push_str(
        "\n| Signpost | Contact | Where | Why | In force | Source |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    for one in CATALOGUE.signposts() {
        let (place, time, why, source) = (place(&one.when), time(one.validity()), cell(&one.why), cell(&one.source));
        writeln!(page, "| `{}` | `{}` | {place} | {why} | {time} | {source} |", one.id, one.contact)?;
    }
    page.push_str("\n| Contact | Name | How | In force | Source |\n| --- | --- | --- | --- | --- |\n");
    for contact in CATALOGUE.contacts() {
        for version in &contact.versions {
            let ways: Vec<String> = version.means.iter().map(|way| format!("{}: {}", way.kind, way.value)).collect();
            let (name, ways, source) = (cell(&version.name), cell(&ways.join("; ")), cell(&version.source));
            writeln!(page, "| `{}` | {name} | {ways} | {} | {source} |", contact.id, time(version.validity()))?;
        }
    }
    page.push_str(
        "\n## Clocks\n\nWithin which time which law asks for a notification. Whether it applies, the organisation and its \
         regulator judge.\n\n| Regime | About | Whom it asks | Hours | To tell | In force | Law |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for regime in CATALOGUE.regimes() {
        for version in &regime.versions {
            let told: Vec<String> = version.addressees.iter().map(|id| format!("`{id}`")).collect();
            let (title, who, told) = (cell(&regime.title), cell(&regime.who), told.join(", "));
            let (hours, time, source) = (version.hours, time(version.validity()), cell(&version.source));
            writeln!(page, "| `{}` | {title} | {who} | {hours} | {told} | {time} | {source} |", regime.id)?;
        }
    }
    page.push_str(
        "\n## Help\n\nWhat each agency has on offer for victims.\n\n\
         | Help | Agency | | On offer | Source |\n| --- | --- | --- | --- | --- |\n",
    );
    for help in CATALOGUE.help() {
        for version in &help.versions {
            let text = cell(&format!("{}. {}", version.title, version.text));
            let (time, source) = (time(version.validity()), cell(&version.source));
            writeln!(page, "| `{}` | `{}` | {text} | {time} | {source} |", help.id, help.agency)?;
        }
    }
    Ok(())
}

fn place(when: &When) -> String {
    let ids = |of: &[String], between| of.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(between);
    let parts = [ids(&when.nations, " or "), ids(&when.sectors, " or "), ids(&when.facts, " and ")];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    if parts.is_empty() { "always".to_owned() } else { parts.join("; ") }
}

fn time(validity: Validity) -> String {
    let day = |at| UkTime(at).to_string().split('T').next().map(str::to_owned).unwrap_or_default();
    match validity.until {
        None => format!("from {}", day(validity.from)),
        Some(until) => format!("from {} until {}", day(validity.from), day(until)),
    }
}
