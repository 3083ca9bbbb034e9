use proptest::prelude::*;
use runtime::Config;
use serde_json::{Value, json};
use types::{BlacklistedId, HoursId, Npi, PoolId, RuleId, SenderId, Ton};

use super::*;
use crate::blacklist::{Entry, Kind};
use crate::firewall::Rule;
use crate::hours::Hours;
use crate::hours::week::zone;
use crate::sender::Sender;
use crate::sender::pool::Pool;

mod bench;
mod firewall;

const OURS: TenantId = TenantId::from_raw(1);
const THEIRS: TenantId = TenantId::from_raw(2);
const ACCOUNT: AccountId = AccountId::from_raw(7);

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// Wednesday 6 January 2027, eleven o'clock in Paris.
fn noonish() -> Timestamp {
    at("2027-01-06T10:00:00Z")
}

/// One tenant's rules in the making.
#[derive(Default)]
struct Rules {
    senders: Vec<Sender>,
    policies: Vec<(i64, Value)>,
    pools: Vec<Pool>,
    entries: Vec<Entry>,
    rules: Vec<Rule>,
    hours: Vec<Hours>,
}

impl Rules {
    fn sender(mut self, name: &str, registrations: &Value) -> Self {
        let id = SenderId::from_raw(self.senders.len() as i64 + 1);
        let record = serde_json::from_value(json!({ "registrations": registrations })).unwrap();
        let (created_at, changed_at) = (Timestamp::default(), Timestamp::default());
        self.senders.push(Sender {
            id,
            tenant: OURS,
            name: name.to_owned(),
            record,
            revision: 1,
            created_at,
            changed_at,
        });
        self
    }

    fn policy(mut self, whose: i64, policy: Value) -> Self {
        self.policies.push((whose, policy));
        self
    }

    fn pool(mut self, id: i64, rule: Value) -> Self {
        let (created_at, changed_at) = (Timestamp::default(), Timestamp::default());
        let rule = serde_json::from_value(rule).unwrap();
        let (id, name) = (PoolId::from_raw(id), format!("Pool {id}"));
        self.pools.push(Pool { id, tenant: OURS, name, rule, revision: 1, created_at, changed_at });
        self
    }

    fn listed(mut self, kind: Kind, value: &str, expires_at: Option<Timestamp>) -> Self {
        self.entries.push(Entry {
            id: BlacklistedId::from_raw(self.entries.len() as i64 + 1),
            kind,
            value: value.to_owned(),
            reason: "asked not to".to_owned(),
            source: String::new(),
            expires_at,
            created_at: Timestamp::default(),
        });
        self
    }

    fn rule(mut self, name: &str, rule: Value) -> Self {
        let (created_at, changed_at) = (Timestamp::default(), Timestamp::default());
        self.rules.push(Rule {
            id: RuleId::from_raw(self.rules.len() as i64 + 100),
            tenant: OURS,
            name: name.to_owned(),
            priority: 0,
            active: true,
            rule: serde_json::from_value(rule).unwrap(),
            revision: 1,
            created_at,
            changed_at,
        });
        self
    }

    fn hours(mut self, name: &str, rule: Value) -> Self {
        let (created_at, changed_at) = (Timestamp::default(), Timestamp::default());
        self.hours.push(Hours {
            id: HoursId::from_raw(self.hours.len() as i64 + 200),
            tenant: OURS,
            name: name.to_owned(),
            active: true,
            rule: serde_json::from_value(rule).unwrap(),
            revision: 1,
            created_at,
            changed_at,
        });
        self
    }

    /// The gates of a house in which our tenant alone has rules, in the zone of Paris.
    fn gates(self) -> Gates {
        let config = Config::for_tests(std::path::Path::new("/nowhere"));
        let gates = Gates::new(&config.gates);
        let zone = zone("Europe/Paris");
        let policies =
            self.policies.into_iter().map(|(whose, policy)| (whose, serde_json::from_value(policy).unwrap()));
        let ours = TenantGates {
            senders: Senders::new(self.senders, policies.collect(), self.pools, &zone).unwrap(),
            lists: Lists::new(self.entries).unwrap(),
            firewall: Firewall::new(self.rules).unwrap(),
            calendar: Calendar::new(self.hours, &zone).unwrap(),
            zone_name: "Europe/Paris".to_owned(),
            zone,
        };
        gates.tenants.store(Arc::new(HashMap::from([(OURS, Arc::new(ours))])));
        gates
    }
}

/// A message in the making.
#[derive(Clone)]
struct Letter {
    tenant: TenantId,
    account: Option<AccountId>,
    key: Option<KeyId>,
    from: Option<IpAddr>,
    sender: Address,
    named: bool,
    to: String,
    text: String,
    intent: Intent,
    schedule_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
}

fn letter(from: &str, to: &str, text: &str) -> Letter {
    let sender = Address { text: from.to_owned(), ton: Ton::ALPHANUMERIC, npi: Npi::UNKNOWN };
    Letter {
        tenant: OURS,
        account: None,
        key: None,
        from: None,
        sender,
        named: !from.is_empty(),
        to: to.to_owned(),
        text: text.to_owned(),
        intent: Intent::Transactional,
        schedule_at: None,
        expires_at: None,
    }
}

impl Letter {
    fn ask(&self) -> Ask<'_> {
        Ask {
            tenant: self.tenant,
            account: self.account,
            key: self.key,
            from: self.from,
            sender: &self.sender,
            named: self.named,
            recipient: &self.to,
            intent: self.intent,
            text: Some(&self.text),
            octets: &[],
            parts: 1,
            schedule_at: self.schedule_at,
            expires_at: self.expires_at,
        }
    }

    fn judged(&self, gates: &Gates, now: Timestamp) -> Result<Pass, Refusal> {
        gates.judge(&self.ask(), &|_| None, now)
    }

    /// The code of its refusal now; nothing when it passes.
    fn code(&self, gates: &Gates) -> Option<Code> {
        self.judged(gates, noonish()).err().map(|refusal| refusal.code)
    }

    /// The sender that it would go out from.
    fn sent_from(&self, gates: &Gates) -> String {
        let pass = self.judged(gates, noonish()).unwrap();
        pass.sender.unwrap_or_else(|| self.sender.clone()).to_string()
    }
}

const FRANCE: &str = "33612345678";
const SPAIN: &str = "34612345678";

#[test]
fn nobody_elses_rules_apply() {
    let gates = Rules::default()
        .listed(Kind::Prefix, "33", None)
        .rule("none", json!({ "when": { "kind": "url" }, "action": "refuse" }))
        .hours(
            "never",
            json!({ "windows": [{ "days": ["mon"], "from": "00:00", "to": "00:01" }], "outside": "refuse" }),
        )
        .policy(-1, json!({ "mode": "registered" }))
        .gates();
    let theirs = Letter { tenant: THEIRS, ..letter("ACME", FRANCE, "see www.example.com") };
    assert_eq!(theirs.code(&gates), None);
    assert!(letter("ACME", FRANCE, "see www.example.com").code(&gates).is_some());
}

#[test]
fn the_blacklist_catches_each_kind_until_it_expires() {
    let key = KeyId::from_raw(9);
    let soon = Some(noonish().plus_ms(1_000));
    let gates = Rules::default()
        .listed(Kind::Number, FRANCE, None)
        .listed(Kind::Prefix, "346", soon)
        .listed(Kind::Sender, "casino*", None)
        .listed(Kind::Sender, "acme", None)
        .listed(Kind::Content, "free money", None)
        .listed(Kind::Ip, "203.0.113.0/24", None)
        .listed(Kind::Key, &key.to_string(), None)
        .gates();
    let plain = letter("Bakery", "4915112345678", "Your bread is ready.");
    assert_eq!(plain.code(&gates), None);
    let cases = [
        (letter("Bakery", FRANCE, "x"), Code::RecipientBlacklisted),
        (letter("Bakery", SPAIN, "x"), Code::RecipientBlacklisted),
        (letter("CasinoX", "49151123", "x"), Code::SenderBlacklisted),
        (letter("Acme", "49151123", "x"), Code::SenderBlacklisted),
        (letter("Bakery", "49151123", "get FR\u{200b}EE Money now"), Code::ContentBlocked),
        (Letter { from: Some("203.0.113.7".parse().unwrap()), ..plain.clone() }, Code::CallerBlacklisted),
        (Letter { key: Some(key), ..plain.clone() }, Code::CallerBlacklisted),
    ];
    for (letter, code) in cases {
        let refusal = letter.judged(&gates, noonish()).unwrap_err();
        assert_eq!(refusal.code, code, "{}", letter.text);
        assert!(refusal.reason.ends_with("asked not to") && refusal.rule > 0, "{}", refusal.reason);
        assert!(!refusal.reason.contains(&letter.text) || letter.text == "x", "the text is nobody's to read");
    }
    assert!(
        letter("Bakery", SPAIN, "x").judged(&gates, noonish().plus_ms(1_000)).is_ok(),
        "the entry has expired"
    );
    let lists = &gates.tenant(OURS).unwrap().lists;
    assert_eq!(lists.catching("+33612345678", noonish()), [1]);
    assert_eq!(lists.catching("203.0.113.9", noonish()), [6]);
    assert_eq!(lists.catching(SPAIN, noonish().plus_ms(5_000)), Vec::<i64>::new());
}

#[test]
fn registered_senders_alone_may_send_where_they_are_approved() {
    let gates = Rules::default()
        .sender("ACME", &json!([{ "country": "FR", "state": "approved" }, { "country": "ES", "state": "pending" },
            { "country": "GB", "state": "approved", "until": "2027-01-05" },
            { "country": "DE", "state": "approved", "from": "2027-01-07" }, { "country": "*", "state": "refused" }]))
        .sender("World", &json!([{ "country": "*", "state": "approved" }]))
        .policy(-1, json!({ "mode": "registered", "allowed": ["10000"], "blocked": ["worldwide"] }))
        .policy(ACCOUNT.raw(), json!({ "mode": "free", "blocked": ["bank*"] }))
        .gates();
    let code = |from: &str, to: &str| letter(from, to, "x").code(&gates);
    assert_eq!(code("acme", FRANCE), None);
    assert_eq!(code("World", SPAIN), None);
    assert_eq!(code("10000", SPAIN), None, "the policy names it");
    for to in [SPAIN, "447700900123", "4915112345678", "12125550123"] {
        assert_eq!(code("ACME", to), Some(Code::SenderNotRegistered), "{to}");
    }
    assert_eq!(code("Nobody", FRANCE), Some(Code::SenderNotRegistered));
    assert_eq!(code("", FRANCE), Some(Code::SenderNotAllowed));
    assert_eq!(code("worldwide", FRANCE), Some(Code::SenderNotAllowed));
    // The account's own policy takes the place of everyone's; a refused registration is refused all the same.
    let ours = |from: &str, to: &str| Letter { account: Some(ACCOUNT), ..letter(from, to, "x") }.code(&gates);
    assert_eq!((ours("Nobody", FRANCE), ours("", FRANCE)), (None, None));
    assert_eq!(ours("BankOfX", FRANCE), Some(Code::SenderNotAllowed));
    assert_eq!(ours("ACME", "12125550123"), Some(Code::SenderNotRegistered));
    // The last day counts to its end in the tenant's zone, an hour ahead of UTC.
    let last = letter("ACME", "447700900123", "x");
    assert!(last.judged(&gates, at("2027-01-05T22:59:59Z")).is_ok());
    assert!(last.judged(&gates, at("2027-01-05T23:00:00Z")).is_err());
    assert!(letter("ACME", "4915112345678", "x").judged(&gates, at("2027-01-06T23:00:00Z")).is_ok());
}

#[test]
fn listed_senders_and_defaults() {
    let gates = Rules::default()
        .pool(1, json!({ "choice": "sticky", "members": [{ "sender": "One" }, { "sender": "Two" }, { "sender": "Three" }] }))
        .pool(2, json!({ "choice": "country", "members": [{ "sender": "All" }, { "sender": "Iberia", "countries": ["ES", "PT"] }] }))
        .pool(3, json!({ "choice": "round_robin", "members": [{ "sender": "A" }, { "sender": "B" }] }))
        .policy(0, json!({ "mode": "listed", "allowed": ["acme*", "one", "two", "three"],
            "defaults": [{ "pool": PoolId::from_raw(1) }, { "countries": ["ES"], "sender": "ACME-ES" }] }))
        .policy(1, json!({ "defaults": [{ "pool": PoolId::from_raw(2) }] }))
        .policy(2, json!({ "defaults": [{ "pool": PoolId::from_raw(3) }] }))
        .gates();
    assert_eq!(letter("Acme FR", FRANCE, "x").code(&gates), None);
    assert_eq!(letter("Other", FRANCE, "x").code(&gates), Some(Code::SenderNotAllowed));
    assert_eq!(
        letter("", SPAIN, "x").sent_from(&gates),
        "ACME-ES",
        "the one that names the country goes first"
    );
    let chosen: Vec<_> =
        (0..60).map(|n| letter("", &format!("336123456{n:02}"), "x").sent_from(&gates)).collect();
    let again: Vec<_> =
        (0..60).map(|n| letter("", &format!("336123456{n:02}"), "x").sent_from(&gates)).collect();
    assert_eq!(chosen, again, "each recipient keeps its sender");
    for member in ["One", "Two", "Three"] {
        assert!(chosen.iter().filter(|sender| *sender == member).count() > 5, "{member}: {chosen:?}");
    }
    let by = |account: i64, to: &str| {
        Letter { account: Some(AccountId::from_raw(account)), ..letter("", to, "x") }.sent_from(&gates)
    };
    assert_eq!((by(1, SPAIN), by(1, FRANCE)), ("Iberia".to_owned(), "All".to_owned()));
    assert_ne!(by(2, FRANCE), by(2, FRANCE));
}

fn shop_hours(outside: &str) -> Value {
    json!({ "reach": { "intents": ["marketing"] }, "outside": outside,
        "windows": [{ "days": ["mon", "tue", "wed", "thu", "fri"], "from": "08:00", "to": "20:00" }] })
}

#[test]
fn promotions_wait_for_the_morning() {
    let gates = Rules::default().hours("Shop", shop_hours("postpone")).gates();
    let promotion = Letter { intent: Intent::Marketing, ..letter("Shop", FRANCE, "Sale") };
    let evening = at("2027-01-06T20:00:00Z");
    let morning = at("2027-01-07T07:00:00Z");
    assert_eq!(promotion.judged(&gates, noonish()).unwrap().postponed_to, None);
    for _ in 0..2 {
        assert_eq!(promotion.judged(&gates, evening).unwrap().postponed_to, Some(morning));
    }
    assert_eq!(promotion.judged(&gates, morning).unwrap().postponed_to, None);
    assert_eq!(letter("Shop", FRANCE, "Your code").judged(&gates, evening).unwrap().postponed_to, None);
    // A time that was asked for is moved too; a validity that ends before is refused.
    let scheduled = Letter { schedule_at: Some(evening), ..promotion.clone() };
    assert_eq!(scheduled.judged(&gates, noonish()).unwrap().postponed_to, Some(morning));
    let short = Letter { expires_at: Some(evening.plus_ms(3_600_000)), ..promotion.clone() };
    let refusal = short.judged(&gates, evening).unwrap_err();
    assert_eq!(refusal.code, Code::OutsideHours);
    assert!(refusal.reason.contains("2027-01-07 08:00 Europe/Paris"), "{}", refusal.reason);

    let strict = Rules::default().hours("Shop", shop_hours("refuse")).gates();
    assert_eq!(promotion.judged(&strict, evening).unwrap_err().code, Code::OutsideHours);
    assert!(promotion.judged(&strict, noonish()).is_ok());
}

#[test]
fn two_rules_are_open_together_or_not_at_all() {
    let window = |days: Value, from: &str, to: &str| json!({ "windows": [{ "days": days, "from": from, "to": to }], "time_zone": "UTC" });
    let all = json!(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]);
    let gates = Rules::default()
        .hours("Early", window(all.clone(), "06:00", "09:00"))
        .hours("Late", window(all.clone(), "08:00", "12:00"))
        .gates();
    let pass = letter("Shop", FRANCE, "x").judged(&gates, noonish()).unwrap();
    assert_eq!(pass.postponed_to, Some(at("2027-01-07T08:00:00Z")));
    let never = Rules::default()
        .hours("Early", window(all.clone(), "06:00", "08:00"))
        .hours("Late", window(all, "08:00", "12:00"))
        .gates();
    assert_eq!(letter("Shop", FRANCE, "x").code(&never), Some(Code::OutsideHours));
}

#[test]
fn rates_and_routes() {
    let route = RouteId::from_raw(5);
    let gates = Rules::default()
        .hours("France", json!({ "reach": { "countries": ["FR"] }, "parts_per_second": 2 }))
        .hours(
            "Night",
            json!({ "routes": [route], "outside": "refuse",
            "windows": [{ "days": ["sun"], "from": "00:00", "to": "01:00" }] }),
        )
        .gates();
    let there = letter("Shop", FRANCE, "x");
    assert_eq!((there.code(&gates), there.code(&gates)), (None, None));
    let refusal = there.judged(&gates, noonish()).unwrap_err();
    assert_eq!((refusal.code, refusal.retry_after_s), (Code::RateExceeded, Some(1)));
    assert!(there.judged(&gates, noonish().plus_ms(500)).is_ok());
    assert_eq!(letter("Shop", SPAIN, "x").code(&gates), None);
    let routed = letter("Shop", SPAIN, "x");
    let by = |found: Option<RouteId>| {
        gates.judge(&routed.ask(), &|_| found, noonish()).map_err(|refusal| refusal.code)
    };
    assert!(by(Some(RouteId::from_raw(6))).is_ok());
    assert_eq!(by(Some(route)).unwrap_err(), Code::OutsideHours);
}

proptest! {
    /// A trial says what the message would meet, and moves nothing.
    #[test]
    fn a_trial_agrees_with_the_judgement(
        to in prop::sample::select(vec![FRANCE, SPAIN, "12345", "8613800138000"]),
        from in prop::sample::select(vec!["ACME", "PayPa1", "", "Bank"]),
        text in prop::sample::select(vec!["hello", "free money", "see www.evil.example", "x"]),
        marketing in any::<bool>(), hour in 0_i64..48,
    ) {
        let gates = Rules::default()
            .sender("Bank", &json!([{ "country": "FR", "state": "refused" }]))
            .listed(Kind::Prefix, "86", None)
            .listed(Kind::Content, "free money", None)
            .rule("links", json!({ "when": { "kind": "url" }, "action": "hold" }))
            .rule("names", json!({ "when": { "kind": "impersonates", "names": ["PayPal"] }, "action": "refuse" }))
            .rule("again", json!({ "when": { "kind": "duplicate", "minutes": 5 }, "action": "refuse" }))
            .hours("Shop", shop_hours("postpone"))
            .gates();
        let intent = if marketing { Intent::Marketing } else { Intent::Otp };
        let letter = Letter { intent, ..letter(from, to, text) };
        let now = noonish().plus_ms(hour * 3_600_000);
        for round in 0..2 {
            let (tried, looked) = gates.explain(&letter.ask(), &|_| None, now);
            let judged = letter.judged(&gates, now);
            prop_assert_eq!(tried.as_ref().err().map(|one| one.code), judged.as_ref().err().map(|one| one.code));
            prop_assert!(!looked.is_empty());
            if let (Ok(tried), Ok(judged)) = (&tried, &judged) {
                prop_assert_eq!(&tried.held_by, &judged.held_by);
                prop_assert_eq!(tried.postponed_to, judged.postponed_to);
                prop_assert_eq!(round, 0, "the second is a duplicate");
            }
        }
    }
}
