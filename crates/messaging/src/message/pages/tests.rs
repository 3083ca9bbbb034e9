use super::*;

#[test]
fn thousands_stand_apart() {
    let plain = |n| grouped(n).replace('\u{202f}', " ");
    assert_eq!([0, 999, 1_000, 12_480, 1_234_567].map(plain), ["0", "999", "1 000", "12 480", "1 234 567"]);
    assert_eq!(plain(-1_000), "-1 000");
}

#[test]
fn each_state_has_a_word_and_a_picture() {
    for state in State::ALL {
        let shown = state_badge(state).into_string();
        assert!(shown.contains(state_name(state)) && shown.contains("<svg"), "{shown}");
    }
}

#[test]
fn the_navigation_leads_to_pages_that_are_there() {
    let text = concat!(include_str!("../pages.rs"));
    for entry in NAV {
        assert!(text.contains(&format!(".route(\"{}\"", entry.href)), "{}", entry.href);
    }
}
