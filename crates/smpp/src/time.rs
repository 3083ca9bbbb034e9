//! Absolute and relative times (SMPP v5 §4.7.23): 16 characters `YYMMDDhhmmsstnnp`.

use crate::COctetString;
use std::fmt;

/// A point in time, or a span from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SmppTime {
    /// A point in time.
    Absolute {
        /// Milliseconds since 1970-01-01T00:00:00Z; the wire knows tenths of a second and the years 2000 to 2099.
        unix_ms: i64,
    },
    /// A span from now; each part is 0 to 99.
    Relative {
        /// Calendar years.
        years: u8,
        /// Calendar months.
        months: u8,
        /// Days of 24 hours.
        days: u8,
        /// Hours.
        hours: u8,
        /// Minutes.
        minutes: u8,
        /// Seconds.
        seconds: u8,
    },
}

/// What is wrong with a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeError {
    /// Not 16 characters.
    Length,
    /// A character that is no digit, or a last one that is none of `+`, `-` and `R`.
    Character,
    /// A month, day, hour, minute, second or quarter of an hour that does not exist; or a part above 99.
    Range,
    /// A year outside 2000 to 2099.
    Year,
}

impl fmt::Display for TimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => "a time has 16 characters, YYMMDDhhmmsstnnp",
            Self::Character => "a time is 15 digits and one of +, - and R",
            Self::Range => "no such month, day, hour, minute, second or offset",
            Self::Year => "a time lies in the years 2000 to 2099",
        })
    }
}

impl std::error::Error for TimeError {}

const SECOND_MS: i64 = 1000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
const QUARTER_MS: i64 = 15 * MINUTE_MS;

impl SmppTime {
    /// Reads the 16 characters, without NUL. The empty string is no time: it means now, or the default.
    ///
    /// # Errors
    /// What makes it no time. In a relative time the tenths and the offset must be 0; its other parts may be any two
    /// digits, since 48 hours or 90 seconds are clear.
    pub fn parse(text: &[u8]) -> Result<Self, TimeError> {
        let text: &[u8; 16] = text.try_into().map_err(|_| TimeError::Length)?;
        if !text[..15].iter().all(u8::is_ascii_digit) {
            return Err(TimeError::Character);
        }
        let two = |at: usize| (text[at] - b'0') * 10 + (text[at + 1] - b'0');
        let [years, months, days, hours, minutes, seconds] =
            [two(0), two(2), two(4), two(6), two(8), two(10)];
        let (tenths, quarters) = (i64::from(text[12] - b'0'), i64::from(two(13)));
        let offset_ms = match text[15] {
            b'+' => quarters * QUARTER_MS,
            b'-' => -quarters * QUARTER_MS,
            b'R' if tenths == 0 && quarters == 0 => {
                return Ok(Self::Relative { years, months, days, hours, minutes, seconds });
            }
            b'R' => return Err(TimeError::Range),
            _ => return Err(TimeError::Character),
        };
        let year = 2000 + i64::from(years);
        let exists = (1..=12).contains(&months)
            && (1..=days_in_month(year, months)).contains(&days)
            && hours < 24
            && minutes < 60
            && seconds < 60
            && quarters <= 48;
        if !exists {
            return Err(TimeError::Range);
        }
        let local_ms = days_since_epoch(year, months, days) * DAY_MS
            + i64::from(hours) * HOUR_MS
            + i64::from(minutes) * MINUTE_MS
            + i64::from(seconds) * SECOND_MS
            + tenths * 100;
        Ok(Self::Absolute { unix_ms: local_ms - offset_ms })
    }

    /// The 16 characters; an absolute time in UTC.
    ///
    /// # Errors
    /// A year outside 2000 to 2099, or a part of a span above 99.
    pub fn format(self) -> Result<COctetString, TimeError> {
        match self {
            Self::Absolute { unix_ms } => format_absolute(unix_ms, 0),
            Self::Relative { years, months, days, hours, minutes, seconds } => {
                let parts = [years, months, days, hours, minutes, seconds];
                if parts.iter().any(|&part| part > 99) {
                    return Err(TimeError::Range);
                }
                Ok(characters(parts, 0, 0, b'R'))
            }
        }
    }

    /// The point in time that is meant, in milliseconds since 1970, where `now_unix_ms` is now.
    ///
    /// Years and months are added on the calendar in UTC, and a day the month does not have becomes its last: one month
    /// after 31 January is 28 or 29 February.
    #[must_use]
    pub fn resolve(self, now_unix_ms: i64) -> i64 {
        match self {
            Self::Absolute { unix_ms } => unix_ms,
            Self::Relative { years, months, days, hours, minutes, seconds } => {
                let (year, month, day) = civil_date(now_unix_ms.div_euclid(DAY_MS));
                let month_index =
                    year * 12 + i64::from(month - 1) + i64::from(years) * 12 + i64::from(months);
                let (year, month) = (month_index.div_euclid(12), month_index.rem_euclid(12) as u8 + 1);
                let date = days_since_epoch(year, month, day.min(days_in_month(year, month)));
                let span = i64::from(days) * DAY_MS
                    + i64::from(hours) * HOUR_MS
                    + i64::from(minutes) * MINUTE_MS
                    + i64::from(seconds) * SECOND_MS;
                date.saturating_mul(DAY_MS)
                    .saturating_add(now_unix_ms.rem_euclid(DAY_MS))
                    .saturating_add(span)
            }
        }
    }
}

/// An absolute time as the clock of a zone shows it, `quarters` of an hour ahead of UTC (-48 to 48). Cut to tenths of a
/// second.
///
/// # Errors
/// An offset beyond 12 hours, or a local year outside 2000 to 2099.
pub fn format_absolute(unix_ms: i64, quarters: i8) -> Result<COctetString, TimeError> {
    if quarters.unsigned_abs() > 48 {
        return Err(TimeError::Range);
    }
    let local_ms = unix_ms.checked_add(i64::from(quarters) * QUARTER_MS).ok_or(TimeError::Year)?;
    let (year, month, day) = civil_date(local_ms.div_euclid(DAY_MS));
    if !(2000..=2099).contains(&year) {
        return Err(TimeError::Year);
    }
    let in_day = local_ms.rem_euclid(DAY_MS);
    let parts = [
        (year - 2000) as u8,
        month,
        day,
        (in_day / HOUR_MS) as u8,
        (in_day / MINUTE_MS % 60) as u8,
        (in_day / SECOND_MS % 60) as u8,
    ];
    let sign = if quarters < 0 { b'-' } else { b'+' };
    Ok(characters(parts, (in_day / 100 % 10) as u8, quarters.unsigned_abs(), sign))
}

fn characters(parts: [u8; 6], tenths: u8, quarters: u8, last: u8) -> COctetString {
    let mut text = [0; 16];
    let mut two = |at: usize, value: u8| {
        text[at] = b'0' + value / 10;
        text[at + 1] = b'0' + value % 10;
    };
    for (index, part) in parts.into_iter().enumerate() {
        two(index * 2, part);
    }
    two(13, quarters);
    text[12] = b'0' + tenths;
    text[15] = last;
    COctetString::new(&text)
}

fn days_in_month(year: i64, month: u8) -> u8 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar. Counting from March puts the leap day at the year's end,
/// and 400 years always have 146097 days.
fn days_since_epoch(year: i64, month: u8, day: u8) -> i64 {
    let (month, day) = (i64::from(month), i64::from(day));
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - DAYS_FROM_MARCH_0000
}

/// Days from 0000-03-01 to 1970-01-01.
const DAYS_FROM_MARCH_0000: i64 = 719_468;

/// Year, month and day of a number of days since 1970-01-01: the inverse of [`days_since_epoch`].
fn civil_date(days: i64) -> (i64, u8, u8) {
    let days = days + DAYS_FROM_MARCH_0000;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * shifted + 2) / 5 + 1) as u8;
    let month = (if shifted < 10 { shifted + 3 } else { shifted - 9 }) as u8;
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn relative(years: u8, months: u8, days: u8) -> SmppTime {
        SmppTime::Relative { years, months, days, hours: 0, minutes: 0, seconds: 0 }
    }

    fn at(text: &str) -> i64 {
        SmppTime::parse(text.as_bytes()).expect("a time").resolve(0)
    }

    #[test]
    fn every_day_there_and_back() {
        let mut expected = (1970, 1, 1);
        for days in 0..=80_000 {
            assert_eq!(civil_date(days), expected, "day {days}");
            assert_eq!(days_since_epoch(expected.0, expected.1, expected.2), days);
            expected = match expected {
                (year, 12, 31) => (year + 1, 1, 1),
                (year, month, day) if day == days_in_month(year, month) => (year, month + 1, 1),
                (year, month, day) => (year, month, day + 1),
            };
        }
        assert_eq!(civil_date(-1), (1969, 12, 31));
        assert_eq!(civil_date(-719_468), (0, 3, 1));
    }

    #[test]
    fn months_and_years_follow_the_calendar() {
        for (now, span, then) in [
            ("250131120000000+", relative(0, 1, 0), "250228120000000+"),
            ("240131120000000+", relative(0, 1, 0), "240229120000000+"),
            ("240229000000000+", relative(1, 0, 0), "250228000000000+"),
            ("241231235959900+", relative(0, 2, 0), "250228235959900+"),
            ("240115000000000+", relative(1, 12, 0), "260115000000000+"),
            ("250501000000000+", relative(0, 1, 1), "250602000000000+"),
        ] {
            assert_eq!(span.resolve(at(now)), at(then), "{now} + {span:?}");
        }
    }

    #[test]
    fn refuses_what_is_no_time() {
        for (text, error) in [
            ("", TimeError::Length),
            ("020610233429000RX", TimeError::Length),
            ("2025-01-01T00:00", TimeError::Character),
            ("250101000000000Z", TimeError::Character),
            ("250001000000000+", TimeError::Range),
            ("251301000000000+", TimeError::Range),
            ("250229000000000+", TimeError::Range),
            ("250100000000000+", TimeError::Range),
            ("250101240000000+", TimeError::Range),
            ("250101006000000+", TimeError::Range),
            ("250101000060000+", TimeError::Range),
            ("250101000000049+", TimeError::Range),
            ("000000010000004R", TimeError::Range),
        ] {
            assert_eq!(SmppTime::parse(text.as_bytes()), Err(error), "{text}");
        }
        assert_eq!(SmppTime::Absolute { unix_ms: 946_684_799_999 }.format(), Err(TimeError::Year));
        assert_eq!(SmppTime::Absolute { unix_ms: 4_102_444_800_000 }.format(), Err(TimeError::Year));
        assert_eq!(format_absolute(i64::MAX, 48), Err(TimeError::Year));
        assert_eq!(relative(100, 0, 0).format(), Err(TimeError::Range));
    }

    #[test]
    fn the_ends_of_time_do_not_overflow() {
        for now in [i64::MIN, i64::MAX] {
            let then = relative(99, 99, 99).resolve(now);
            assert!(then >= now, "{then}");
        }
    }
}
