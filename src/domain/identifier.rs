//! Registered identifiers. Only an exact pair of scheme and normalised value ever matches.

use serde::{Deserialize, Serialize};

use super::scheme::{Rule, Scheme};
use super::{Invalid, check};

/// An identifier in its normalised form. Printing one would name an organisation, so it has no `Debug`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Identifier {
    scheme: String,
    value: String,
}

impl Identifier {
    /// Normalises a value by the rules of its scheme, and turns it away where it cannot be one of that scheme.
    ///
    /// What a register itself treats as one is one: letters in either case, the spaces that group a number, the zeros
    /// in front of a company number, the final dot of a domain. Anything else that differs is another identifier or
    /// none at all, so that two organisations never become one.
    pub fn parse(scheme: &str, value: &str) -> Result<Self, Invalid> {
        check(!scheme.is_empty(), "scheme", "is required")?;
        let known = Scheme::of(scheme).ok_or_else(|| {
            let all: Vec<&str> = Scheme::all().map(|scheme| scheme.id.as_str()).collect();
            Invalid::new("scheme", format!("is not a scheme of identifiers: one of {}", all.join(", ")))
        })?;
        let value = value.trim_matches(' ');
        check(!value.is_empty(), "value", "is required")?;
        check(value.len() <= 300, "value", "must have at most 300 characters")?;
        let value = match known.rule {
            Some(Rule::Domain) => domain(value, known)?,
            rule => {
                let plain = value.chars().all(|c| c.is_ascii_graphic() || c == ' ');
                check(plain, "value", "must be plain ASCII: type full-width or accented characters as plain ones")?;
                let value = value.replace(' ', "").to_ascii_uppercase();
                let value = known.with_zeros(value);
                let checked = rule != Some(Rule::Mod97) || check_digits_fit(&value);
                check(known.fits(&value) && checked, "value", problem(known))?;
                value
            }
        };
        Ok(Self { scheme: scheme.to_owned(), value })
    }

    /// The scheme.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// The normalised value.
    pub fn value(&self) -> &str {
        &self.value
    }
}

fn problem(scheme: &Scheme) -> String {
    format!("is not a {}: {}", scheme.title, scheme.accepts())
}

/// ISO/IEC 7064, MOD 97-10: letters count from 10 on, and the whole number leaves 1.
fn check_digits_fit(value: &str) -> bool {
    let digits = value.chars().filter_map(|c| c.to_digit(36));
    digits.fold(0, |sum, digit| (sum * if digit < 10 { 10 } else { 100 } + digit) % 97) == 1
}

/// A domain name in lower case and without its final dot.
///
/// Every label counts: `www.example.org` is another name than `example.org`, and who runs the one need not run the
/// other.
fn domain(value: &str, scheme: &Scheme) -> Result<String, Invalid> {
    let ascii =
        "must be in its ASCII form: write an internationalised name as punycode, such as `xn--bcher-kva.example`";
    check(value.is_ascii(), "value", ascii)?;
    let alone = !value.contains(['/', ':', '@', '?', '#', '\\']);
    check(alone, "value", "must be the domain name alone, without `https://`, port, path or mailbox")?;
    let lower = value.to_ascii_lowercase();
    let name = lower.strip_suffix('.').unwrap_or(&lower);
    let labels: Vec<&str> = name.split('.').collect();
    let right = labels.len() >= 2
        && name.len() <= 253
        && labels.iter().all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })
        // The last label of a name is never a number: that would be an address.
        && labels.last().is_some_and(|last| !last.bytes().all(|byte| byte.is_ascii_digit()));
    check(right, "value", problem(scheme))?;
    Ok(name.to_owned())
}

super::invalid::unprinted!(Identifier);

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of each value, in the scheme.
    fn assert_normal(scheme: &str, table: &[(&str, &str)]) {
        for (value, normal) in table {
            let parsed = Identifier::parse(scheme, value).map(|parsed| parsed.value().to_owned());
            assert_eq!(parsed.as_deref(), Ok(*normal), "{scheme} `{value}`");
        }
    }

    /// None of these is one of the scheme; each answer names the field and says what would be.
    fn assert_turned_away(scheme: &str, remedy: &str, values: &[&str]) {
        for value in values {
            let Err(problem) = Identifier::parse(scheme, value) else { panic!("{scheme} `{value}` was accepted") };
            assert_eq!(problem.field, "value");
            assert!(problem.problem.contains(remedy), "{scheme} `{value}`: {}", problem.problem);
        }
    }

    #[test]
    fn company_numbers() {
        assert_normal(
            "gb-coh",
            &[
                ("1", "00000001"),
                ("12345", "00012345"),
                ("00012345", "00012345"),
                ("12 345 678", "12345678"),
                (" sc 123456 ", "SC123456"),
                ("SC1234", "SC001234"),
                ("ni12345", "NI012345"),
                ("NI12345A", "NI12345A"),
                ("oc301234", "OC301234"),
                ("SO301234", "SO301234"),
                ("NC001234", "NC001234"),
                ("FC012345", "FC012345"),
                ("SF001234", "SF001234"),
                ("NF001234", "NF001234"),
                ("GE000123", "GE000123"),
                ("R0000123", "R0000123"),
                ("IP12345R", "IP12345R"),
                ("SP2278RS", "SP2278RS"),
                ("RS007591", "RS007591"),
            ],
        );
        assert_turned_away(
            "gb-coh",
            "SC",
            &[
                "123456789",
                "0012345678",
                "S1234567",
                "XX123456",
                "QQ12",
                "SC",
                "SC1234567",
                "SC12345A",
                "12345678A",
                "SC-123456",
                "123.456",
                "1e3",
                "-1",
                "+1",
                "R1234567",
                "IP1234",
                "SC12 34 56 78",
                "O0123456",
            ],
        );
        assert_turned_away(
            "gb-coh",
            "plain ASCII",
            &["１２３４５６７８", "SС123456", "12345\u{a0}678", "12\t34", "12\n34"],
        );
    }

    #[test]
    fn company_numbers_of_two_companies_stay_two() {
        let parse = |value| Identifier::parse("gb-coh", value).unwrap();
        for (one, other) in
            [("123456", "SC123456"), ("SC123456", "SO123456"), ("1234", "12340000"), ("R0000123", "123")]
        {
            assert!(parse(one) != parse(other), "{one} and {other}");
        }
        // The same text in two schemes is two identifiers.
        assert!(parse("SC012345") != Identifier::parse("gb-sc", "SC012345").unwrap());
    }

    #[test]
    fn registration_numbers_of_the_ico() {
        assert_normal("gb-ico", &[("z5347709", "Z5347709"), ("ZA 123456", "ZA123456"), ("ZB123456", "ZB123456")]);
        assert_turned_away("gb-ico", "ZA123456", &["5347709", "Z123456", "Z123456789", "ZA-12345", "A1234567"]);
    }

    #[test]
    fn codes_of_the_nhs() {
        assert_normal("gb-ods", &[("rx1", "RX1"), ("RX1 RA", "RX1RA"), ("Y00001", "Y00001"), ("0001", "0001")]);
        assert_turned_away("gb-ods", "3 to 10", &["R1", "ABCDEFGHIJK", "RX-1", "RX1/A"]);
        assert!(Identifier::parse("gb-ods", "001").unwrap() != Identifier::parse("gb-ods", "0001").unwrap());
    }

    #[test]
    fn legal_entity_identifiers_need_their_check_digits() {
        assert_normal(
            "lei",
            &[("529900T8BM49AURSDO55", "529900T8BM49AURSDO55"), ("5299 00t8 bm49 aurs do55", "529900T8BM49AURSDO55")],
        );
        assert_turned_away(
            "lei",
            "check digits",
            &["529900T8BM49AURSDO56", "529900T8BM49AURSDO5", "529900T8BM49AURSOD55", "529900T8BM49AURSDO5A"],
        );
    }

    #[test]
    fn charity_numbers() {
        assert_normal("gb-chc", &[("202918", "202918"), ("1 123 456", "1123456"), ("1123456-1", "1123456-1")]);
        assert_turned_away(
            "gb-chc",
            "6 or 7 digits",
            &["12345", "12345678", "0202918", "1123456-0", "1123456-01", "1123456-", "1123456--1", "SC012345"],
        );
        let parse = |value| Identifier::parse("gb-chc", value).unwrap();
        assert!(parse("1123456-1") != parse("1123456-2") && parse("1123456-1") != parse("1123456"));

        assert_normal("gb-sc", &[("sc012345", "SC012345")]);
        assert_turned_away("gb-sc", "SC012345", &["12345", "SC12345", "SC0123456", "NIC100123"]);
        assert_normal("gb-nic", &[("nic 100123", "NIC100123")]);
        assert_turned_away("gb-nic", "NIC100123", &["100123", "NI100123", "NIC1001234"]);
    }

    #[test]
    fn domains() {
        assert_normal(
            "domain",
            &[
                ("Example.ORG.", "example.org"),
                (" www.example.org ", "www.example.org"),
                ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
                ("3com.example", "3com.example"),
            ],
        );
        assert_turned_away(
            "domain",
            "punycode",
            &["bücher.example", "ｅxample.org", "example。org", "example.org\u{a0}"],
        );
        assert_turned_away(
            "domain",
            "the domain name alone",
            &["https://example.org", "example.org/path", "example.org:443", "info@example.org", "example.org?x"],
        );
        assert_turned_away(
            "domain",
            "such as `example.org`",
            &[
                "localhost",
                "example.org..",
                ".example.org",
                "a..example",
                "-a.example",
                "a-.example",
                "192.0.2.1",
                "*.example.org",
                "_dmarc.example.org",
                "a.example b.example",
                "exa mple.org",
            ],
        );
        let long = format!("{}.example", ["a"; 126].join("."));
        assert_turned_away("domain", "such as", &[&long, &format!("{}.example", "a".repeat(64))]);
    }

    #[test]
    fn a_scheme_that_is_not_in_the_table_is_turned_away() {
        for scheme in ["name", "GB-COH", "gb-coh ", "vat"] {
            let Err(problem) = Identifier::parse(scheme, "12345678") else { panic!("{scheme} was accepted") };
            assert_eq!(problem.field, "scheme");
            assert!(problem.problem.contains("gb-coh") && problem.problem.contains("domain"), "{}", problem.problem);
        }
        assert_eq!(Identifier::parse("", "1").map_err(|problem| problem.problem).err().as_deref(), Some("is required"));
        assert!(Identifier::parse("gb-coh", "   ").is_err() && Identifier::parse("gb-coh", "").is_err());
    }
}
