use proptest::prelude::*;
use serde_json::{Value, json};
use types::Timestamp;

use super::*;
use crate::inbound::NumberRule;

fn number(id: i64, number: &str, connection: Option<i64>, rule: Value) -> InboundNumber {
    InboundNumber {
        id: InboundNumberId::from_raw(id),
        tenant: TenantId::from_raw(1),
        number: number.to_owned(),
        connection: connection.map(ConnectionId::from_raw),
        name: format!("number {id}"),
        active: true,
        rule: serde_json::from_value::<NumberRule>(rule).unwrap(),
        revision: 1,
        created_at: Timestamp::from_unix_ms(0),
        changed_at: Timestamp::from_unix_ms(0),
    }
}

fn desk(numbers: Vec<InboundNumber>) -> Desk {
    let desk = Desk::default();
    desk.book.store(Arc::new(book(numbers)));
    desk
}

fn ask(desk: &Desk, phone: &str, number: &str, connection: i64, text: &str) -> Option<(Decision, Effects)> {
    let phone = match phone.bytes().all(|octet| octet.is_ascii_digit()) {
        true => Address::international(phone.to_owned()),
        false => Address::sender(phone).unwrap(),
    };
    desk.decide(&Asked {
        tenant: TenantId::from_raw(1),
        connection: ConnectionId::from_raw(connection),
        phone: &phone,
        number,
        text: Some(text),
        owner: Some(AccountId::from_raw(9)),
    })
}

const PHONE: &str = "33612345678";

fn keyword(name: &str, when: &Value, url: &str) -> Value {
    json!({ "name": name, "when": when, "actions": [{ "kind": "webhook", "url": url }] })
}

#[test]
fn the_first_keyword_that_fits_decides() {
    let rule = json!({ "keywords": [
        keyword("vote", &json!({ "kind": "word", "words": ["Vóte", "cast it"] }), "http://vote.example/x"),
        keyword("ticket", &json!({ "kind": "pattern", "pattern": "^#\\d{4}\\b" }), "http://ticket.example"),
        keyword("promo", &json!({ "kind": "prefix", "words": ["promo"] }), "http://promo.example"),
    ], "otherwise": [{ "kind": "inbox" }] });
    let desk = desk(vec![number(1, "10000", None, rule)]);
    for (text, name) in [
        ("VOTE 3", Some("vote")),
        ("vote", Some("vote")),
        ("Cast it now", Some("vote")),
        ("voter", None),
        ("#1234 is late", Some("ticket")),
        ("PROMOTION", Some("promo")),
        ("hello", None),
    ] {
        let (decision, effects) = ask(&desk, PHONE, "10000", 1, text).unwrap();
        assert_eq!(decision.keyword.as_deref(), name, "{text}");
        assert_eq!(effects.webhooks.len(), usize::from(name.is_some()));
        assert!(effects.accounts.is_empty(), "nothing goes where no action says so");
    }
}

#[test]
fn the_same_keyword_on_two_short_codes_goes_two_ways() {
    let rule =
        |url| json!({ "keywords": [keyword("win", &json!({ "kind": "word", "words": ["win"] }), url)] });
    let desk = desk(vec![
        number(1, "10000", None, rule("http://a.example")),
        number(2, "20000", None, rule("http://b.example")),
        number(3, "10000", Some(7), rule("http://c.example")),
    ]);
    let url = |number, connection| ask(&desk, PHONE, number, connection, "WIN").unwrap().1.webhooks.remove(0);
    assert_eq!(url("10000", 1), "http://a.example");
    assert_eq!(url("20000", 1), "http://b.example");
    assert_eq!(url("10000", 7), "http://c.example", "the connection's own number comes first");
    assert!(ask(&desk, PHONE, "30000", 1, "WIN").is_none());
    // What fits nothing goes to the account that owns the number.
    assert_eq!(ask(&desk, PHONE, "10000", 1, "x").unwrap().1.accounts, [AccountId::from_raw(9)]);
}

#[test]
fn stopping_comes_before_every_keyword_and_starting_after() {
    let rule = json!({
        "keywords": [
            { "name": "all", "when": { "kind": "word", "words": ["stop", "start"] }, "actions": [{ "kind": "inbox" }] },
            { "name": "any", "when": { "kind": "any" }, "actions": [{ "kind": "reply", "text": "Hi" }] }],
        "opt_out": { "stop_text": "Bye", "help_text": "Call us", "stop_words": ["Genug"], "except": ["cancel"] },
    });
    let desk = desk(vec![number(1, "10000", None, rule)]);
    let meaning = |text| ask(&desk, PHONE, "10000", 1, text).unwrap().0.word.map(|word| word.meaning);
    assert_eq!(meaning("Stop!"), Some(Meaning::Stop));
    assert_eq!(meaning("genug"), Some(Meaning::Stop));
    assert_eq!(meaning("aide"), Some(Meaning::Help));
    assert_eq!(meaning("start"), None, "the tenant has a keyword of this name");
    assert_eq!(meaning("cancel"), None);
    let (_, stopped) = ask(&desk, PHONE, "10000", 1, "arrêt").unwrap();
    assert_eq!(stopped.opts_out, Some(Extent::Marketing));
    assert_eq!(stopped.replies.len(), 1);
    assert_eq!(stopped.replies[0].text, "Bye");
    assert_eq!(ask(&desk, PHONE, "10000", 1, "hello").unwrap().1.replies[0].text, "Hi");
}

#[test]
fn machines_are_not_answered() {
    let rule = json!({ "otherwise": [{ "kind": "reply", "text": "Hi" }] });
    let desk =
        desk(vec![number(1, "33700000000", None, rule.clone()), number(2, "+33711111111", None, rule)]);
    let answered = |phone| !ask(&desk, phone, "33700000000", 1, "x").unwrap().1.replies.is_empty();
    assert!(answered(PHONE));
    for machine in ["12345", "ACME", "33711111111", "33700000000"] {
        let (decision, effects) = ask(&desk, machine, "33700000000", 1, "x").unwrap();
        assert!(effects.replies.is_empty(), "{machine}");
        assert!(decision.done.iter().any(|done| done.starts_with("Not answered")), "{decision:?}");
    }
    assert!(ask(&desk, "ACME", "33700000000", 1, "STOP").unwrap().1.opts_out.is_none());
}

#[test]
fn what_is_kept_names_no_secret() {
    for (url, shown) in
        [("https://u:p@h.example/s?k=v", "h.example"), ("http://h:8/", "h:8"), ("http://h?x", "h")]
    {
        assert_eq!(host(url), shown);
    }
}

proptest! {
    #[test]
    fn every_text_has_a_decision_and_the_same_one_each_time(text in "\\PC{0,80}") {
        let rule = json!({ "keywords": [
            { "name": "a", "when": { "kind": "prefix", "words": ["a"] }, "actions": [{ "kind": "reply", "text": "A" }] }] });
        let desk = desk(vec![number(1, "10000", None, rule)]);
        let first = ask(&desk, PHONE, "10000", 1, &text);
        prop_assert!(first.is_some());
        prop_assert!(!first.as_ref().unwrap().0.done.is_empty() || first.as_ref().unwrap().0.word.is_some());
        prop_assert_eq!(first, ask(&desk, PHONE, "10000", 1, &text));
    }
}
