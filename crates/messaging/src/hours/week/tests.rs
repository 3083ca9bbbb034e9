use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn week(zone_name: &str, windows: &[(&[Day], &str, &str)], holidays: &[&str]) -> Week {
    let windows: Vec<Window> = windows
        .iter()
        .map(|(days, from, to)| Window {
            days: days.to_vec(),
            from: (*from).to_owned(),
            to: (*to).to_owned(),
        })
        .collect();
    let holidays: Vec<String> = holidays.iter().map(|day| (*day).to_owned()).collect();
    Week::new(zone(zone_name), &windows, &holidays).unwrap()
}

const WORKDAYS: &[Day] = &[Day::Mon, Day::Tue, Day::Wed, Day::Thu, Day::Fri];

#[test]
fn an_evening_waits_for_the_morning_and_friday_for_monday() {
    let week = week("Europe/Paris", &[(WORKDAYS, "08:00", "20:00")], &["2027-01-04"]);
    // Wednesday 6 January 2027, in winter: Paris is an hour ahead.
    assert_eq!(week.at(at("2027-01-06T10:00:00Z")), Opening::Open(at("2027-01-06T19:00:00Z")));
    assert_eq!(week.at(at("2027-01-06T07:00:00Z")), Opening::Open(at("2027-01-06T19:00:00Z")));
    assert_eq!(week.at(at("2027-01-06T06:59:59.999Z")), Opening::Closed(at("2027-01-06T07:00:00Z")));
    assert_eq!(week.at(at("2027-01-06T19:00:00Z")), Opening::Closed(at("2027-01-07T07:00:00Z")));
    // Friday evening; Monday the 4th is a holiday.
    assert_eq!(week.at(at("2027-01-01T21:00:00Z")), Opening::Closed(at("2027-01-05T07:00:00Z")));
}

#[test]
fn a_window_over_midnight_belongs_to_the_day_it_begins_on() {
    let week = week("UTC", &[(&[Day::Sat], "22:00", "02:00")], &[]);
    assert_eq!(week.at(at("2027-01-03T01:59:00Z")), Opening::Open(at("2027-01-03T02:00:00Z")));
    assert_eq!(week.at(at("2027-01-03T02:00:00Z")), Opening::Closed(at("2027-01-09T22:00:00Z")));
    assert_eq!(week.at(at("2027-01-04T01:00:00Z")), Opening::Closed(at("2027-01-09T22:00:00Z")));
    // On a holiday no window begins; the one of the day before goes on.
    let holiday = self::week("UTC", &[(&[Day::Sat, Day::Sun], "22:00", "02:00")], &["2027-01-03"]);
    assert_eq!(holiday.at(at("2027-01-03T01:00:00Z")), Opening::Open(at("2027-01-03T02:00:00Z")));
    assert_eq!(holiday.at(at("2027-01-03T23:00:00Z")), Opening::Closed(at("2027-01-09T22:00:00Z")));
}

#[test]
fn the_clocks_change() {
    // Berlin, 28 March 2027: 02:00 becomes 03:00. A window from 02:30 begins where the clocks show 03:30.
    let spring = week("Europe/Berlin", &[(&[Day::Sun], "02:30", "06:00")], &[]);
    assert_eq!(spring.at(at("2027-03-28T01:00:00Z")), Opening::Closed(at("2027-03-28T01:30:00Z")));
    assert_eq!(spring.at(at("2027-03-28T01:30:00Z")), Opening::Open(at("2027-03-28T04:00:00Z")));
    // 31 October 2027: 03:00 becomes 02:00, so 02:30 comes twice; the first opens, and the night has an hour more.
    let autumn = week("Europe/Berlin", &[(&[Day::Sun], "02:30", "06:00")], &[]);
    assert_eq!(autumn.at(at("2027-10-31T00:00:00Z")), Opening::Closed(at("2027-10-31T00:30:00Z")));
    assert_eq!(autumn.at(at("2027-10-31T01:30:00Z")), Opening::Open(at("2027-10-31T05:00:00Z")));
    // The same hours before and after: the same local time, another instant.
    let daily = week("Europe/Berlin", &[(&Day::ALL, "08:00", "20:00")], &[]);
    assert_eq!(daily.at(at("2027-03-27T20:00:00Z")), Opening::Closed(at("2027-03-28T06:00:00Z")));
    assert_eq!(daily.at(at("2027-10-30T20:00:00Z")), Opening::Closed(at("2027-10-31T07:00:00Z")));
    assert_eq!(day_end(&zone("Europe/Berlin"), at("2027-03-28T10:00:00Z")), at("2027-03-28T22:00:00Z"));
}

#[test]
fn without_windows_it_is_open_and_with_holidays_alone_it_never_opens() {
    assert_eq!(week("UTC", &[], &[]).at(at("2027-01-01T00:00:00Z")), Opening::Open(Timestamp::MAX));
    let all_year: Vec<String> = (0..400)
        .map(|day| {
            format!("{}", "2027-01-01".parse::<Date>().unwrap().checked_add(i64::from(day).days()).unwrap())
        })
        .collect();
    let days: Vec<&str> = all_year.iter().map(String::as_str).collect();
    let never = week("UTC", &[(&Day::ALL, "00:00", "24:00")], &days);
    assert_eq!(never.at(at("2027-01-02T00:00:00Z")), Opening::Never);
    assert_eq!(
        week("UTC", &[(&Day::ALL, "00:00", "24:00")], &[]).at(at("2027-01-02T12:00:00Z")),
        Opening::Open(at("2027-01-03T00:00:00Z"))
    );
}

#[test]
fn what_is_no_window_is_refused_at_its_place() {
    for (from, to) in
        [("8:00", "20:00"), ("08:60", "20:00"), ("24:00", "20:00"), ("08:00", "24:01"), ("", "")]
    {
        let window = Window { days: vec![Day::Mon], from: from.to_owned(), to: to.to_owned() };
        assert_eq!(
            Week::new(TimeZone::UTC, &[window], &[]).unwrap_err().place(),
            Some("rule.windows"),
            "{from}"
        );
    }
    let refused = Week::new(TimeZone::UTC, &[], &["tomorrow".to_owned()]).unwrap_err();
    assert_eq!(refused.place(), Some("rule.holidays"));
}

proptest! {
    /// In every zone, at every instant: when it is closed, it is closed until the start that it names and open there.
    #[test]
    fn the_next_start_is_the_next_start(
        start in 1_767_225_600_000_i64..1_893_456_000_000,
        from in 0_u16..1_440, length in 1_u16..1_440, mask in 1_u8..128, zone_at in 0_usize..5,
    ) {
        let zone_name = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"][zone_at];
        let days: Vec<Day> = Day::ALL.into_iter().filter(|day| mask & (1 << *day as u8) != 0).collect();
        let text = |minutes: u16| format!("{:02}:{:02}", minutes % 1_440 / 60, minutes % 60);
        let window = Window { days, from: text(from), to: text(from + length) };
        let week = Week::new(zone(zone_name), &[window], &[]).unwrap();
        let now = Timestamp::from_unix_ms(start);
        match week.at(now) {
            Opening::Open(until) => {
                prop_assert!(until > now);
                prop_assert!(matches!(week.at(until.plus_ms(-1)), Opening::Open(_)));
            }
            Opening::Closed(opens) => {
                prop_assert!(opens > now && opens.since_ms(now) <= 8 * 86_400_000, "{now} {opens}");
                prop_assert!(matches!(week.at(opens), Opening::Open(_)));
                prop_assert!(!matches!(week.at(opens.plus_ms(-1)), Opening::Open(_)));
                let between = Timestamp::from_unix_ms(now.unix_ms() + opens.since_ms(now) / 2);
                prop_assert_eq!(week.at(between), Opening::Closed(opens));
            }
            Opening::Never => prop_assert!(false, "a weekly window comes within a week"),
        }
    }
}
