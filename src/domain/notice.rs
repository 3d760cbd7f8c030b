//! What an agency is told about what it was given, and what it says that it did.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::{AgencyId, Disclosure, Instant, Invalid, NoticeId, Rejected, check};

/// What a notice asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeKind {
    /// Use it no further. Why is never said.
    StopFurtherUse,
    /// It was amended: ask for it again.
    Correction,
    /// It should not have been given: give it back, delete it, or say why it must be kept.
    Recall,
}

impl NoticeKind {
    const ALL: [Self; 3] = [Self::StopFurtherUse, Self::Correction, Self::Recall];

    /// As stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StopFurtherUse => "stop-further-use",
            Self::Correction => "correction",
            Self::Recall => "recall",
        }
    }

    /// Reads a stored kind.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// What a recipient may say that it did.
    pub fn outcomes(self) -> &'static [&'static str] {
        match self {
            Self::StopFurtherUse => &["stopped", "returned", "deleted", "kept"],
            Self::Correction => &["corrected", "returned", "deleted", "kept"],
            Self::Recall => &["returned", "deleted", "kept"],
        }
    }
}

/// Within how many days each kind of notice should be acknowledged, as an agreement states it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the unit, as in the texts of agreements")]
pub struct NoticeDays {
    stop_further_use_days: i64,
    correction_days: i64,
    recall_days: i64,
}

impl Default for NoticeDays {
    fn default() -> Self {
        Self { stop_further_use_days: 14, correction_days: 14, recall_days: 7 }
    }
}

impl NoticeDays {
    /// Each is from 1 to 365.
    pub fn check(&self) -> Result<(), String> {
        let wrong = NoticeKind::ALL.into_iter().find(|kind| !(1..=365).contains(&self.of(*kind)));
        wrong.map_or(Ok(()), |kind| Err(format!("`{}` must be 1 to 365 days", kind.as_str())))
    }

    /// For one kind.
    pub fn of(&self, kind: NoticeKind) -> i64 {
        match kind {
            NoticeKind::StopFurtherUse => self.stop_further_use_days,
            NoticeKind::Correction => self.correction_days,
            NoticeKind::Recall => self.recall_days,
        }
    }
}

/// One notice about one disclosure.
#[derive(Debug, Clone)]
pub struct Notice {
    /// Its id.
    pub id: NoticeId,
    /// What it asks for.
    pub kind: NoticeKind,
    /// Why it was issued: for the holder alone.
    pub cause: String,
    /// What it is about. The recipient may know when it was, and of a release its entry and reference.
    pub about: Disclosure,
    /// The recipient has no system here: the holder's officers send it, and write down what comes of it.
    pub by_hand: bool,
    /// When it was issued.
    pub issued_at: Instant,
    /// When it should be acknowledged.
    pub due_at: Instant,
    /// Its entry; the entry of what caused it where it is sent by hand.
    pub index: u64,
    /// What the last acknowledgement said.
    pub outcome: Option<String>,
    /// What the recipient said, the first time first; empty where that was not read.
    pub acknowledged: Vec<Acknowledgement>,
}

impl Notice {
    /// Whether it should have been acknowledged by now.
    pub fn is_overdue(&self, at: Instant) -> bool {
        self.outcome.is_none() && self.due_at <= at
    }

    /// Whether its recipient says that it has the copy no more.
    pub fn is_gone(&self) -> bool {
        matches!(self.outcome.as_deref(), Some("returned" | "deleted"))
    }

    /// Who acknowledges it: the recipient, or the holder's own officers where they sent it by hand.
    pub fn answers_for(&self) -> &AgencyId {
        if self.by_hand { &self.about.holder } else { &self.about.recipient }
    }
}

/// What a recipient said that it did, one version.
#[derive(Debug, Clone)]
pub struct Acknowledgement {
    /// From 1.
    pub version: i64,
    /// When.
    pub at: Instant,
    /// What.
    pub said: Said,
}

/// What a recipient says.
#[derive(Clone, PartialEq, Eq)]
pub struct Said {
    /// One of the kind's outcomes.
    pub outcome: String,
    /// Why it was kept.
    pub reason: String,
    /// The agencies to which the recipient had passed copies.
    pub passed_on: BTreeSet<AgencyId>,
}

impl Said {
    /// Checks it against what the notice asks for.
    pub fn check(&self, kind: NoticeKind) -> Result<(), Rejected> {
        let all = kind.outcomes();
        let problem = || format!("must be one of {} for a notice of the kind `{}`", all.join(", "), kind.as_str());
        check(all.contains(&self.outcome.as_str()), "outcome", problem())?;
        if self.outcome == "kept" && self.reason.trim().is_empty() {
            return Err(Invalid::new("reason", "is required where something is kept: say why").into());
        }
        Ok(())
    }
}

super::invalid::unprinted!(Said);
