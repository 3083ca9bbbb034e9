use super::*;
use crate::intent::Intent;
use crate::route::rule::{Cost, Day, RouteRule, Source, Span, TimeWindow, TlvMatch};
use crate::route::traffic::Traffic;
use crate::route::{Strategy as Choice, Tlvs};
use proptest::prelude::*;
use proptest::strategy::Strategy;
use runtime::Clock;
use types::{AccountId, Timestamp};

const TENANT: TenantId = TenantId::from_raw(1);

fn route(id: i64, priority: i32, rule: RouteRule) -> Route {
    Route {
        id: RouteId::from_raw(id),
        tenant: TENANT,
        name: format!("route {id}"),
        priority,
        active: true,
        rule,
        revision: 1,
        created_at: Timestamp::from_unix_ms(0),
        changed_at: Timestamp::from_unix_ms(0),
    }
}

fn to(targets: &[i64]) -> RouteRule {
    RouteRule {
        targets: targets.iter().copied().map(|id| Target::to(ConnectionId::from_raw(id))).collect(),
        ..RouteRule::default()
    }
}

/// Friday, the first of January 2027, 09:00 UTC.
const NOW: Timestamp = Timestamp::from_unix_ms(1_798_794_000_000);

fn made(routes: Vec<Route>) -> Routes {
    Routes::new(routes, World { clock: Clock::manual(NOW), ..World::default() })
}

fn ask<'a>() -> Ask<'a> {
    Ask::new(TENANT, None, "ACME", "33612345678", Intent::Transactional)
}

fn up(_: ConnectionId) -> Liveness {
    Liveness::Up
}

fn chosen(
    routes: &Routes,
    ask: &Ask<'_>,
    alive: impl Fn(ConnectionId) -> Liveness,
) -> Option<(i64, i64, bool)> {
    let chosen = routes.decide(ask, &alive)?;
    Some((chosen.route.raw(), chosen.connection.raw(), chosen.waits))
}

#[test]
fn the_highest_priority_is_asked_first_and_of_equals_the_oldest() {
    let routes = made(vec![route(3, 5, to(&[3])), route(2, 9, to(&[2])), route(1, 5, to(&[1]))]);
    assert_eq!(chosen(&routes, &ask(), up), Some((2, 2, false)));
    let order: Vec<_> = routes.of(TENANT).map(|route| route.id.raw()).collect();
    assert_eq!(order, [2, 1, 3]);
}

#[test]
fn each_condition_passes_over_what_it_does_not_take() {
    for (rule, verdict) in refusing() {
        let routes = made(vec![route(1, 0, rule.clone())]);
        let decision = routes.explain(&ask(), &up);
        assert_eq!((decision.chosen, decision.looked_at[0].verdict), (None, verdict), "{rule:?}");
        let why = &decision.looked_at[0].why;
        assert!(why.ends_with('.') && why.len() > 15, "{why}");
    }
    let mut off = route(1, 0, to(&[1]));
    off.active = false;
    assert_eq!(made(vec![off]).explain(&ask(), &up).looked_at[0].verdict, Verdict::Inactive);
}

/// For each condition a rule that does not take [`ask`].
fn refusing() -> Vec<(RouteRule, Verdict)> {
    let list = |entries: &[&str]| entries.iter().map(|entry| (*entry).to_owned()).collect::<Vec<_>>();
    let later = TimeWindow { from: "09:01".to_owned(), to: "12:00".to_owned(), ..TimeWindow::default() };
    let sunday = TimeWindow { days: vec![Day::Sun], ..TimeWindow::default() };
    let rule = || to(&[1]);
    vec![
        (RouteRule { accounts: vec![AccountId::from_raw(9)], ..rule() }, Verdict::OtherAccount),
        (RouteRule { sources: vec![Source::Smpp], ..rule() }, Verdict::OtherSource),
        (RouteRule { senders: list(&["OTHER", "ACMEB*"]), ..rule() }, Verdict::OtherSender),
        (RouteRule { not_senders: list(&["ac*"]), ..rule() }, Verdict::OtherSender),
        (RouteRule { recipient_prefixes: list(&["337", "44"]), ..rule() }, Verdict::OtherRecipient),
        (RouteRule { not_recipient_prefixes: list(&["336"]), ..rule() }, Verdict::OtherRecipient),
        (RouteRule { intents: vec![Intent::Otp, Intent::Marketing], ..rule() }, Verdict::OtherIntent),
        (RouteRule { countries: list(&["DE", "MA"]), ..rule() }, Verdict::OtherCountry),
        (RouteRule { not_countries: list(&["FR"]), ..rule() }, Verdict::OtherCountry),
        (RouteRule { networks: list(&["208-01", "214"]), ..rule() }, Verdict::OtherNetwork),
        (RouteRule { not_networks: list(&["208"]), ..rule() }, Verdict::OtherNetwork),
        (RouteRule { service_types: list(&["CMT"]), ..rule() }, Verdict::OtherServiceType),
        (RouteRule { encodings: list(&["ucs2"]), ..rule() }, Verdict::OtherEncoding),
        (RouteRule { parts: Some(Span { min: Some(2), max: None }), ..rule() }, Verdict::OtherSize),
        (RouteRule { octets: Some(Span { min: Some(1), max: None }), ..rule() }, Verdict::OtherSize),
        (RouteRule { tlvs: vec![TlvMatch { tag: 0x1401, hex: None }], ..rule() }, Verdict::OtherTlv),
        (RouteRule { times: vec![later], ..rule() }, Verdict::OtherTime),
        (RouteRule { times: vec![sunday], ..rule() }, Verdict::OtherTime),
        (RouteRule { keywords: list(&["sale"]), ..rule() }, Verdict::OtherContent),
        (RouteRule { patterns: list(&[r"\d{6}"]), ..rule() }, Verdict::OtherContent),
        (RouteRule { not_patterns: list(&["^$"]), ..rule() }, Verdict::OtherContent),
        (RouteRule { traffic: vec![Traffic::Otp], ..rule() }, Verdict::OtherTraffic),
    ]
}

/// A rule with every condition, and a message that meets them all.
fn everything() -> RouteRule {
    let list = |entries: &[&str]| entries.iter().map(|entry| (*entry).to_owned()).collect::<Vec<_>>();
    RouteRule {
        accounts: vec![AccountId::from_raw(9)],
        not_accounts: vec![AccountId::from_raw(8)],
        sources: vec![Source::Smpp],
        intents: vec![Intent::Transactional],
        traffic: vec![Traffic::Otp],
        senders: list(&["ac*"]),
        not_senders: list(&["ACME2"]),
        recipient_prefixes: list(&["336", "44"]),
        not_recipient_prefixes: list(&["3369"]),
        countries: list(&["FR"]),
        not_countries: list(&["DE"]),
        networks: list(&["208"]),
        not_networks: list(&["208-01"]),
        service_types: list(&["CMT"]),
        encodings: list(&["gsm7"]),
        parts: Some(Span { min: Some(1), max: Some(1) }),
        octets: Some(Span { min: None, max: Some(160) }),
        keywords: list(&["CODE"]),
        not_keywords: list(&["sale"]),
        patterns: list(&[r"^your"]),
        not_patterns: list(&["http"]),
        times: vec![TimeWindow {
            days: vec![Day::Fri],
            from: "10:00".to_owned(),
            to: "10:30".to_owned(),
            zone: "Europe/Paris".to_owned(),
        }],
        tlvs: vec![TlvMatch { tag: 0x1401, hex: Some("0a".to_owned()) }],
        strategy: Choice::Failover,
        targets: to(&[1]).targets,
    }
}

#[test]
fn what_every_condition_takes_goes() {
    let tlvs = [(0x1401, "0a".to_owned())];
    let text = "Your code is 482913";
    let mut ask = Ask {
        text: Some(text),
        octets: text.as_bytes(),
        service_type: "CMT",
        tlvs: Tlvs::Kept(&tlvs),
        ..Ask::new(TENANT, Some(AccountId::from_raw(9)), "ACME", "33612345678", Intent::Transactional)
    };
    let routes = made(vec![route(1, 0, everything())]);
    assert_eq!(chosen(&routes, &ask, up), Some((1, 1, false)), "{:?}", routes.explain(&ask, &up));
    ask.at = Some(NOW.plus_ms(30 * 60_000));
    ask.found = Default::default();
    assert_eq!(routes.explain(&ask, &up).looked_at[0].verdict, Verdict::OtherTime);
}

#[test]
fn the_next_target_stands_by() {
    let routes = made(vec![route(1, 0, to(&[1, 2, 3]))]);
    let first_down = |id: ConnectionId| if id.raw() == 1 { Liveness::Down } else { Liveness::Up };
    assert_eq!(chosen(&routes, &ask(), first_down), Some((1, 2, false)));
}

#[test]
fn where_all_are_down_the_message_waits_at_the_first_that_is_not_stopped() {
    let routes = made(vec![route(1, 9, to(&[1, 2, 3])), route(2, 0, to(&[4]))]);
    let alive = |id: ConnectionId| match id.raw() {
        1 => Liveness::Stopped,
        2 | 3 => Liveness::Down,
        _ => Liveness::Up,
    };
    assert_eq!(chosen(&routes, &ask(), alive), Some((1, 2, true)));
    let decision = routes.explain(&ask(), &alive);
    assert_eq!(decision.looked_at.len(), 1);
    assert_eq!(decision.looked_at[0].verdict, Verdict::Waits);
    assert!(decision.looked_at[0].why.contains("waits"));
}

#[test]
fn a_rule_without_any_usable_connection_passes_to_the_next() {
    let routes = made(vec![route(1, 9, to(&[1, 2, 3])), route(2, 0, to(&[4]))]);
    let alive = |id: ConnectionId| match id.raw() {
        1 => Liveness::Stopped,
        2 => Liveness::Draining,
        3 => Liveness::Unknown,
        _ => Liveness::Up,
    };
    let decision = routes.explain(&ask(), &alive);
    assert_eq!(decision.looked_at[0].verdict, Verdict::NoConnection);
    assert_eq!(decision.chosen.map(|chosen| chosen.connection.raw()), Some(4));
}

#[test]
fn another_tenants_routes_are_never_asked() {
    let routes = made(vec![route(1, 0, to(&[1]))]);
    let stranger = Ask { tenant: TenantId::from_raw(2), ..ask() };
    assert_eq!(routes.decide(&stranger, &up), None);
    assert_eq!(routes.explain(&stranger, &up).looked_at, []);
}

#[test]
fn the_reason_names_what_did_not_fit() {
    let rule = RouteRule { recipient_prefixes: (1..=9).map(|n| format!("4{n}")).collect(), ..to(&[1]) };
    let decision = made(vec![route(1, 0, rule)]).explain(&ask(), &up);
    assert_eq!(
        decision.looked_at[0].why,
        "It is for numbers that begin with 41, 42, 43, 44, 45 and 4 more; 33612345678 does not."
    );
}

#[test]
fn what_is_kept_is_told_as_it_was() {
    let other = RouteRule { senders: vec!["OTHER".to_owned()], ..to(&[1]) };
    let rules = vec![route(1, 9, other), route(2, 5, to(&[1, 2])), route(3, 0, to(&[3]))];
    let first_down = |id: ConnectionId| if id.raw() == 1 { Liveness::Down } else { Liveness::Up };
    let routes = made(rules.clone());
    let (chosen, kept) = routes.decide_and_keep(&ask(), &first_down).unwrap();
    assert_eq!((chosen.route.raw(), chosen.connection.raw()), (2, 2));
    // As long as nothing is changed, it is told in the words of then, whatever the connections do since.
    assert_eq!(routes.tell(&ask(), kept.clone()), routes.explain(&ask(), &first_down).looked_at);
    let mut changed = rules;
    changed[0].revision = 2;
    changed[0].rule.senders.clear();
    changed.remove(1);
    let told = made(changed).tell(&ask(), kept);
    assert_eq!(told[0].why, "It was for other senders. The rule has been changed since.");
    assert_eq!(told[1].why, "It took the message. The rule has been deleted since.");
    assert_eq!(told[1].passed_over[0].state, Liveness::Down);
    assert_eq!(told[1].name, RouteId::from_raw(2).to_string());
}

#[test]
fn of_very_many_rules_the_last_is_kept_too() {
    let others = (1..200).map(|id| route(id, 9, RouteRule { senders: vec!["OTHER".to_owned()], ..to(&[1]) }));
    let routes = made(others.chain([route(200, 0, to(&[1]))]).collect());
    let (_, kept) = routes.decide_and_keep(&ask(), &up).unwrap();
    assert_eq!((kept.len(), kept.last().unwrap().route.raw()), (KEPT_MAX, 200));
    assert_eq!(kept[0].route.raw(), 1);
}

#[test]
fn of_very_many_rules_the_recipient_leaves_few_to_be_asked() {
    let prefixes = |id: i64| RouteRule { recipient_prefixes: vec![format!("{:03}", 100 + id)], ..to(&[id]) };
    let rules = (0..400).map(|id| route(id, 0, prefixes(id))).chain([route(500, -1, to(&[500]))]).collect();
    let routes = made(rules);
    for (recipient, expected) in
        [("336123", 236), ("499123", 399), ("100123", 0), ("999123", 500), ("3", 500), ("", 500)]
    {
        let ask = Ask { recipient, ..ask() };
        let explained = routes.explain(&ask, &up);
        assert_eq!(chosen(&routes, &ask, up), Some((expected, expected, false)), "{recipient}");
        assert_eq!(explained.chosen.map(|chosen| chosen.route.raw()), Some(expected));
        let (_, kept) = routes.decide_and_keep(&ask, &up).unwrap();
        let told: Vec<_> = kept.iter().map(|kept| kept.route).collect();
        let mut asked: Vec<_> = explained.looked_at.iter().map(|looked| looked.route).collect();
        if asked.len() > KEPT_MAX {
            asked = [&asked[..KEPT_MAX - 1], &asked[asked.len() - 1..]].concat();
        }
        assert_eq!(told, asked, "{recipient}");
    }
}

fn with(strategy: Choice, targets: &[i64]) -> RouteRule {
    RouteRule { strategy, ..to(targets) }
}

/// How often each connection was chosen.
fn shares(routes: &Routes, times: usize, board: &impl Board) -> HashMap<i64, usize> {
    let mut shares = HashMap::new();
    for _ in 0..times {
        *shares.entry(routes.decide(&ask(), board).unwrap().connection.raw()).or_default() += 1;
    }
    shares
}

#[test]
fn turns_are_taken_and_the_dead_are_left_out() {
    let routes = made(vec![route(1, 0, with(Choice::RoundRobin, &[1, 2, 3]))]);
    let order: Vec<_> = (0..6).map(|_| chosen(&routes, &ask(), up).unwrap().1).collect();
    assert_eq!(order, [1, 2, 3, 1, 2, 3]);
    let second_down = |id: ConnectionId| if id.raw() == 2 { Liveness::Down } else { Liveness::Up };
    assert_eq!(shares(&routes, 100, &second_down), HashMap::from([(1, 50), (3, 50)]));
    // Looking moves nothing on, and says whose turn it was not.
    let looked = routes.explain(&ask(), &second_down);
    assert_eq!(looked.chosen, routes.explain(&ask(), &second_down).chosen);
    let reasons: Vec<_> = looked.looked_at[0].passed_over.iter().map(|one| (one.state, one.reason)).collect();
    assert!(reasons.contains(&(Liveness::Down, None)), "{reasons:?}");
    assert!(reasons.contains(&(Liveness::Up, Some(Passed::NotItsTurn))), "{reasons:?}");
    // With all down they wait in turns too.
    let down = |_: ConnectionId| Liveness::Down;
    assert_eq!(shares(&routes, 90, &down).len(), 3);
    assert!(routes.decide(&ask(), &down).unwrap().waits);
}

#[test]
fn turns_outlive_other_changes() {
    let rules = vec![route(1, 0, with(Choice::RoundRobin, &[1, 2, 3]))];
    let routes = made(rules.clone());
    assert_eq!(chosen(&routes, &ask(), up).unwrap().1, 1);
    let more = [rules, vec![route(2, -1, to(&[4]))]].concat();
    let next = Routes::following(more, routes.world().clone(), &routes);
    assert_eq!(chosen(&next, &ask(), up).unwrap().1, 2);
    let changed = vec![Route { priority: 7, ..route(1, 0, with(Choice::RoundRobin, &[1, 2, 3])) }];
    let after = Routes::following(changed, routes.world().clone(), &next);
    assert_eq!(chosen(&after, &ask(), up).unwrap().1, 3);
    let elsewhere = vec![route(1, 0, with(Choice::RoundRobin, &[1, 2]))];
    let elsewhere = Routes::following(elsewhere, routes.world().clone(), &after);
    assert_eq!(chosen(&elsewhere, &ask(), up).unwrap().1, 1);
}

#[test]
fn weighted_turns_keep_their_shares() {
    let mut rule = with(Choice::Weighted, &[1, 2, 3]);
    for (target, weight) in rule.targets.iter_mut().zip([70, 25, 5]) {
        target.weight = weight;
    }
    let routes = made(vec![route(1, 0, rule)]);
    let shares = shares(&routes, 10_000, &up);
    for (id, share) in [(1, 7_000_usize), (2, 2_500), (3, 500)] {
        assert!(shares[&id].abs_diff(share) <= 200, "{id}: {}", shares[&id]);
    }
}

struct Measured;

impl Board for Measured {
    fn liveness(&self, _: ConnectionId) -> Liveness {
        Liveness::Up
    }

    fn load(&self, connection: ConnectionId) -> u64 {
        [900, 100, 500][usize::try_from(connection.raw()).unwrap() - 1]
    }
}

#[test]
fn the_least_load_and_the_least_cost_are_chosen() {
    let routes = made(vec![route(1, 0, with(Choice::LeastLoad, &[1, 2, 3]))]);
    assert_eq!(shares(&routes, 10, &Measured), HashMap::from([(2, 10)]));
    // Of equals each in its turn.
    assert_eq!(shares(&routes, 30, &up), HashMap::from([(1, 10), (2, 10), (3, 10)]));
    let mut rule = with(Choice::LeastCost, &[1, 2, 3, 4]);
    for (target, amount_milli) in rule.targets.iter_mut().skip(1).zip([4_000, 3_500, 3_500]) {
        target.cost = Some(Cost { amount_milli, currency: "EUR".to_owned() });
    }
    let routes = made(vec![route(1, 0, rule)]);
    assert_eq!(shares(&routes, 10, &up), HashMap::from([(3, 10)]));
    let passed = routes.explain(&ask(), &up).looked_at[0].passed_over.clone();
    let reasons: Vec<_> = passed.iter().map(|one| (one.connection.raw(), one.reason.unwrap())).collect();
    assert_eq!(reasons, [(1, Passed::Dearer), (2, Passed::Dearer), (4, Passed::StandsBy)]);
    let third_down = |id: ConnectionId| if id.raw() == 3 { Liveness::Down } else { Liveness::Up };
    assert_eq!(shares(&routes, 10, &third_down), HashMap::from([(4, 10)]));
}

#[test]
fn a_recipient_keeps_its_connection_while_that_is_up() {
    let routes = made(vec![route(1, 0, with(Choice::Sticky, &[1, 2, 3, 4]))]);
    let numbers: Vec<String> = (0..2_000).map(|n| format!("336{n:08}")).collect();
    let of = |number: &str, alive: fn(ConnectionId) -> Liveness| {
        routes.decide(&Ask { recipient: number, ..ask() }, &alive).unwrap().connection.raw()
    };
    let second_down = |id: ConnectionId| if id.raw() == 2 { Liveness::Down } else { Liveness::Up };
    let mut shares: HashMap<i64, usize> = HashMap::new();
    for number in &numbers {
        let connection = of(number, up);
        *shares.entry(connection).or_default() += 1;
        assert_eq!(of(number, up), connection);
        let without = of(number, second_down);
        assert_eq!(without == connection, connection != 2, "only those of the dead one move");
    }
    assert!(shares.values().all(|share| (400..600).contains(share)), "{shares:?}");
}

#[test]
fn what_is_switched_off_is_never_chosen() {
    for strategy in Choice::ALL {
        let mut rule = with(strategy, &[1, 2]);
        rule.targets[0].enabled = false;
        let routes = made(vec![route(1, 0, rule)]);
        assert_eq!(shares(&routes, 4, &up), HashMap::from([(2, 4)]), "{strategy:?}");
        let passed = routes.explain(&ask(), &up).looked_at[0].passed_over.clone();
        assert_eq!(passed[0].reason, Some(Passed::Disabled), "{strategy:?}");
    }
}

fn some_rule() -> impl Strategy<Value = RouteRule> {
    let one_condition = prop::sample::select(
        [refusing().into_iter().map(|(rule, _)| rule).collect(), vec![everything()]].concat(),
    );
    let simple = (
        prop::collection::vec(0..3_i64, 0..2),
        prop::collection::vec("[ab]{1,2}\\*?", 0..2),
        prop::collection::vec("[12]{1,2}", 0..3),
        prop::collection::vec("[12]{1,2}", 0..2),
        prop::collection::vec(prop::sample::select(Intent::ALL.to_vec()), 0..2),
    )
        .prop_map(|(accounts, senders, recipient_prefixes, not_recipient_prefixes, intents)| RouteRule {
            accounts: accounts.into_iter().map(AccountId::from_raw).collect(),
            senders,
            recipient_prefixes,
            not_recipient_prefixes,
            intents,
            ..RouteRule::default()
        });
    let target = (0..4_i64, 1..4_u16, prop::option::of(0..3_u64), prop::bool::weighted(0.8));
    (
        prop_oneof![4 => simple, 1 => one_condition],
        prop::sample::select(Choice::ALL.to_vec()),
        prop::collection::vec(target, 1..4),
    )
        .prop_map(|(rule, strategy, targets)| {
            let targets = targets.into_iter().map(|(id, weight, cost, enabled)| Target {
                connection: ConnectionId::from_raw(id),
                weight,
                cost: cost.map(|amount_milli| Cost { amount_milli, currency: "EUR".to_owned() }),
                enabled,
            });
            RouteRule { strategy, targets: targets.collect(), ..rule }
        })
}

proptest! {
    #[test]
    fn the_quick_answer_and_the_explained_one_agree(
        rules in prop::collection::vec((some_rule(), -2..3_i32, any::<bool>()), 0..8),
        account in prop::option::of(0..3_i64),
        sender in "[abAB]{0,3}",
        recipient in "[12]{1,4}",
        intent in prop::sample::select(Intent::ALL.to_vec()),
        text in prop::sample::select(vec!["", "Your code is 482913", "50% off sale, http://x.example STOP to opt out"]),
        states in prop::collection::vec(0..5_usize, 4),
        turns in 0..3_usize,
    ) {
        let routes = made(
            rules
                .into_iter()
                .enumerate()
                .map(|(id, (rule, priority, active))| Route { active, ..route(id as i64, priority, rule) })
                .collect(),
        );
        let states: Vec<_> = states
            .into_iter()
            .map(|at| [Liveness::Up, Liveness::Down, Liveness::Stopped, Liveness::Draining, Liveness::Unknown][at])
            .collect();
        let alive = |id: ConnectionId| states[usize::try_from(id.raw()).unwrap()];
        let account = account.map(AccountId::from_raw);
        let ask = Ask { text: Some(text), octets: text.as_bytes(), ..Ask::new(TENANT, account, &sender, &recipient, intent) };
        for _ in 0..turns {
            let _ = routes.decide(&ask, &alive);
        }
        let explained = routes.explain(&ask, &alive);
        prop_assert_eq!(&routes.explain(&ask, &alive), &explained);
        let kept = routes.decide_and_keep(&ask, &alive);
        prop_assert_eq!(kept.as_ref().map(|(chosen, _)| *chosen), explained.chosen);
        // Whoever is chosen takes messages, or is expected back; and nobody before it took the message.
        if let Some((chosen, kept)) = kept {
            let state = alive(chosen.connection);
            prop_assert_eq!(state, if chosen.waits { Liveness::Down } else { Liveness::Up });
            prop_assert_eq!(explained.looked_at.last().map(|last| last.route), Some(chosen.route));
            prop_assert_eq!(&routes.tell(&ask, kept), &explained.looked_at);
        } else {
            prop_assert_eq!(explained.looked_at.len(), routes.of(TENANT).count());
        }
    }
}

/// What a decision costs, as ratios: run it alone, `cargo test -p messaging --release cost_of -- --ignored --nocapture`.
#[test]
#[ignore = "it measures, and proves nothing on a busy machine"]
fn the_cost_of_a_decision() {
    let prefixes: Vec<String> = (0..2_000).map(|n| format!("{}", 40_000 + n * 7)).collect();
    let many = |rules: i64, rule: &dyn Fn(i64) -> RouteRule| {
        made((0..rules).map(|id| route(id, 0, rule(id))).chain([route(5_000, -9, to(&[1]))]).collect())
    };
    let by_prefix = |id: i64| RouteRule { recipient_prefixes: vec![format!("{}", 40_000 + id)], ..to(&[1]) };
    let by_sender = |id: i64| RouteRule { senders: vec![format!("SENDER{id}")], ..to(&[1]) };
    let large = |_: i64| RouteRule { recipient_prefixes: prefixes.clone(), ..to(&[1]) };
    let cases = [
        ("1 rule", many(0, &by_prefix)),
        ("100 rules by prefix", many(100, &by_prefix)),
        ("1,000 rules by prefix", many(1_000, &by_prefix)),
        ("100 rules by sender", many(100, &by_sender)),
        ("1,000 rules by sender", many(1_000, &by_sender)),
        ("1 rule of 2,000 prefixes", many(1, &large)),
    ];
    let mut first = 0.0;
    for (name, routes) in &cases {
        let begun = std::time::Instant::now();
        for _ in 0..20_000 {
            std::hint::black_box(routes.decide(std::hint::black_box(&ask()), &up));
        }
        let each = begun.elapsed().as_secs_f64() / 20_000.0 * 1e9;
        if first == 0.0 {
            first = each;
        }
        eprintln!("{name}: {each:.0} ns, {:.1} times one rule", each / first);
    }
}
