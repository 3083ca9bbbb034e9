//! Instants.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An instant: milliseconds since 1970-01-01T00:00Z. JSON shows RFC 3339 in UTC with milliseconds; databases hold the number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The latest instant that every zone can write as RFC 3339: in the last days of the year 9999.
    pub const MAX: Self = Self(253_402_207_200_000);

    /// An instant from milliseconds since 1970.
    pub const fn from_unix_ms(ms: i64) -> Self {
        Self(ms)
    }

    /// Milliseconds since 1970.
    pub const fn unix_ms(self) -> i64 {
        self.0
    }

    /// This instant moved by milliseconds, held within what can be written.
    pub const fn plus_ms(self, ms: i64) -> Self {
        let moved = self.0.saturating_add(ms);
        Self(if moved > Self::MAX.0 { Self::MAX.0 } else { moved })
    }

    /// Milliseconds from an earlier instant to this one; negative when it is later.
    pub const fn since_ms(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }

    /// Reads RFC 3339, with any offset.
    ///
    /// # Errors
    /// The parser's own words when the text is no instant.
    pub fn parse(text: &str) -> Result<Self, String> {
        let instant: jiff::Timestamp = text.parse().map_err(|error: jiff::Error| error.to_string())?;
        Ok(Self(instant.as_millisecond()))
    }

    /// For people, to the minute: `2027-01-31 09:30 UTC`.
    pub fn to_minute(self) -> String {
        self.instant().strftime("%Y-%m-%d %H:%M UTC").to_string()
    }

    fn instant(self) -> jiff::Timestamp {
        // Out of jiff's range only for a number no clock of ours makes; 1970 is then as wrong as any.
        jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }
}

/// Whether the IANA time zone database knows the name, such as `Africa/Casablanca`. A machine without that database
/// knows none, and then every name is taken: it is shown, never guessed at.
pub fn zone_exists(name: &str) -> bool {
    let database = jiff::tz::db();
    database.is_definitively_empty() || database.get(name).is_ok()
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.instant())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(|why| {
            serde::de::Error::custom(format!("{text:?} is not a time like 2027-01-31T09:30:00Z: {why}"))
        })
    }
}

impl utoipa::ToSchema for Timestamp {}
impl utoipa::PartialSchema for Timestamp {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .format(Some(utoipa::openapi::SchemaFormat::KnownFormat(utoipa::openapi::KnownFormat::DateTime)))
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_as_rfc_3339_and_read_with_any_offset() {
        let at = Timestamp::parse("2027-01-31T10:30:00.250+01:00").unwrap();
        assert_eq!(at.to_string(), "2027-01-31T09:30:00.250Z");
        assert_eq!(Timestamp::parse(&at.to_string()).unwrap(), at);
        assert_eq!(at.to_minute(), "2027-01-31 09:30 UTC");
        assert!(Timestamp::parse("2027-02-30T00:00:00Z").is_err());
        assert_eq!(Timestamp::MAX.plus_ms(5), Timestamp::MAX);
        assert_eq!(Timestamp::MAX.to_string(), "9999-12-30T22:00:00.000Z");
    }
}
