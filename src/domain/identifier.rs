//! Registered identifiers. Only an exact pair of scheme and normalised value ever matches.

use serde::{Deserialize, Serialize};

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
    /// Schemes without rules of their own are compared as upper-case text without spaces.
    pub fn parse(scheme: &str, value: &str) -> Result<Self, Invalid> {
        check(!scheme.is_empty(), "scheme", "is required")?;
        let named =
            scheme.len() <= 32 && scheme.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        check(named, "scheme", "is not a scheme: 1 to 32 of a-z, 0-9 and `-`, such as `gb-coh`")?;
        check(!value.trim().is_empty(), "value", "is required")?;
        check(value.len() <= 100, "value", "must have at most 100 characters")?;
        let compact: String = value.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_uppercase();
        check(
            compact.is_ascii() && !compact.chars().any(|c| c.is_ascii_control()),
            "value",
            "must be printable ASCII",
        )?;
        let value = match scheme {
            "gb-coh" => company_number(&compact)?,
            "lei" => legal_entity_identifier(&compact)?,
            "domain" => domain(&compact)?,
            _ => compact,
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

/// Companies House: eight characters, two letters or digits and then digits; a plain number is padded with zeros.
fn company_number(value: &str) -> Result<String, Invalid> {
    let digits = value.chars().all(|c| c.is_ascii_digit());
    let padded = if digits { format!("{value:0>8}") } else { value.to_owned() };
    let (prefix, rest) = padded.split_at_checked(2).unwrap_or(("", ""));
    let right = padded.len() == 8
        && (prefix.chars().all(|c| c.is_ascii_digit()) || prefix.chars().all(|c| c.is_ascii_uppercase()))
        && rest.chars().all(|c| c.is_ascii_digit());
    check(right, "value", "is not a company number: 8 digits, or 2 letters and 6 digits")?;
    Ok(padded)
}

/// ISO 17442: 18 letters or digits and two check digits (ISO 7064, MOD 97-10).
fn legal_entity_identifier(value: &str) -> Result<String, Invalid> {
    let form = value.len() == 20 && value.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
    check(form, "value", "is not an LEI: 20 letters and digits")?;
    let remainder = value
        .chars()
        .filter_map(|c| c.to_digit(36))
        .fold(0, |sum, digit| if digit < 10 { (sum * 10 + digit) % 97 } else { (sum * 100 + digit) % 97 });
    check(remainder == 1, "value", "is not an LEI: its check digits are wrong")?;
    Ok(value.to_owned())
}

fn domain(value: &str) -> Result<String, Invalid> {
    let lower = value.to_lowercase();
    let name = lower.trim_end_matches('.');
    let labels: Vec<&str> = name.split('.').collect();
    let right = labels.len() >= 2
        && labels.iter().all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        });
    check(right, "value", "is not a domain name, such as `example.org`")?;
    Ok(name.to_owned())
}

super::invalid::unprinted!(Identifier);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn company_numbers_are_padded_and_prefixes_kept() {
        let parse = |value| Identifier::parse("gb-coh", value).map(|id| id.value().to_owned()).map_err(|e| e.field);
        assert_eq!(parse("12345"), Ok("00012345".to_owned()));
        assert_eq!(parse(" sc 123456 "), Ok("SC123456".to_owned()));
        assert_eq!(parse("S1234567"), Err("value".to_owned()));
        assert_eq!(parse("123456789"), Err("value".to_owned()));
    }

    #[test]
    fn an_lei_needs_its_check_digits() {
        assert!(Identifier::parse("lei", "529900T8BM49AURSDO55").is_ok());
        assert!(Identifier::parse("lei", "529900T8BM49AURSDO56").is_err());
    }

    #[test]
    fn domains_fold_case_and_the_final_dot() {
        let parse = |value| Identifier::parse("domain", value).map(|id| id.value().to_owned()).map_err(|e| e.problem);
        assert_eq!(parse("Example.ORG."), parse("example.org"));
        assert!(parse("localhost").is_err());
    }
}
