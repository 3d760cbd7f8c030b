//! Which statistics are published, as data, and where an incident stands in them.
//!
//! `statistics/menu.toml` says it all: to add a dimension, a value or a table is to add lines there. Reading an incident
//! never fails: whatever the menu does not provide for is "other" or "not known". `statistics/anonymised.toml` says how a
//! single record is told by the same dimensions.

mod file;
mod source;
mod steps;

use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};

use crate::domain::{AnonymisedRecord, Quarter};
use crate::proto::DESCRIPTORS;
use crate::statistics::{Coordinates, Dimension, Menu, Table};

use file::{DimensionTerms, File};
use source::Source;

pub use steps::{Period, Step, Steps};

/// The menu that is part of the program.
pub static MENU: LazyLock<Catalogue> = LazyLock::new(|| {
    // Two literals of this crate; a test reads them.
    Catalogue::read(include_str!("../statistics/menu.toml"), include_str!("../statistics/anonymised.toml"))
        .unwrap_or_else(|problem| unreachable!("{problem}"))
});

/// The values that every dimension has first, so that those of the file can be added to.
const NOT_KNOWN: (&str, &str) = ("not-known", "Not known");
const OTHER: (&str, &str) = ("other", "Other");

/// What readers are shown of a dimension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Axis {
    /// Its name.
    pub id: String,
    /// What stands above it.
    pub title: String,
    /// The id and the title of each value, in the order of their places.
    pub values: Vec<(String, String)>,
}

/// The tables, and how an incident's values are found.
#[derive(Debug)]
pub struct Catalogue {
    menu: Menu,
    axes: Vec<Axis>,
    sources: Vec<Source>,
    steps: Steps,
    content: MessageDescriptor,
}

impl Catalogue {
    /// Reads a menu and the steps of anonymised records. Whatever could go wrong later is an error here, which says what
    /// to put right.
    pub fn read(text: &str, steps: &str) -> Result<Self, String> {
        let File { dimensions, tables } = toml::from_str(text).map_err(|e| format!("menu.toml: {e}"))?;
        let pool = DescriptorPool::decode(DESCRIPTORS).map_err(|e| e.to_string())?;
        let content = pool.get_message_by_name("concordat.v1.IncidentContent");
        let content = content.ok_or("the contract has no IncidentContent")?;
        let mut sources = Vec::new();
        for dimension in &dimensions {
            let wrong = |problem| format!("menu.toml: dimension `{}`: {problem}", dimension.id);
            sources.push(Source::new(dimension, &content).map_err(wrong)?);
        }
        let axes: Vec<Axis> = dimensions.iter().map(axis).collect();
        let place = |table: &str, id: &String| {
            let found = axes.iter().position(|axis| axis.id == *id);
            found.ok_or_else(|| format!("menu.toml: table `{table}` counts over `{id}`, which is no dimension"))
        };
        let tables = tables.into_iter().map(|table| {
            let over = table.over.iter().map(|id| place(&table.id, id)).collect::<Result<_, _>>()?;
            Ok(Table { id: table.id, title: table.title, over })
        });
        let tables = tables.collect::<Result<Vec<_>, String>>()?;
        let dimension = |axis: &Axis| Dimension {
            id: axis.id.clone(),
            values: axis.values.iter().map(|(id, _)| id.clone()).collect(),
        };
        let menu = Menu::new(axes.iter().map(dimension).collect(), tables).map_err(|e| format!("menu.toml: {e}"))?;
        let steps = Steps::read(steps, &axes)?;
        Ok(Self { menu, axes, sources, steps, content })
    }

    /// The tables.
    pub fn menu(&self) -> &Menu {
        &self.menu
    }

    /// What readers are shown of the dimensions, in the menu's order.
    pub fn axes(&self) -> &[Axis] {
        &self.axes
    }

    /// How anonymised records are made coarser.
    pub fn steps(&self) -> &Steps {
        &self.steps
    }

    /// The record of an incident of this quarter with this encoded `IncidentContent` before it is made coarser.
    ///
    /// Total: what is not known, or cannot be read, is withheld.
    pub fn anonymised(&self, content: &[u8], quarter: Quarter) -> AnonymisedRecord {
        let nothing = || AnonymisedRecord { period: quarter.to_string(), values: Vec::new() };
        let finest = self.steps.all().first();
        finest.map_or_else(nothing, |step| self.steps.record(step, self.coordinates(content), quarter))
    }

    /// The values of an incident with this encoded `IncidentContent`.
    ///
    /// Total: content that cannot be read has no known value.
    pub fn coordinates(&self, content: &[u8]) -> Coordinates {
        let mut coordinates = Coordinates::default();
        if let Ok(content) = DynamicMessage::decode(self.content.clone(), content) {
            for (place, source) in coordinates.iter_mut().zip(&self.sources) {
                *place = source.value(&content);
            }
        }
        coordinates
    }
}

fn axis(dimension: &DimensionTerms) -> Axis {
    let always = [Some(NOT_KNOWN), dimension.from.has_other().then_some(OTHER)];
    let always = always.into_iter().flatten().map(|(id, title)| (id.to_owned(), title.to_owned()));
    let own = dimension.values.iter().map(|value| (value.id.clone(), value.title.clone()));
    Axis { id: dimension.id.clone(), title: dimension.title.clone(), values: always.chain(own).collect() }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::proto::v1;

    /// The ids of the values that the bundled menu finds.
    fn values(content: &v1::IncidentContent) -> Vec<String> {
        let coordinates = MENU.coordinates(&content.encode_to_vec());
        let pair = MENU.axes().iter().zip(coordinates);
        pair.map(|(axis, place)| axis.values[usize::from(place)].0.clone()).collect()
    }

    fn sector(scheme: &str, code: &str, region: &str) -> v1::IncidentContent {
        let (scheme, code, region) = (scheme.to_owned(), code.to_owned(), region.to_owned());
        let sector = v1::Sector { scheme, code, region, ..v1::Sector::default() };
        v1::IncidentContent { sector: Some(sector), ..v1::IncidentContent::default() }
    }

    #[test]
    fn an_incident_of_which_nothing_is_known_stands_at_not_known_everywhere() {
        assert_eq!(values(&v1::IncidentContent::default()), ["not-known"; 7]);
        assert_eq!(MENU.coordinates(b"\xff\xff"), Coordinates::default());
    }

    #[test]
    fn codes_count_by_their_longest_beginning_and_others_as_other() {
        assert_eq!(values(&sector("naics", "541110", "GB-SCT"))[..1], ["legal"]);
        assert_eq!(values(&sector("naics", "541519", "TLI32"))[0], "professional");
        assert_eq!(values(&sector("NAICS", "622110", ""))[0], "health");
        assert_eq!(values(&sector("isic", "62", "FR-IDF"))[0], "other");
        assert_eq!(values(&sector("naics", "62", "GB-SCT"))[4], "scotland");
        assert_eq!(values(&sector("naics", "62", "FR-IDF"))[4], "other");
    }

    #[test]
    fn the_first_value_that_lists_a_text_counts() {
        let cause = |actions: &[&str], varieties: &[&str]| {
            let all = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
            let root_cause =
                v1::RootCause { actions: all(actions), varieties: all(varieties), ..v1::RootCause::default() };
            v1::IncidentContent { root_cause: Some(root_cause), ..v1::IncidentContent::default() }
        };
        assert_eq!(values(&cause(&["hacking", "malware"], &["Ransomware"]))[1], "ransomware");
        assert_eq!(values(&cause(&["social"], &["Phishing"]))[1], "phishing");
        assert_eq!(values(&cause(&["error"], &[]))[1], "error");
        assert_eq!(values(&cause(&["divination"], &[]))[1], "other");
    }

    #[test]
    fn numbers_and_hours_count_by_bands() {
        let people = |people_affected| {
            let impact = v1::Impact { people_affected, ..v1::Impact::default() };
            v1::IncidentContent { impact: Some(impact), ..v1::IncidentContent::default() }
        };
        for (count, band) in [(0, "none"), (1, "1-9"), (9, "1-9"), (10, "10-99"), (i64::MAX, "100000-up")] {
            assert_eq!(values(&people(Some(count)))[2], band);
        }
        assert_eq!(values(&people(None))[2], "not-known");
        let hours = |hours: i64| {
            let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
            let timeline = v1::Timeline { aware_at: at(0), reported_at: at(hours * 3_600), ..v1::Timeline::default() };
            v1::IncidentContent { timeline: Some(timeline), ..v1::IncidentContent::default() }
        };
        for (count, band) in
            [(0, "under-24h"), (23, "under-24h"), (24, "24h-72h"), (72, "72h-week"), (168, "over-week")]
        {
            assert_eq!(values(&hours(count))[3], band);
        }
        assert_eq!(values(&hours(-1))[3], "not-known", "reported before anybody was aware");
    }

    #[test]
    fn a_menu_that_names_what_is_not_there_is_turned_away() {
        let bundled = include_str!("../statistics/menu.toml");
        for (there, not_there) in [
            ("sector.code", "sector.colour"),
            ("impact.people_affected", "impact.rating"),
            ("timeline.aware_at", "timeline.discovery"),
            ("over = [\"region\"]", "over = [\"regions\"]"),
            ("at_least = 168", "at_least = 71"),
        ] {
            assert!(bundled.contains(there), "{there}");
            let steps = include_str!("../statistics/anonymised.toml");
            assert!(Catalogue::read(&bundled.replace(there, not_there), steps).is_err(), "{not_there}");
        }
    }
}
