use std::collections::BTreeSet;

use super::*;
use crate::domain::{AgencyId, Category, ConsentScope, Coverage, IncidentId, Purpose};

fn head(organisation: &str) -> Letterhead {
    Letterhead {
        holder: "National Cyber Security Centre".into(),
        organisation: organisation.into(),
        contact: "desk@ncsc.example".into(),
        at: Instant::on_date("2026-03-01").unwrap(),
        wording_digest: "00".repeat(32),
    }
}

fn form(organisation: &str, enforcement: bool) -> ConsentForm {
    let id = IncidentId::known("inc_one");
    let from = Instant::on_date("2026-03-01").unwrap();
    let scope = ConsentScope {
        recipient: AgencyId::known("ico"),
        purposes: ["harm-reduction", "unheard-of"].map(Purpose::known).into(),
        enforcement,
        categories: BTreeSet::from([Category::known("timeline")]),
        coverage: Coverage::Incident { id, revision: 1, covers_updates: false },
        onward: false,
        valid_from: from,
        valid_until: from.plus_days(365),
    };
    ConsentForm {
        head: head(organisation),
        scope: ShownScope { scope, recipient: "The ICO".into(), occurred: None, revised_at: Some(from) },
    }
}

fn wording() -> &'static Wording {
    Wording::at(Instant::on_date("2026-03-01").unwrap()).unwrap()
}

#[test]
fn a_form_says_what_is_asked_and_loads_nothing() {
    let (page, other) =
        (form("Example Water plc", false).page(wording()), form("Example Water plc", true).page(wording()));
    for said in [
        "Example Water plc",
        "The ICO (ico)",
        "to reduce the harm of cyber incidents (harm-reduction)",
        "<li>unheard-of</li>",
        "must not use it to take enforcement action",
        "when what happened (timeline)",
        "inc_one",
        "Only what is recorded up to revision 1 of 2026-03-01, 00:00 UTC.",
        "2027-03-01, 00:00 UTC",
        "How to withdraw",
        "desk@ncsc.example",
        "Wording: 1, SHA-256 0000",
    ] {
        assert!(page.contains(said), "{said}");
    }
    assert!(other.contains("may use it to take enforcement action") && !other.contains("must not use it"));
    for foreign in ["<script", "src=", "href=", "url(", "@import", "http://", "https://", "<img", "<link"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    assert_eq!(page, form("Example Water plc", false).page(wording()), "the same gives the same bytes");
}

#[test]
fn what_somebody_wrote_is_text_and_stays_in_its_order() {
    let page = form("<script>alert('1')</script> & \"{contact}\" \u{202e}plc", false).page(wording());
    assert!(page.contains("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp; &quot;{contact}&quot; \u{fffd}plc"));
    assert!(!page.contains("<script") && !page.contains('\u{202e}'));
}

#[test]
fn a_wording_that_is_not_whole_is_not_read() {
    let good = include_str!("../../papers/1.toml");
    assert!(Wording::read(good).is_ok());
    for (from, to, problem) in [
        ("version = \"1\"", "version = \"\"", "is empty"),
        ("valid_from = \"2026-01-01\"", "valid_from = \"soon\"", "is not a date"),
        ("valid_from = \"2026-01-01\"", "valid_from = \"2026-01-01\"\nvalid_until = \"2025-01-01\"", "must be later"),
        ("{recipient} may use it", "{agency} may use it", "{agency}"),
        ("no_onward =", "no_onwards =", "no_onward"),
        ("timeline = ", "timelines = ", "categories"),
        ("assessment = \"our own judgement of it\"", "", "categories"),
        ("title = \"What we disclosed about you\"\n", "", "title"),
    ] {
        assert!(good.contains(from), "{from}");
        let wrong = good.replacen(from, to, 1).leak();
        let said = Wording::read(wrong).err().unwrap_or_default();
        assert!(said.contains(problem), "`{to}`: {said}");
    }
    assert!(Wording::at(Instant::on_date("2025-12-31").unwrap()).is_none(), "before the first one holds");
}
