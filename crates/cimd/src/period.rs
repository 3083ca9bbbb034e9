//! Relative validity periods in one number (3GPP TS 23.040 §9.2.3.12.1).

const MINUTE: u64 = 60;
const HOUR: u64 = 3_600;
const DAY: u64 = 86_400;
const WEEK: u64 = 604_800;

/// The number for a period of at least so many seconds, as near as the steps allow; 255, 63 weeks, for all that is longer.
#[must_use]
pub fn from_seconds(seconds: u64) -> u8 {
    let steps = match seconds {
        0..=43_200 => seconds.div_ceil(5 * MINUTE).max(1) - 1,
        43_201..=86_400 => 143 + (seconds - 12 * HOUR).div_ceil(30 * MINUTE),
        86_401..=2_592_000 => 166 + seconds.div_ceil(DAY).max(2),
        _ => 192 + seconds.div_ceil(WEEK).max(5),
    };
    u8::try_from(steps).unwrap_or(u8::MAX)
}

/// The seconds that a number stands for.
#[must_use]
pub fn to_seconds(number: u8) -> u64 {
    let number = u64::from(number);
    match number {
        0..=143 => (number + 1) * 5 * MINUTE,
        144..=167 => 12 * HOUR + (number - 143) * 30 * MINUTE,
        168..=196 => (number - 166) * DAY,
        _ => (number - 192) * WEEK,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_stands_for_its_own_period_and_grows() {
        for number in 0..=255 {
            assert_eq!(from_seconds(to_seconds(number)), number);
            assert!(number == 255 || to_seconds(number) < to_seconds(number + 1));
        }
        assert_eq!((from_seconds(0), from_seconds(301), from_seconds(u64::MAX)), (0, 1, 255));
        assert_eq!(to_seconds(167), DAY);
    }
}
