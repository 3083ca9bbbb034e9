//! What a message is for.

use serde::{Deserialize, Serialize};

/// What a message is for. It decides the lane that the message waits in, whether it is sent again when nobody knows
/// whether it has left, and which routes take it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Intent {
    /// A one-time password or code: worthless after a minute, and harmful twice.
    Otp,
    /// What somebody waits for: a confirmation, an alert, a reminder.
    Transactional,
    /// What nobody waits for: an offer, a newsletter.
    Marketing,
}

impl Intent {
    /// All of them, the most urgent first.
    pub const ALL: [Self; 3] = [Self::Otp, Self::Transactional, Self::Marketing];

    /// The name that programs see: `otp`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Otp => "otp",
            Self::Transactional => "transactional",
            Self::Marketing => "marketing",
        }
    }

    /// What people call it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Otp => "One-time code",
            Self::Transactional => "Transactional",
            Self::Marketing => "Marketing",
        }
    }

    /// The intent of this name, if there is one.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == name)
    }
}
