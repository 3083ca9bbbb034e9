//! When it is open: windows by weekday in a time zone, and the days on which it is not.
//!
//! Time-zone arithmetic is jiff's, which the workspace has already: it knows what to do with a local time that a change of
//! the clocks leaves out (it takes the same distance after the gap) or has twice (it takes the first).

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp as Instant, ToSpan};
use serde::{Deserialize, Serialize};
use types::{Error, Result, Timestamp};

/// A day of the week.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[schema(as = HoursDay)]
#[serde(rename_all = "snake_case")]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

impl Day {
    /// All, beginning with Monday (ISO 8601).
    pub const ALL: [Self; 7] = [Self::Mon, Self::Tue, Self::Wed, Self::Thu, Self::Fri, Self::Sat, Self::Sun];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mon => "Monday",
            Self::Tue => "Tuesday",
            Self::Wed => "Wednesday",
            Self::Thu => "Thursday",
            Self::Fri => "Friday",
            Self::Sat => "Saturday",
            Self::Sun => "Sunday",
        }
    }

    const fn of(weekday: Weekday) -> Self {
        match weekday {
            Weekday::Monday => Self::Mon,
            Weekday::Tuesday => Self::Tue,
            Weekday::Wednesday => Self::Wed,
            Weekday::Thursday => Self::Thu,
            Weekday::Friday => Self::Fri,
            Weekday::Saturday => Self::Sat,
            Weekday::Sunday => Self::Sun,
        }
    }
}

/// A stretch of a day. It ends on the next day where `to` is not after `from`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = HoursWindow)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// The days that it begins on.
    pub days: Vec<Day>,
    /// Its first minute, local time: `08:00`.
    #[schema(example = "08:00")]
    pub from: String,
    /// The minute that it ends before, local time: `20:00`, or `24:00` for the end of the day.
    #[schema(example = "20:00")]
    pub to: String,
}

/// Windows of a rule.
pub(crate) const WINDOWS_MAX: usize = 50;
/// Holidays of a rule.
pub(crate) const HOLIDAYS_MAX: usize = 500;
/// How many days ahead the next opening is looked for.
const LOOK_DAYS: i32 = 370;

/// How it stands at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// Open, at least until then.
    Open(Timestamp),
    /// Closed; it opens then.
    Closed(Timestamp),
    /// Closed, and it does not open within a year.
    Never,
}

/// Windows that can be asked.
#[derive(Debug, Clone)]
pub struct Week {
    zone: TimeZone,
    /// For each weekday, Monday first: where its windows begin and end, in minutes of the day; an end may be the next day's.
    days: [Vec<(u16, u16)>; 7],
    /// Days on which no window begins.
    holidays: Vec<Date>,
}

/// Minutes of a day.
const DAY_MINUTES: u16 = 1_440;

/// A time of the day in minutes: `08:30` is 510, `24:00` is 1,440.
fn minutes(field: &str, text: &str) -> Result<u16> {
    let refuse = || Error::invalid(field, format!("{text:?} is not a time of the day such as 08:30"));
    let (hours, minutes) = text.trim().split_once(':').ok_or_else(refuse)?;
    let plain = |part: &str| part.len() == 2 && part.bytes().all(|octet| octet.is_ascii_digit());
    if !plain(hours) || !plain(minutes) {
        return Err(refuse());
    }
    let (hours, minutes): (u16, u16) =
        (hours.parse().map_err(|_| refuse())?, minutes.parse().map_err(|_| refuse())?);
    let total = hours * 60 + minutes;
    if minutes > 59 || total > DAY_MINUTES { Err(refuse()) } else { Ok(total) }
}

/// The IANA zone of this name; UTC where this machine does not know it.
pub(crate) fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap_or(TimeZone::UTC)
}

impl Week {
    /// Windows and holidays (`2027-01-01`) in a zone.
    ///
    /// # Errors
    /// At `rule.windows` or `rule.holidays` for what cannot be read.
    pub fn new(zone: TimeZone, windows: &[Window], holidays: &[String]) -> Result<Self> {
        crate::settings::at_most("rule.windows", windows, WINDOWS_MAX)?;
        crate::settings::at_most("rule.holidays", holidays, HOLIDAYS_MAX)?;
        let mut days: [Vec<(u16, u16)>; 7] = Default::default();
        for window in windows {
            let from = minutes("rule.windows", &window.from)?;
            let to = minutes("rule.windows", &window.to)?;
            if from == DAY_MINUTES || window.days.is_empty() {
                return Err(Error::invalid("rule.windows", "a window begins on a day, before 24:00"));
            }
            let to = if to <= from { to + DAY_MINUTES } else { to };
            for day in &window.days {
                days[*day as usize].push((from, to));
            }
        }
        for day in &mut days {
            day.sort_unstable();
            day.dedup();
        }
        let mut holidays = holidays
            .iter()
            .map(|text| {
                let why =
                    || Error::invalid("rule.holidays", format!("{text:?} is not a day such as 2027-01-01"));
                text.trim().parse::<Date>().map_err(|_| why())
            })
            .collect::<Result<Vec<_>>>()?;
        holidays.sort_unstable();
        Ok(Self { zone, days, holidays })
    }

    /// How it stands at an instant. Without any window it is always open.
    pub fn at(&self, now: Timestamp) -> Opening {
        if self.days.iter().all(Vec::is_empty) {
            return Opening::Open(Timestamp::MAX);
        }
        let Ok(instant) = Instant::from_millisecond(now.unix_ms()) else { return Opening::Never };
        let today = instant.to_zoned(self.zone.clone()).date();
        let mut next: Option<Timestamp> = None;
        // From yesterday, whose windows may go on over midnight.
        for ahead in -1..=LOOK_DAYS {
            let Ok(date) = today.checked_add(ahead.days()) else { break };
            for (opens, closes) in self.windows_of(date) {
                if opens <= now && now < closes {
                    return Opening::Open(closes);
                }
                if opens > now && next.is_none_or(|next| opens < next) {
                    next = Some(opens);
                }
            }
            // The windows of one more day may begin earlier where the clocks change; then the search ends.
            if next.is_some() && ahead > 0 {
                break;
            }
        }
        next.map_or(Opening::Never, Opening::Closed)
    }

    /// The windows that begin on a day, as instants.
    fn windows_of(&self, date: Date) -> impl Iterator<Item = (Timestamp, Timestamp)> + '_ {
        let open = self.holidays.binary_search(&date).is_err();
        let windows = &self.days[Day::of(date.weekday()) as usize];
        windows.iter().filter(move |_| open).filter_map(move |(from, to)| {
            let (opens, closes) = (self.instant(date, *from)?, self.instant(date, *to)?);
            // A change of the clocks can swallow a short window whole.
            (opens < closes).then_some((opens, closes))
        })
    }

    fn instant(&self, date: Date, minutes: u16) -> Option<Timestamp> {
        let date = date.checked_add(i64::from(minutes / DAY_MINUTES).days()).ok()?;
        let within = minutes % DAY_MINUTES;
        let time = Time::new(i8::try_from(within / 60).ok()?, i8::try_from(within % 60).ok()?, 0, 0).ok()?;
        let zoned = date.to_datetime(time).to_zoned(self.zone.clone()).ok()?;
        Some(Timestamp::from_unix_ms(zoned.timestamp().as_millisecond()))
    }
}

/// The end of the calendar day that an instant lies in.
pub(crate) fn day_end(zone: &TimeZone, now: Timestamp) -> Timestamp {
    let end = Instant::from_millisecond(now.unix_ms())
        .ok()
        .and_then(|instant| instant.to_zoned(zone.clone()).date().tomorrow().ok())
        .and_then(|tomorrow| tomorrow.to_zoned(zone.clone()).ok());
    end.map_or_else(
        || now.plus_ms(86_400_000),
        |end| Timestamp::from_unix_ms(end.timestamp().as_millisecond()),
    )
}

/// The first instant of a day (`2027-01-01`) in a zone, or of the day after it; nothing for what is no day.
pub(crate) fn day_start(zone: &TimeZone, day: &str, next: bool) -> Option<Timestamp> {
    let date: Date = day.trim().parse().ok()?;
    let date = if next { date.tomorrow().ok()? } else { date };
    let zoned = date.to_zoned(zone.clone()).ok()?;
    Some(Timestamp::from_unix_ms(zoned.timestamp().as_millisecond()))
}

/// An instant as people of the zone read it: `2027-01-31 09:30 Africa/Casablanca`.
pub(crate) fn local(zone: &TimeZone, at: Timestamp) -> String {
    Instant::from_millisecond(at.unix_ms()).map_or_else(
        |_| at.to_string(),
        |instant| {
            let zoned = instant.to_zoned(zone.clone());
            format!("{} {}", zoned.strftime("%Y-%m-%d %H:%M"), zone.iana_name().unwrap_or("UTC"))
        },
    )
}

#[cfg(test)]
mod tests;
