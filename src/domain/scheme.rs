//! The schemes of identifiers: data in `registers/schemes.toml`, so that another register needs no code.

use std::str::FromStr;
use std::sync::LazyLock;

use serde::Deserialize;

/// Every scheme, in the order of the file.
static SCHEMES: LazyLock<Vec<Scheme>> = LazyLock::new(|| {
    // The file is part of the program, and a test reads it.
    parse(include_str!("../../registers/schemes.toml")).unwrap_or_else(|problem| unreachable!("{problem}"))
});

/// One scheme of identifiers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scheme {
    /// As identifiers name it, such as `gb-coh`.
    pub id: String,
    /// What its values are, such as `company number`.
    pub title: String,
    /// Who issues them.
    pub authority: String,
    /// Where its rules come from, and what of them is our reading.
    pub source: String,
    accepts: String,
    /// Whether a number that is too short gets zeros in front.
    #[serde(default)]
    pub zeros: bool,
    #[serde(default)]
    patterns: Vec<Pattern>,
    /// A check that no pattern can say.
    pub rule: Option<Rule>,
    /// Values in their normal form.
    pub examples: Vec<String>,
}

/// A check that no pattern can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// The check digits of ISO/IEC 7064, MOD 97-10.
    #[serde(rename = "mod-97-10")]
    Mod97,
    /// A domain name in its ASCII form.
    Domain,
}

impl Scheme {
    /// The scheme of this id.
    pub fn of(id: &str) -> Option<&'static Self> {
        SCHEMES.iter().find(|scheme| scheme.id == id)
    }

    /// Every scheme.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        SCHEMES.iter()
    }

    /// What a value looks like, in words.
    pub fn accepts(&self) -> String {
        let mut prefixes: Vec<&str> = self.patterns.iter().map(Pattern::prefix).filter(|p| !p.is_empty()).collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        self.accepts.replace("{prefixes}", &prefixes.join(", "))
    }

    /// Whether a value in upper case and without spaces looks like one of the scheme.
    pub(super) fn fits(&self, value: &str) -> bool {
        self.patterns.is_empty() || self.patterns.iter().any(|pattern| fits(&pattern.parts, value.as_bytes()))
    }

    /// The value with the zeros that its register leaves out.
    pub(super) fn with_zeros(&self, value: String) -> String {
        if !self.zeros {
            return value;
        }
        let padded = self.patterns.iter().find_map(|pattern| pattern.with_zeros(&value));
        padded.unwrap_or(value)
    }
}

/// What values look like: see the head of `registers/schemes.toml`.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Pattern {
    prefix: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    kind: Kind,
    least: usize,
    most: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Digit,
    NotZero,
    Letter,
    Either,
    Itself(u8),
}

impl Kind {
    fn accepts(self, byte: u8) -> bool {
        match self {
            Self::Digit => byte.is_ascii_digit(),
            Self::NotZero => byte.is_ascii_digit() && byte != b'0',
            Self::Letter => byte.is_ascii_uppercase(),
            Self::Either => byte.is_ascii_digit() || byte.is_ascii_uppercase(),
            Self::Itself(own) => byte == own,
        }
    }
}

impl Pattern {
    /// The characters that every value begins with.
    fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The value with zeros after the prefix; none unless it is the prefix and too few digits.
    fn with_zeros(&self, value: &str) -> Option<String> {
        let Some(Part { kind: Kind::Digit, most, .. }) = self.parts.get(self.prefix.len()) else { return None };
        let digits = value.strip_prefix(&self.prefix)?;
        let only = self.parts.len() == self.prefix.len() + 1;
        let short = only && (1..=*most).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        short.then(|| format!("{}{digits:0>most$}", self.prefix))
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mut parts: Vec<Part> = Vec::new();
        let mut rest = text.as_str();
        while let Some(letter) = rest.bytes().next() {
            rest = rest.get(1..).ok_or_else(|| format!("pattern `{text}`: is not ASCII"))?;
            let kind = match letter {
                b'd' => Kind::Digit,
                b'p' => Kind::NotZero,
                b'a' => Kind::Letter,
                b'x' => Kind::Either,
                b'-' | b'0'..=b'9' | b'A'..=b'Z' => Kind::Itself(letter),
                _ => return Err(format!("pattern `{text}`: what is `{}`?", char::from(letter))),
            };
            let (mut least, mut most) = (1, 1);
            if let Some(counted) = rest.strip_prefix('{') {
                let (count, after) =
                    counted.split_once('}').ok_or_else(|| format!("pattern `{text}`: lacks a `}}`"))?;
                let (from, to) = count.split_once('-').unwrap_or((count, count));
                let number = |n: &str| usize::from_str(n).map_err(|_| format!("pattern `{text}`: how many is `{n}`?"));
                (least, most, rest) = (number(from)?, number(to)?, after);
            }
            parts.push(Part { kind, least, most });
        }
        let literal = |part: &Part| match *part {
            Part { kind: Kind::Itself(byte), least: 1, most: 1 } => Some(char::from(byte)),
            _ => None,
        };
        Ok(Self { prefix: parts.iter().map_while(literal).collect(), parts })
    }
}

/// Whether the parts, each as often as it may be, make up the text.
fn fits(parts: &[Part], text: &[u8]) -> bool {
    let Some((part, rest)) = parts.split_first() else { return text.is_empty() };
    let run = text.iter().take(part.most).take_while(|byte| part.kind.accepts(**byte)).count();
    (part.least..=run).any(|taken| text.get(taken..).is_some_and(|after| fits(rest, after)))
}

fn parse(text: &str) -> Result<Vec<Scheme>, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Table {
        scheme: Vec<Scheme>,
    }
    toml::from_str(text).map(|table: Table| table.scheme).map_err(|e| format!("registers/schemes.toml: {e}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::Identifier;

    #[test]
    fn the_table_of_schemes_is_whole() {
        let ids: BTreeSet<&str> = Scheme::all().map(|scheme| scheme.id.as_str()).collect();
        assert_eq!(ids.len(), Scheme::all().count(), "a scheme is there twice");
        for scheme in Scheme::all() {
            let id = &scheme.id;
            assert!(id.len() <= 32 && id.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{id}");
            assert!(!scheme.patterns.is_empty() || scheme.rule.is_some(), "{id} accepts anything");
            assert!(!scheme.title.is_empty() && !scheme.authority.is_empty() && !scheme.source.is_empty(), "{id}");
            // Errors that name it must stay short enough to be read.
            assert!(scheme.title.len() + scheme.accepts().len() < 360, "{id}: {}", scheme.accepts());
            assert!(!scheme.accepts().contains('{'), "{id}");
            assert!(!scheme.examples.is_empty(), "{id} has no example");
            for example in &scheme.examples {
                let parsed = Identifier::parse(id, example);
                assert_eq!(parsed.map(|parsed| parsed.value().to_owned()).as_deref(), Ok(example.as_str()), "{id}");
            }
        }
    }

    #[test]
    fn a_pattern_says_what_fits_it() {
        let accepts = |pattern: &str, value: &str| {
            let pattern = Pattern::try_from(pattern.to_owned()).unwrap();
            fits(&pattern.parts, value.as_bytes())
        };
        assert!(accepts("Zx{7-8}", "ZA123456") && accepts("Zx{7-8}", "Z12345678"));
        assert!(!accepts("Zx{7-8}", "Z123456") && !accepts("Zx{7-8}", "Z123456789") && !accepts("Zx{7-8}", "AZ123456"));
        // A run may have to leave something for what follows.
        assert!(accepts("x{1-3}d", "12") && accepts("x{1-3}d", "AB34") && !accepts("x{1-3}d", "ABCD"));
        assert!(accepts("pd{0-2}", "7") && !accepts("pd{0-2}", "07") && !accepts("pd{0-2}", ""));
        assert!(accepts("aa-1", "AB-1") && !accepts("aa-1", "ab-1") && !accepts("aa-1", "AB-2"));
        for wrong in ["c", "d{", "d{many}", "d{1-}", "é"] {
            assert!(Pattern::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
        assert!(parse("[[scheme]]\nid = \"x\"\ncolour = \"red\"").unwrap_err().contains("colour"));
    }
}
