use super::*;
use types::Timestamp;

fn list(entries: &[&str]) -> Vec<String> {
    entries.iter().map(|entry| (*entry).to_owned()).collect()
}

#[test]
fn the_longest_beginning_is_found_among_many() {
    let prefixes = Prefixes::new(&list(&["44", "336", "33", "3370", "1", "491"]));
    assert_eq!(prefixes.sorted, list(&["1", "33", "44", "491"]), "what a shorter one covers is left out");
    for (number, fits) in [
        ("33612", true),
        ("33", true),
        ("3", false),
        ("34", false),
        ("49", false),
        ("4915", true),
        ("", false),
        ("19", true),
    ] {
        assert_eq!(prefixes.fit(number), fits, "{number}");
    }
    let all = list(&["44", "336", "3370", "491"]);
    let prefixes = Prefixes::new(&all);
    for number in (0..5_000).map(|number| number.to_string()) {
        assert_eq!(prefixes.fit(&number), all.iter().any(|prefix| number.starts_with(prefix)), "{number}");
    }
}

#[test]
fn a_sender_in_another_script_does_not_split_a_character() {
    let fits = |pattern: &str, sender: &str| Pattern::new(pattern).fits(sender);
    assert!(!fits("é*", "e") && !fits("a*", "é"));
    assert!(fits("acme*", "ACME Bank") && fits("ACME", "acme") && !fits("acme", "ACME2"));
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

#[test]
fn a_window_follows_the_clocks_of_its_zone() {
    let day = |days: &[Day], from: &str, to: &str, zone: &str| {
        let (from, to, zone) = (from.to_owned(), to.to_owned(), zone.to_owned());
        window(&mut TimeWindow { days: days.to_vec(), from, to, zone }).unwrap()
    };
    // Paris is an hour ahead in winter and two in summer.
    let office = day(&[], "08:00", "20:00", "Europe/Paris");
    assert!(office.holds(at("2026-01-15T07:00:00Z")) && !office.holds(at("2026-01-15T06:59:00Z")));
    assert!(office.holds(at("2026-07-15T06:00:00Z")) && !office.holds(at("2026-07-15T18:00:00Z")));
    // Over midnight, the day is that on which it began: Friday night ends on Saturday.
    let night = day(&[Day::Fri], "22:00", "06:00", "UTC");
    assert!(night.holds(at("2026-01-16T23:00:00Z")) && night.holds(at("2026-01-17T05:59:00Z")));
    assert!(!night.holds(at("2026-01-16T05:00:00Z")) && !night.holds(at("2026-01-17T23:00:00Z")));
    let whole = day(&[Day::Sun], "", "", "");
    assert!(whole.holds(at("2026-01-18T00:00:00Z")) && whole.holds(at("2026-01-18T23:59:59Z")));
    assert!(!whole.holds(at("2026-01-19T00:00:00Z")));
}

#[test]
fn a_window_is_kept_in_its_normal_form_or_refused() {
    let mut given = TimeWindow { from: "8:5".to_owned(), to: "24:00".to_owned(), ..TimeWindow::default() };
    window(&mut given).unwrap();
    assert_eq!((given.from.as_str(), given.to.as_str(), given.zone.as_str()), ("08:05", "00:00", "UTC"));
    for (from, zone) in [("25:00", ""), ("8", ""), ("8:60", ""), ("08:00", "Nowhere/At_all"), ("-1:00", "")] {
        let mut given = TimeWindow { from: from.to_owned(), zone: zone.to_owned(), ..TimeWindow::default() };
        assert!(window(&mut given).is_err(), "{from} {zone}");
    }
}

#[test]
fn words_are_no_patterns() {
    let set = content(&list(&["a.c", "ПРИВЕТ"]), &list(&["^x+$"]), COMPILED_BYTES_MAX).unwrap();
    assert!(set.is_match("A.C") && set.is_match("привет, мир") && set.is_match("xxx"));
    assert!(!set.is_match("abc") && !set.is_match("Xx"));
    assert!(content(&[], &list(&["(a{1000}){1000}"]), COMPILED_BYTES_MAX).is_err());
}
