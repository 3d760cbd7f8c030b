//! Whether words name an organisation: by a name or an identifier that the register holds of it, however it is written.
//!
//! Strict on purpose: an ordinary word that is also an organisation's name is a mention, and the officer takes another
//! word. What names it without being in the register, such as a nickname, only a reader can tell.

use super::organisation::{folded_name, spelt};
use super::{Identifier, Profile};

/// From how many letters and digits on a name or an identifier is looked for inside other words, too.
const UNMISTAKABLE: usize = 8;
/// Below this many letters a name is as likely a word: then it is a mention in capitals, or with its legal form.
const SHORT_NAME: usize = 4;

/// Words, read for mentions once.
pub(super) struct Words<'a> {
    written: &'a str,
    /// In lower case, single spaces between them and around them.
    spaced: String,
    /// The same where a full stop parts words, as in an address.
    parted: String,
    /// The same without spaces.
    squeezed: String,
}

impl<'a> Words<'a> {
    pub(super) fn new(written: &'a str) -> Self {
        let (spaced, parted) = (spelt(written), spelt(&parted(written)));
        let squeezed = spaced.replace(' ', "");
        Self { written, squeezed, spaced: format!(" {spaced} "), parted: format!(" {parted} ") }
    }

    /// Whether one of the organisation's names or identifiers is in them.
    pub(super) fn name(&self, profile: &Profile) -> bool {
        profile.names().any(|(_, name)| self.have_name(name))
            || profile.identifiers.iter().any(|identifier| self.have_identifier(identifier))
    }

    fn have_word(&self, word: &str) -> bool {
        // A name with an ending, as in "Example Water's".
        let forms = [format!(" {word} "), format!(" {word}s ")];
        forms.iter().any(|form| self.spaced.contains(form) || self.parted.contains(form))
    }

    fn have_name(&self, name: &str) -> bool {
        let (whole, folded) = (spelt(name), folded_name(name));
        if folded.is_empty() {
            // Nothing but signs: as it is written.
            return self.written.contains(name.trim());
        }
        if folded.chars().count() < SHORT_NAME {
            let capitals = folded.to_uppercase();
            let mut written = self.written.split(|c: char| !c.is_alphanumeric());
            return written.any(|word| word == capitals) || (whole != folded && self.have_word(&whole));
        }
        self.have_word(&folded) || self.have_inside(&folded.replace(' ', ""))
    }

    fn have_identifier(&self, identifier: &Identifier) -> bool {
        let value: String = identifier.value().to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect();
        let in_parts = spelt(&parted(identifier.value()));
        let is_number = value.chars().all(|c| c.is_ascii_digit());
        // Registers and people leave zeros out.
        let short = value.trim_start_matches('0');
        let short = Some(short).filter(|short| is_number && short.len() >= SHORT_NAME);
        self.have_word(&in_parts)
            || [Some(value.as_str()), short]
                .into_iter()
                .flatten()
                .any(|form| self.have_word(form) || self.have_inside(form))
    }

    fn have_inside(&self, squeezed: &str) -> bool {
        squeezed.chars().count() >= UNMISTAKABLE && self.squeezed.contains(squeezed)
    }
}

fn parted(written: &str) -> String {
    written.replace('.', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{DatedName, Span};

    fn profile(name: &str, identifiers: &[(&str, &str)]) -> Profile {
        let identifier = |(scheme, value): &(&str, &str)| Identifier::parse(scheme, value).unwrap();
        Profile {
            name: name.to_owned(),
            identifiers: identifiers.iter().map(identifier).collect(),
            trading_names: vec![DatedName { name: "Blue Tap".to_owned(), span: Span::default() }],
            ..Profile::default()
        }
    }

    #[test]
    fn a_name_is_found_however_it_is_written() {
        let water = profile("Example Water plc", &[]);
        for words in [
            "Example Water was hit",
            "at EXAMPLE  WATER, first",
            "Example-Water Ltd",
            "Example Water\u{2019}s supplier",
            "Example\nWater",
            "see ExampleWater",
            "mail from examplewater.example",
            "known as Blue Tap",
        ] {
            assert!(Words::new(words).name(&water), "{words}");
        }
        for words in ["", "an example of water companies", "water, for example", "blue taps and pipes were not hit"] {
            assert_eq!(Words::new(words).name(&water), words.contains("blue taps"), "{words}");
        }
    }

    #[test]
    fn a_short_name_is_a_mention_in_capitals_or_with_its_form() {
        let short = profile("IT Ltd", &[]);
        assert!(Words::new("IT was hit").name(&short) && Words::new("at it ltd").name(&short));
        assert!(!Words::new("it was hit").name(&short));
    }

    #[test]
    fn a_name_or_an_address_is_found_beside_a_full_stop() {
        let shop = profile("Tesco PLC", &[("domain", "bt.com")]);
        for words in ["customers of tesco.com", "It ended.Tesco then rang", "seen at www.bt.com", "bt.com, too"] {
            assert!(Words::new(words).name(&shop), "{words}");
        }
        assert!(!Words::new("a bt line, or com ports").name(&shop));
    }

    #[test]
    fn an_identifier_is_found_however_it_is_written() {
        let known = profile("Example", &[("gb-coh", "01234567"), ("gb-ods", "RX1"), ("domain", "tap.example.org")]);
        for words in ["company 01234567", "no. 1234567", "01 23 45 67", "trust rx1", "phish@tap.example.org"] {
            assert!(Words::new(words).name(&known), "{words}");
        }
        assert!(!Words::new("12345 people, prx12, a tap in an organisation").name(&known));
    }
}
