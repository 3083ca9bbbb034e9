//! What a message is for.

use serde::{Deserialize, Serialize};

/// What a message is for. It decides the lane, and what becomes of a message whose answer never came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Intent {
    /// A one-time code: first lane; sent again while it is valid, for a late code is worth nothing and a second one does no harm.
    Otp,
    /// An answer to what the person did: second lane; sent again, because a lost one is worse than a second one.
    #[default]
    Transactional,
    /// Advertising: last lane; never sent again when it may have left, for nobody wants it twice.
    Marketing,
}

impl Intent {
    /// All, in the order of their lanes.
    pub const ALL: [Self; 3] = [Self::Otp, Self::Transactional, Self::Marketing];

    /// The name that the API and the database hold.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Otp => "otp",
            Self::Transactional => "transactional",
            Self::Marketing => "marketing",
        }
    }

    /// The intent of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|intent| intent.as_str() == name)
    }

    /// The lane, 0 first.
    pub const fn lane(self) -> usize {
        self as usize
    }

    /// Whether a message that may have left already is sent again.
    pub const fn resends(self) -> bool {
        !matches!(self, Self::Marketing)
    }
}
