use super::*;
use crate::route::RouteRule;
use proptest::prelude::*;
use types::Timestamp;

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
        targets: targets.iter().copied().map(ConnectionId::from_raw).collect(),
        ..RouteRule::default()
    }
}

fn ask() -> Ask<'static> {
    Ask {
        tenant: TENANT,
        account: None,
        sender: "ACME",
        recipient: "33612345678",
        intent: Intent::Transactional,
    }
}

fn up(_: ConnectionId) -> Liveness {
    Liveness::Up
}

fn chosen(
    routes: &Routes,
    ask: &Ask<'_>,
    alive: impl Fn(ConnectionId) -> Liveness,
) -> Option<(i64, i64, bool)> {
    let chosen = routes.decide(ask, alive)?;
    Some((chosen.route.raw(), chosen.connection.raw(), chosen.waits))
}

#[test]
fn the_highest_priority_is_asked_first_and_of_equals_the_oldest() {
    let routes = Routes::new(vec![route(3, 5, to(&[3])), route(2, 9, to(&[2])), route(1, 5, to(&[1]))]);
    assert_eq!(chosen(&routes, &ask(), up), Some((2, 2, false)));
    let order: Vec<_> = routes.of(TENANT).iter().map(|route| route.id.raw()).collect();
    assert_eq!(order, [2, 1, 3]);
}

#[test]
fn each_condition_passes_over_what_it_does_not_take() {
    let account = Some(AccountId::from_raw(9));
    let cases = [
        (RouteRule { account, ..to(&[1]) }, Verdict::OtherAccount),
        (RouteRule { sender: Some("OTHER".to_owned()), ..to(&[1]) }, Verdict::OtherSender),
        (RouteRule { sender: Some("ACMEB*".to_owned()), ..to(&[1]) }, Verdict::OtherSender),
        (
            RouteRule { recipient_prefixes: vec!["44".to_owned(), "337".to_owned()], ..to(&[1]) },
            Verdict::OtherRecipient,
        ),
        (RouteRule { intents: vec![Intent::Otp, Intent::Marketing], ..to(&[1]) }, Verdict::OtherIntent),
    ];
    for (rule, verdict) in cases {
        let routes = Routes::new(vec![route(1, 0, rule.clone())]);
        let decision = routes.explain(&ask(), up);
        assert_eq!((decision.chosen, decision.looked_at[0].verdict), (None, verdict), "{rule:?}");
    }
    let mut off = route(1, 0, to(&[1]));
    off.active = false;
    assert_eq!(Routes::new(vec![off]).explain(&ask(), up).looked_at[0].verdict, Verdict::Inactive);
}

#[test]
fn what_every_condition_takes_goes() {
    let rule = RouteRule {
        account: Some(AccountId::from_raw(9)),
        sender: Some("ac*".to_owned()),
        recipient_prefixes: vec!["44".to_owned(), "336".to_owned()],
        intents: vec![Intent::Transactional],
        ..to(&[1])
    };
    let ask = Ask { account: rule.account, ..ask() };
    assert_eq!(chosen(&Routes::new(vec![route(1, 0, rule)]), &ask, up), Some((1, 1, false)));
}

#[test]
fn the_next_target_stands_by() {
    let routes = Routes::new(vec![route(1, 0, to(&[1, 2, 3]))]);
    let first_down = |id: ConnectionId| if id.raw() == 1 { Liveness::Down } else { Liveness::Up };
    assert_eq!(chosen(&routes, &ask(), first_down), Some((1, 2, false)));
}

#[test]
fn where_all_are_down_the_message_waits_at_the_first_that_is_not_stopped() {
    let routes = Routes::new(vec![route(1, 9, to(&[1, 2, 3])), route(2, 0, to(&[4]))]);
    let alive = |id: ConnectionId| match id.raw() {
        1 => Liveness::Stopped,
        2 | 3 => Liveness::Down,
        _ => Liveness::Up,
    };
    assert_eq!(chosen(&routes, &ask(), alive), Some((1, 2, true)));
    let decision = routes.explain(&ask(), alive);
    assert_eq!(decision.looked_at.len(), 1);
    assert_eq!(decision.looked_at[0].verdict, Verdict::Waits);
    assert!(decision.looked_at[0].why.contains("waits"));
}

#[test]
fn a_rule_without_any_usable_connection_passes_to_the_next() {
    let routes = Routes::new(vec![route(1, 9, to(&[1, 2, 3])), route(2, 0, to(&[4]))]);
    let alive = |id: ConnectionId| match id.raw() {
        1 => Liveness::Stopped,
        2 => Liveness::Draining,
        3 => Liveness::Unknown,
        _ => Liveness::Up,
    };
    let decision = routes.explain(&ask(), alive);
    assert_eq!(decision.looked_at[0].verdict, Verdict::NoConnection);
    assert_eq!(decision.chosen.map(|chosen| chosen.connection.raw()), Some(4));
}

#[test]
fn another_tenants_routes_are_never_asked() {
    let routes = Routes::new(vec![route(1, 0, to(&[1]))]);
    let stranger = Ask { tenant: TenantId::from_raw(2), ..ask() };
    assert_eq!(routes.decide(&stranger, up), None);
    assert_eq!(routes.explain(&stranger, up), Decision { chosen: None, looked_at: Vec::new() });
}

#[test]
fn the_reason_names_what_did_not_fit() {
    let rule = RouteRule { recipient_prefixes: (1..=9).map(|n| format!("4{n}")).collect(), ..to(&[1]) };
    let decision = Routes::new(vec![route(1, 0, rule)]).explain(&ask(), up);
    assert_eq!(
        decision.looked_at[0].why,
        "It is for numbers that begin with 41, 42, 43, 44, 45 and 4 more; 33612345678 does not."
    );
}

#[test]
fn a_sender_in_another_script_does_not_split_a_character() {
    assert!(!sender_matches("é*", "e"));
    assert!(!sender_matches("a*", "é"));
    assert!(sender_matches("acme*", "ACME Bank"));
}

#[test]
fn what_is_kept_is_told_as_it_was() {
    let other = RouteRule { sender: Some("OTHER".to_owned()), ..to(&[1]) };
    let rules = vec![route(1, 9, other), route(2, 5, to(&[1, 2])), route(3, 0, to(&[3]))];
    let first_down = |id: ConnectionId| if id.raw() == 1 { Liveness::Down } else { Liveness::Up };
    let routes = Routes::new(rules.clone());
    let (chosen, kept) = routes.decide_and_keep(&ask(), first_down).unwrap();
    assert_eq!((chosen.route.raw(), chosen.connection.raw()), (2, 2));
    // As long as nothing is changed, it is told in the words of then, whatever the connections do since.
    assert_eq!(routes.tell(&ask(), kept.clone()), routes.explain(&ask(), first_down).looked_at);
    let mut changed = rules;
    changed[0].revision = 2;
    changed[0].rule.sender = None;
    changed.remove(1);
    let told = Routes::new(changed).tell(&ask(), kept);
    assert_eq!(told[0].why, "It was for other senders. The rule has been changed since.");
    assert_eq!(told[1].why, "It took the message. The rule has been deleted since.");
    assert_eq!(told[1].passed_over[0].state, Liveness::Down);
    assert_eq!(told[1].name, RouteId::from_raw(2).to_string());
}

#[test]
fn of_very_many_rules_the_last_is_kept_too() {
    let others = (1..200).map(|id| route(id, 9, RouteRule { sender: Some("OTHER".to_owned()), ..to(&[1]) }));
    let routes = Routes::new(others.chain([route(200, 0, to(&[1]))]).collect());
    let (_, kept) = routes.decide_and_keep(&ask(), up).unwrap();
    assert_eq!((kept.len(), kept.last().unwrap().route.raw()), (KEPT_MAX, 200));
    assert_eq!(kept[0].route.raw(), 1);
}

fn some_rule() -> impl Strategy<Value = RouteRule> {
    (
        prop::option::of(0..3_i64),
        prop::option::of("[ab]{1,2}\\*?"),
        prop::collection::vec("[12]{1,2}", 0..3),
        prop::collection::vec(prop::sample::select(Intent::ALL.to_vec()), 0..2),
        prop::collection::vec(0..4_i64, 1..4),
    )
        .prop_map(|(account, sender, recipient_prefixes, intents, targets)| RouteRule {
            account: account.map(AccountId::from_raw),
            sender,
            recipient_prefixes,
            intents,
            targets: targets.into_iter().map(ConnectionId::from_raw).collect(),
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
        states in prop::collection::vec(0..5_usize, 4),
    ) {
        let routes = Routes::new(
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
        let ask = Ask { tenant: TENANT, account, sender: &sender, recipient: &recipient, intent };
        let explained = routes.explain(&ask, alive);
        prop_assert_eq!(routes.decide(&ask, alive), explained.chosen);
        // Whoever is chosen takes messages, or is expected back; and nobody before it took the message.
        if let Some(chosen) = explained.chosen {
            let state = alive(chosen.connection);
            prop_assert_eq!(state, if chosen.waits { Liveness::Down } else { Liveness::Up });
            prop_assert_eq!(explained.looked_at.last().map(|last| last.route), Some(chosen.route));
        } else {
            prop_assert_eq!(explained.looked_at.len(), routes.of(TENANT).len());
        }
    }
}
