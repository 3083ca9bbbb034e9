//! The firewall's conditions, actions and counters.

use super::*;

fn refusing(when: &Value) -> Gates {
    Rules::default().rule("rule", json!({ "when": when, "action": "refuse" })).gates()
}

#[test]
fn texts_are_looked_into() {
    let cases = [
        (json!({ "kind": "url" }), "see https://example.com/x", "no address here."),
        (
            json!({ "kind": "url_not_on_list", "domains": ["example.com"] }),
            "http://evil.test/",
            "go to www.shop.example.com/x",
        ),
        (json!({ "kind": "words", "words": ["Casino"] }), "the best CASINOS", "the cash in hand"),
        (json!({ "kind": "words", "words": ["win"], "whole": true }), "you WIN!", "open the window"),
        (json!({ "kind": "words", "words": ["straße"] }), "in der STRASSE, nein: Straße", "in der Gasse"),
        (json!({ "kind": "pattern", "pattern": r"(?i)\biban\b.*\d{4}" }), "My IBAN ends 1234", "my iban"),
    ];
    for (when, caught, passes) in cases {
        let gates = refusing(&when);
        assert_eq!(letter("A", FRANCE, caught).code(&gates), Some(Code::ContentBlocked), "{when}");
        assert_eq!(letter("A", FRANCE, passes).code(&gates), None, "{when}");
        let binary = letter("A", FRANCE, caught);
        let ask = Ask { text: None, octets: caught.as_bytes(), ..binary.ask() };
        assert!(gates.judge(&ask, &|_| None, noonish()).is_ok(), "what is no text has no words");
    }
}

#[test]
fn forged_names_are_refused_and_the_real_one_is_not() {
    let gates = refusing(&json!({ "kind": "impersonates", "names": ["PayPal"] }));
    for forged in ["PayPa1", "Pay-Pal", "P4YPAL"] {
        assert_eq!(letter(forged, FRANCE, "x").code(&gates), Some(Code::SenderImpersonation), "{forged}");
    }
    assert_eq!(letter("PAYPAL", FRANCE, "x").code(&gates), None);
    let exactly = refusing(&json!({ "kind": "impersonates", "names": ["PayPal"], "exactly": true }));
    assert_eq!(letter("PayPal", FRANCE, "x").code(&exactly), Some(Code::SenderImpersonation));
}

#[test]
fn a_flood_a_duplicate_and_a_day_have_their_measure() {
    let flood = refusing(&json!({ "kind": "flood", "per": "recipient", "max": 2, "seconds": 60 }));
    let send = |gates: &Gates, to: &str, text: &str, ms: i64| {
        letter("A", to, text).judged(gates, noonish().plus_ms(ms)).err().map(|refusal| refusal.code)
    };
    assert_eq!([0, 1, 2].map(|ms| send(&flood, FRANCE, "x", ms)), [None, None, Some(Code::RecipientLimit)]);
    assert_eq!(send(&flood, SPAIN, "x", 3), None);
    assert_eq!(send(&flood, FRANCE, "x", 60_000), None, "a minute after the first");

    let twice = refusing(&json!({ "kind": "duplicate", "minutes": 10 }));
    assert_eq!(send(&twice, FRANCE, "hello", 0), None);
    assert_eq!(send(&twice, FRANCE, "hello", 599_999), Some(Code::DuplicateMessage));
    assert_eq!(send(&twice, FRANCE, "hello!", 1), None);
    assert_eq!(send(&twice, SPAIN, "hello", 1), None);
    assert_eq!(send(&twice, FRANCE, "hello", 600_000), None);

    let day = refusing(&json!({ "kind": "per_day", "max": 1 }));
    // In Paris the day ends at 23:00 UTC.
    let late = at("2027-01-06T22:59:59Z").since_ms(noonish());
    assert_eq!([0, late].map(|ms| send(&day, FRANCE, "x", ms)), [None, Some(Code::RecipientLimit)]);
    assert_eq!(send(&day, FRANCE, "x", late + 1_000), None);
}

#[test]
fn what_is_refused_or_not_accepted_is_not_counted() {
    let gates = Rules::default()
        .rule("again", json!({ "when": { "kind": "duplicate", "minutes": 10 }, "action": "refuse" }))
        .rule("links", json!({ "when": { "kind": "url" }, "action": "refuse" }))
        .gates();
    for _ in 0..2 {
        assert_eq!(letter("A", FRANCE, "www.example.com").code(&gates), Some(Code::ContentBlocked));
    }
    let pass = letter("A", FRANCE, "x").judged(&gates, noonish()).unwrap();
    gates.take_back(&pass.counted);
    assert_eq!(letter("A", FRANCE, "x").code(&gates), None);
    assert_eq!(letter("A", FRANCE, "x").code(&gates), Some(Code::DuplicateMessage));
}

#[test]
fn what_was_accepted_before_a_start_is_remembered() {
    let rules = || {
        Rules::default()
            .rule("again", json!({ "when": { "kind": "duplicate", "minutes": 10 }, "action": "refuse" }))
    };
    let gates = rules().gates();
    gates.replay(&letter("A", FRANCE, "x").ask(), noonish().plus_ms(-60_000));
    gates.replay(&letter("A", FRANCE, "old").ask(), noonish().plus_ms(-600_000));
    assert_eq!(letter("A", FRANCE, "x").code(&gates), Some(Code::DuplicateMessage));
    assert_eq!(letter("A", FRANCE, "old").code(&gates), None);
}

#[test]
fn a_rule_on_trial_lets_all_pass_and_a_refusal_wins_over_a_hold() {
    let gates = Rules::default()
        .rule("trial", json!({ "when": { "kind": "url" } }))
        .rule("mark", json!({ "when": { "kind": "url" }, "action": "mark" }))
        .rule("hold", json!({ "when": { "kind": "url" }, "action": "hold" }))
        .rule("evil", json!({ "when": { "kind": "words", "words": ["evil"] }, "action": "refuse" }))
        .gates();
    let pass = letter("A", FRANCE, "www.example.com").judged(&gates, noonish()).unwrap();
    assert_eq!((pass.held_by.as_deref(), pass.marks.as_slice()), (Some("hold"), &["mark".to_owned()][..]));
    let refusal = letter("A", FRANCE, "www.evil.com").judged(&gates, noonish()).unwrap_err();
    assert_eq!((refusal.code, refusal.name.as_str()), (Code::ContentBlocked, "evil"));
    // A replacing text is judged by what it says alone.
    let replaced = |text: &str| {
        gates.judge_replacement(&letter("A", FRANCE, text).ask(), noonish()).map_err(|one| one.name)
    };
    assert_eq!(
        (replaced("fine"), replaced("evil"), replaced("www.x.com")),
        (Ok(()), Err("evil".to_owned()), Err("hold".to_owned()))
    );
}

#[test]
fn a_rule_is_about_whom_it_says() {
    let reach =
        json!({ "accounts": [ACCOUNT], "intents": ["marketing"], "countries": ["FR"], "senders": ["shop*"] });
    let gates = Rules::default()
        .rule("links", json!({ "when": { "kind": "url" }, "action": "refuse", "reach": reach }))
        .gates();
    let meant = Letter {
        account: Some(ACCOUNT),
        intent: Intent::Marketing,
        ..letter("ShopX", FRANCE, "www.example.com")
    };
    assert_eq!(meant.code(&gates), Some(Code::ContentBlocked));
    let others = [
        Letter { account: None, ..meant.clone() },
        Letter { account: Some(AccountId::from_raw(8)), ..meant.clone() },
        Letter { intent: Intent::Otp, ..meant.clone() },
        Letter { to: SPAIN.to_owned(), ..meant.clone() },
        Letter { sender: letter("Bakery", "", "").sender, ..meant.clone() },
    ];
    for (at, other) in others.iter().enumerate() {
        assert_eq!(other.code(&gates), None, "{at}");
    }
    let api = Rules::default()
        .rule("links", json!({ "when": { "kind": "url" }, "action": "refuse", "reach": { "api": true } }))
        .gates();
    assert_eq!(meant.code(&api), None);
    assert_eq!(Letter { account: None, ..meant }.code(&api), Some(Code::ContentBlocked));
}
