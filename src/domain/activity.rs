//! What a clause speaks of.

use serde::{Deserialize, Serialize};

/// What a clause speaks of, and what an ask would have done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activity {
    /// Giving information.
    #[default]
    Disclose,
    /// Letting another agency see that an incident is held, and at whom, without giving anything of it.
    ConfirmExistence,
    /// Naming an organisation in a request.
    NameInRequest,
    /// Sharing statistics.
    ShareStatistics,
    /// Sharing systemic themes.
    ShareThemes,
}

impl Activity {
    /// As agreements write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disclose => "disclose",
            Self::ConfirmExistence => "confirm-existence",
            Self::NameInRequest => "name-in-request",
            Self::ShareStatistics => "share-statistics",
            Self::ShareThemes => "share-themes",
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
    pub(super) fn is_disclose(&self) -> bool {
        *self == Self::Disclose
    }
}
