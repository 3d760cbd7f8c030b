//! Markings: three independent limits. Where several meet, the most restrictive wins.

use serde::{Deserialize, Serialize};

use super::Invalid;

macro_rules! marking {
    ($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$level_doc:meta])* $level:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name { $($(#[$level_doc])* $level,)+ }

        impl $name {
            /// The marking as written in the contract.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$level => $text,)+ }
            }

            /// Reads a marking.
            pub fn parse(text: &str) -> Result<Self, Invalid> {
                match text {
                    $($text => Ok(Self::$level),)+
                    _ => Err(Invalid::new("", concat!("is not ", $what, ": one of" $(, " `", $text, "`")+))),
                }
            }

            /// From least to most restrictive, as Cedar compares it.
            pub fn rank(self) -> i64 {
                self as i64
            }
        }
    };
}

marking! {
    /// Traffic Light Protocol 2.0 (FIRST): the source's limit on passing on.
    Tlp, "a TLP label" {
        /// No limit.
        Clear = "clear",
        /// The community.
        Green = "green",
        /// The recipient's organisation and its clients.
        Amber = "amber",
        /// The recipient's organisation only.
        AmberStrict = "amber+strict",
        /// The named recipients only.
        Red = "red",
    }
}

marking! {
    /// Permissible Actions Protocol: what a recipient may do with indicators.
    Pap, "a PAP label" {
        /// No limit.
        Clear = "clear",
        /// Active use that others can notice.
        Green = "green",
        /// Passive checks only.
        Amber = "amber",
        /// Nothing that can be noticed outside.
        Red = "red",
    }
}

marking! {
    /// Government Security Classifications (Cabinet Office), as far as this service carries them.
    Classification, "a classification that this service carries" {
        /// OFFICIAL.
        Official = "official",
        /// OFFICIAL with the -SENSITIVE marking; not a tier of its own.
        OfficialSensitive = "official-sensitive",
    }
}

/// The markings of one incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Markings {
    /// Passing on.
    pub tlp: Tlp,
    /// Acting on.
    pub pap: Pap,
    /// Classification.
    pub classification: Classification,
}

impl Default for Markings {
    fn default() -> Self {
        Self { tlp: Tlp::Amber, pap: Pap::Amber, classification: Classification::OfficialSensitive }
    }
}

impl Markings {
    /// Reads the three markings; an empty one takes its default. `white` is TLP 1.0 for `clear`.
    ///
    /// SECRET and above is an error of its own: this node must not even store it.
    pub fn parse(tlp: &str, pap: &str, classification: &str) -> Result<Self, Invalid> {
        let unmarked = Self::default();
        let tlp = match tlp {
            "" => unmarked.tlp,
            "white" => Tlp::Clear,
            text => Tlp::parse(text).map_err(|e| e.within("tlp"))?,
        };
        let pap = if pap.is_empty() { unmarked.pap } else { Pap::parse(pap).map_err(|e| e.within("pap"))? };
        let classification = match classification {
            "" => unmarked.classification,
            "secret" | "top-secret" => {
                let problem = "is above OFFICIAL: this service does not carry it; nothing was stored";
                return Err(Invalid::new("classification", problem));
            }
            text => Classification::parse(text).map_err(|e| e.within("classification"))?,
        };
        Ok(Self { tlp, pap, classification })
    }

    /// The most restrictive of each.
    #[must_use]
    pub fn combined(self, other: Self) -> Self {
        Self {
            tlp: self.tlp.max(other.tlp),
            pap: self.pap.max(other.pap),
            classification: self.classification.max(other.classification),
        }
    }
}
