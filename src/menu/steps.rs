//! How an anonymised record is made coarser, as data: `statistics/anonymised.toml`.

use serde::Deserialize;

use super::{Axis, NOT_KNOWN, OTHER};
use crate::domain::{AnonymisedRecord, AnonymisedValue, Category, Quarter};
use crate::proto::ANONYMISED;
use crate::statistics::{Coordinates, Look};

/// Over what a step counts, and what a record that it lets out says of its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Period {
    /// A quarter.
    Quarter,
    /// A calendar year.
    Year,
}

impl Period {
    /// The one in which an incident of this quarter lies.
    pub fn of(self, quarter: Quarter) -> String {
        match self {
            Self::Quarter => quarter.to_string(),
            Self::Year => format!("{:04}", quarter.year()),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    step: Vec<StepTerms>,
    wider: Vec<WiderTerms>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StepTerms {
    period: Period,
    keep: Vec<String>,
    wider: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WiderTerms {
    dimension: String,
    value: Vec<WiderValue>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WiderValue {
    id: String,
    title: String,
    of: Vec<String>,
}

/// What a step makes of one dimension: for each place of a value the place that a record shows, none if withheld.
type Shown = Vec<u8>;

/// One step.
#[derive(Debug)]
pub struct Step {
    /// Over what it counts.
    pub period: Period,
    /// By dimension: the places, and the id and title of what each place shown stands for.
    dimensions: Vec<(Shown, Vec<(String, String)>)>,
}

/// Every step, in the order in which they are tried.
#[derive(Debug)]
pub struct Steps {
    steps: Vec<Step>,
    /// The id and the category of each dimension of the menu.
    dimensions: Vec<(String, Category)>,
}

impl Step {
    /// What an incident with these values would look like. What is not known is not said.
    pub fn look(&self, coordinates: Coordinates) -> Look {
        let mut look = Look::default();
        for ((seen, place), (shown, _)) in look.iter_mut().zip(coordinates).zip(&self.dimensions) {
            *seen = shown.get(usize::from(place)).copied().unwrap_or_default();
        }
        look
    }
}

impl Steps {
    /// Reads the steps of a menu with these axes. Whatever could go wrong later is an error here.
    pub(super) fn read(text: &str, axes: &[Axis]) -> Result<Self, String> {
        let wrong = |problem: String| format!("anonymised.toml: {problem}");
        let File { step, wider } = toml::from_str(text).map_err(|e| wrong(e.to_string()))?;
        let dimensions = axes.iter().map(|axis| {
            let row = ANONYMISED.iter().find(|(.., dimension)| *dimension == axis.id);
            let (_, category, ..) =
                row.ok_or_else(|| wrong(format!("no field of the contract passes as `{}`", axis.id)))?;
            Ok((axis.id.clone(), Category::known(*category)))
        });
        let dimensions = dimensions.collect::<Result<_, String>>()?;
        let steps = step.iter().map(|terms| {
            let named = |id: &String| !axes.iter().any(|axis| axis.id == *id);
            if let Some(id) = terms.keep.iter().chain(&terms.wider).find(|id| named(id)) {
                return Err(wrong(format!("`{id}` is no dimension of the menu")));
            }
            let of_axis = |axis: &Axis| match (terms.keep.contains(&axis.id), terms.wider.contains(&axis.id)) {
                (false, false) => Ok((Vec::new(), Vec::new())),
                (true, false) => Ok(as_it_is(axis)),
                (false, true) => {
                    let found = wider.iter().find(|wider| wider.dimension == axis.id);
                    found
                        .ok_or_else(|| format!("`{}` has no [[wider]]", axis.id))
                        .and_then(|wider| widened(axis, wider))
                }
                (true, true) => Err(format!("`{}` is kept and wider at one step", axis.id)),
            };
            let dimensions = axes.iter().map(of_axis).collect::<Result<_, _>>().map_err(wrong)?;
            Ok(Step { period: terms.period, dimensions })
        });
        Ok(Self { steps: steps.collect::<Result<_, _>>()?, dimensions })
    }

    /// The steps, in order.
    pub fn all(&self) -> &[Step] {
        &self.steps
    }

    /// The record of an incident of this quarter at a step.
    pub fn record(&self, step: &Step, coordinates: Coordinates, quarter: Quarter) -> AnonymisedRecord {
        let seen = step.look(coordinates).into_iter().zip(&step.dimensions).zip(&self.dimensions);
        let values = seen.filter_map(|((place, (_, names)), (dimension, category))| {
            let (value, title) = names.get(usize::from(place).checked_sub(1)?)?.clone();
            Some(AnonymisedValue { category: category.clone(), dimension: dimension.clone(), value, title })
        });
        AnonymisedRecord { period: step.period.of(quarter), values: values.collect() }
    }
}

/// Every value as the menu has it, but that nothing is known.
fn as_it_is(axis: &Axis) -> (Shown, Vec<(String, String)>) {
    let places = (0..=u8::MAX).take(axis.values.len());
    (places.collect(), axis.values.iter().skip(1).cloned().collect())
}

/// Every value as a wider one; what none has is withheld.
fn widened(axis: &Axis, wider: &WiderTerms) -> Result<(Shown, Vec<(String, String)>), String> {
    let mut of = wider.value.iter().flat_map(|value| &value.of);
    if let Some(id) = of.find(|id| !axis.values.iter().any(|(value, _)| value == *id)) {
        return Err(format!("`{}` has no value `{id}`", axis.id));
    }
    let place_of = |(value, _): &(String, String)| {
        let mut holding = wider.value.iter().enumerate().filter(|(_, wider)| wider.of.contains(value));
        match (holding.next(), holding.next()) {
            (Some((place, _)), None) => u8::try_from(place + 1).map_err(|_| format!("`{}` is too wide", axis.id)),
            (None, _) if [NOT_KNOWN.0, OTHER.0].contains(&value.as_str()) => Ok(0),
            _ => Err(format!("the value `{value}` of `{}` must be in exactly one wider value", axis.id)),
        }
    };
    let places = axis.values.iter().map(place_of).collect::<Result<_, _>>()?;
    Ok((places, wider.value.iter().map(|value| (value.id.clone(), value.title.clone())).collect()))
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::menu::MENU;
    use crate::proto::v1;

    fn said(record: &AnonymisedRecord) -> Vec<String> {
        let said = record.values.iter().map(|one| format!("{}={}", one.dimension, one.value));
        [vec![record.period.clone()], said.collect()].concat()
    }

    /// Everything that a holder could know, with a text in every field that has one.
    fn everything() -> v1::IncidentContent {
        let text = || "Example Water plc".to_owned();
        let timestamp = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        v1::IncidentContent {
            identity: Some(v1::Identity { name: text(), identifiers: vec![], countries: vec![text()] }),
            contact: Some(v1::Contact { name: text(), position: text(), email: text(), telephone: text() }),
            sector: Some(v1::Sector {
                code: "622110".into(),
                scheme: "naics".into(),
                employees: "101 to 1000".into(),
                region: "TLI".into(),
            }),
            timeline: Some(v1::Timeline {
                aware_at: timestamp(0),
                reported_at: timestamp(90_000),
                discovery: text(),
                ..v1::Timeline::default()
            }),
            root_cause: Some(v1::RootCause {
                actions: vec!["malware".into(), text()],
                varieties: vec![text(), "Ransomware".into()],
                vectors: vec![text()],
                vulnerabilities: vec![text()],
                actors: vec![text()],
            }),
            impact: Some(v1::Impact {
                people_affected: Some(1_234),
                data_kinds: vec![text()],
                disclosure: text(),
                availability: text(),
                integrity: vec![text()],
                rating: text(),
            }),
            ransom: Some(v1::Ransom { demanded: true, paid: text(), group: text(), ..v1::Ransom::default() }),
            narrative: Some(v1::Narrative { text: text() }),
            assessment: Some(v1::Assessment { ncsc_category: text(), confidence: text(), text: text() }),
            ..v1::IncidentContent::default()
        }
    }

    #[test]
    fn a_record_says_bands_and_nothing_else_and_less_at_each_step() {
        let (content, quarter) = (everything(), Quarter::parse("2026-Q3").unwrap());
        let steps = MENU.steps();
        let coordinates = MENU.coordinates(&content.encode_to_vec());
        let at = |step: usize| said(&steps.record(&steps.all()[step], coordinates, quarter));
        assert_eq!(
            at(0),
            [
                "2026-Q3",
                "sector=health",
                "type=ransomware",
                "people=1000-9999",
                "time-to-report=24h-72h",
                "region=london",
                "size=101-1000",
                "ransom=demanded",
            ]
        );
        assert_eq!(at(1), ["2026-Q3", "sector=health", "type=ransomware", "people=1000-up", "size=up-to-1000"]);
        assert_eq!(at(2), ["2026-Q3", "sector=health", "type=ransomware"]);
        assert_eq!(at(3), ["2026", "sector=health", "type=ransomware", "people=1000-up", "size=up-to-1000"]);
        assert_eq!(at(5), ["2026", "type=ransomware"]);
        assert_eq!(
            MENU.anonymised(&content.encode_to_vec(), quarter),
            steps.record(&steps.all()[0], coordinates, quarter)
        );
    }

    #[test]
    fn what_is_not_known_is_withheld_and_no_content_is_too_odd() {
        let quarter = Quarter::parse("2026-Q3").unwrap();
        for content in [Vec::new(), b"\xff\xff".to_vec(), vec![0x1a, 0x03, 0x0a, 0x01, 0x20]] {
            assert_eq!(said(&MENU.anonymised(&content, quarter)), ["2026-Q3"]);
        }
    }

    #[test]
    fn steps_that_name_what_is_not_there_are_turned_away() {
        let bundled = include_str!("../../statistics/anonymised.toml");
        Steps::read(bundled, MENU.axes()).unwrap();
        for (there, not_there) in [
            ("\"region\"", "\"colour\""),
            ("dimension = \"size\"", "dimension = \"region\""),
            ("\"10001-up\", ", ""),
            ("\"100000-up\"", "\"100000-down\""),
            ("\"1000-9999\"", "\"none\", \"1000-9999\""),
            ("keep = [\"type\"]", "keep = [\"type\", \"people\"]\nwide = []"),
        ] {
            assert!(bundled.contains(there), "{there}");
            assert!(Steps::read(&bundled.replace(there, not_there), MENU.axes()).is_err(), "{not_there}");
        }
    }
}
