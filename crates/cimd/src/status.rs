//! What has become of a message: parameter 061 (CIMD2 3-0 §5.2).

/// The number of a status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StatusCode(pub u16);

impl StatusCode {
    /// 1, in process.
    pub const IN_PROCESS: Self = Self(1);
    /// 2, validity period expired.
    pub const EXPIRED: Self = Self(2);
    /// 3, delivery failed.
    pub const FAILED: Self = Self(3);
    /// 4, delivery successful.
    pub const DELIVERED: Self = Self(4);
    /// 5, no response.
    pub const NO_RESPONSE: Self = Self(5);
    /// 6, last no response.
    pub const LAST_NO_RESPONSE: Self = Self(6);
    /// 7, message cancelled.
    pub const CANCELLED: Self = Self(7);
    /// 8, message deleted.
    pub const DELETED: Self = Self(8);
    /// 9, message deleted by cancel.
    pub const DELETED_BY_CANCEL: Self = Self(9);

    /// Whether nothing will change it any more. A code that is not known may not be the last word.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(
            self,
            Self::EXPIRED
                | Self::FAILED
                | Self::DELIVERED
                | Self::LAST_NO_RESPONSE
                | Self::CANCELLED
                | Self::DELETED
                | Self::DELETED_BY_CANCEL
        )
    }
}
