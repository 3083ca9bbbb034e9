//! Times: `DDMMYYHHMM` and `DDMMYYHHMMSS`, in the centre's local time (EMI/UCP 5.2 §3.4).

/// A moment as the protocol writes it. Which zone it is in is agreed upon outside of the protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Time {
    /// 1970 to 2069: two digits are written.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59; 0 where the field has ten digits.
    pub second: u8,
}

/// Two digits below this are of this century.
const PIVOT: u16 = 70;
const DAY_S: i64 = 86_400;

impl Time {
    /// Reads ten or twelve digits; `None` for anything else and for dates that do not exist.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if !matches!(digits.len(), 10 | 12) || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let pair = |at: usize| (digits[at] - b'0') * 10 + (digits[at + 1] - b'0');
        let year = u16::from(pair(4));
        let time = Self {
            year: if year < PIVOT { 2000 + year } else { 1900 + year },
            month: pair(2),
            day: pair(0),
            hour: pair(6),
            minute: pair(8),
            second: if digits.len() == 12 { pair(10) } else { 0 },
        };
        let real = Self::from_unix_s(time.unix_s()) == Some(time);
        real.then_some(time)
    }

    /// The moment so many seconds after 1970; `None` where the two digits of a year cannot say it.
    #[must_use]
    pub fn from_unix_s(unix_s: i64) -> Option<Self> {
        let (days, second_of_day) = (unix_s.div_euclid(DAY_S), unix_s.rem_euclid(DAY_S));
        // Days to a civil date, counted from 1 March of year 0 so that the leap day comes last.
        let shifted = days.checked_add(719_468)?;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era.checked_mul(400)? + i64::from(month <= 2);
        if !(1970..2070).contains(&year) {
            return None;
        }
        Some(Self {
            year: u16::try_from(year).ok()?,
            month: u8::try_from(month).ok()?,
            day: u8::try_from(day_of_year - (153 * shifted_month + 2) / 5 + 1).ok()?,
            hour: u8::try_from(second_of_day / 3_600).ok()?,
            minute: u8::try_from(second_of_day / 60 % 60).ok()?,
            second: u8::try_from(second_of_day % 60).ok()?,
        })
    }

    /// Seconds since 1970, read as if it were in UTC.
    #[must_use]
    pub fn unix_s(self) -> i64 {
        let (month, day) = (i64::from(self.month), i64::from(self.day));
        let year = i64::from(self.year) - i64::from(month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = era * 146_097 + day_of_era - 719_468;
        days * DAY_S + i64::from(self.hour) * 3_600 + i64::from(self.minute) * 60 + i64::from(self.second)
    }

    /// `DDMMYYHHMM`, for DDT and VP.
    #[must_use]
    pub fn ten_digits(self) -> String {
        let Self { year, month, day, hour, minute, .. } = self;
        format!("{day:02}{month:02}{:02}{hour:02}{minute:02}", year % 100)
    }

    /// `DDMMYYHHMMSS`, for SCTS and DSCTS.
    #[must_use]
    pub fn twelve_digits(self) -> String {
        format!("{}{:02}", self.ten_digits(), self.second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_lengths_and_both_centuries() {
        let time = Time::parse("090196103258").unwrap();
        assert_eq!((time.year, time.month, time.day, time.second), (1996, 1, 9, 58));
        assert_eq!(time.unix_s(), 821_183_578);
        assert_eq!(Time::parse("2911261530").unwrap().twelve_digits(), "291126153000");
        assert_eq!(Time::parse("290224000000").map(Time::ten_digits), Some("2902240000".to_owned()));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for wrong in
            ["", "3002260000", "0013260000", "0101262400", "01012612000", "01012612é0", "010126126000"]
        {
            assert_eq!(Time::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Time::from_unix_s(-1), None);
        assert_eq!(Time::from_unix_s(i64::MAX), None);
        assert_eq!(Time::from_unix_s(i64::MIN), None);
    }
}
