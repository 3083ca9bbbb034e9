use std::collections::{BTreeMap, BTreeSet};

use db::{Tenancy, args, sql};
use identity::role::custom::{self, Grantable, NewRole};
use identity::role::{explain, rights};
use identity::team::{self, NewTeam};
use identity::user::{self, NewUser};
use runtime::{Actor, Origin, Scope};
use serde_json::json;
use types::{Code, MessageId, Permission, Reach, Result, Timestamp, UserId};

use crate::dead_letter::{self, DeadFilter, redrive};
use crate::engine::Engine;
use crate::gate::held;
use crate::message::query::{self, MessageFilter};
use crate::message::{State, cancel, pdu, replace, submit, timeline};
use crate::queue::steer::{Action, Selection, steer};
use crate::route::replay;
use crate::tests::House;

/// What there is about messages that can be held for some people's alone.
const ABOUT_MESSAGES: [Permission; 9] = [
    Permission::MessageView,
    Permission::MessagePdu,
    Permission::MessageCancel,
    Permission::MessageReplace,
    Permission::QueueHold,
    Permission::QueueRelease,
    Permission::DeadLetterView,
    Permission::DeadLetterExport,
    Permission::DeadLetterRedrive,
];

/// What everybody here holds beside that.
const BESIDE: [Permission; 4] =
    [Permission::MessageSend, Permission::IdentifierView, Permission::ContentView, Permission::RouteReplay];

async fn role(house: &House, name: &str, reaches: &[(Permission, Reach)]) {
    let beside = BESIDE.iter().map(|one| (*one, Reach::All));
    let permissions: BTreeMap<String, Reach> = reaches
        .iter()
        .copied()
        .chain(beside)
        .map(|(permission, reach)| (permission.as_str().to_owned(), reach))
        .collect();
    let new = NewRole { name: name.to_owned(), permissions: Grantable(permissions), ..NewRole::default() };
    custom::create(&house.ours, new).await.unwrap();
}

async fn person(house: &House, name: &str, role: &str) -> UserId {
    let new = NewUser {
        email: format!("{name}@example.com"),
        name: name.to_owned(),
        role: role.to_owned(),
        language: None,
        password_hash: None,
    };
    user::create(&house.ours, new).await.unwrap().id
}

/// What somebody may do now, as signing in finds it.
async fn scope(house: &House, id: UserId) -> Scope {
    let (tenant, now) = (house.ours.tenant(), house.runtime.clock.now());
    let mut tx = house.ours.read().await.unwrap();
    let held = rights::of_user(&mut tx, tenant, id, now).await.unwrap().held(now);
    Scope::grant(house.runtime.clone(), tenant, Actor::User(id), held, Origin::default())
}

async fn sends(scope: &Scope, engine: &Engine, more: serde_json::Value) -> MessageId {
    let mut message = json!({ "to": "+33612345678", "text": "Hello" });
    message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    submit::send(scope, engine, &serde_json::from_value(message).unwrap()).await.unwrap().id
}

/// So far ahead that nothing of it leaves.
fn later(house: &House) -> serde_json::Value {
    json!({ "schedule_at": house.runtime.clock.now().plus_ms(3_600_000) })
}

fn code<T>(result: Result<T>) -> Code {
    result.err().expect("it is refused").code()
}

/// Ana and Ben share a team, Cleo is alone; each has sent a message, and a system another one.
struct Office {
    house: House,
    engine: Engine,
    people: [UserId; 3],
    sent: [MessageId; 3],
    nobodys: MessageId,
}

impl Office {
    async fn open(reach: Reach) -> Self {
        let house = House::build().await;
        let engine = house.engine_without_carrier().await;
        role(&house, "office", &ABOUT_MESSAGES.map(|one| (one, reach))).await;
        let mut people = Vec::new();
        for name in ["ana", "ben", "cleo"] {
            people.push(person(&house, name, "office").await);
        }
        let members = vec![people[0], people[1]];
        team::create(&house.ours, NewTeam { name: "Desk".to_owned(), members, ..NewTeam::default() })
            .await
            .unwrap();
        let mut sent = Vec::new();
        for id in &people {
            sent.push(sends(&scope(&house, *id).await, &engine, later(&house)).await);
        }
        let nobodys = sends(&house.ours, &engine, later(&house)).await;
        let (people, sent) = (people.try_into().unwrap(), sent.try_into().unwrap());
        Self { house, engine, people, sent, nobodys }
    }

    async fn of(&self, person: usize) -> Scope {
        scope(&self.house, self.people[person]).await
    }
}

async fn listed(scope: &Scope, filter: MessageFilter) -> BTreeSet<MessageId> {
    query::list(scope, &filter).await.unwrap().items.into_iter().map(|one| one.id).collect()
}

#[tokio::test]
async fn each_reader_shows_ones_own_messages_and_no_other() {
    let office = Office::open(Reach::Own).await;
    let (ana, engine, house) = (office.of(0).await, &office.engine, &office.house);
    let [mine, bens, cleos] = office.sent;
    assert_eq!(listed(&ana, MessageFilter::default()).await, BTreeSet::from([mine]));
    let named = MessageFilter { owner: Some(office.people[1]), ..MessageFilter::default() };
    assert_eq!(listed(&ana, named.clone()).await, BTreeSet::new());
    assert_eq!(listed(&house.ours, named).await, BTreeSet::from([bens]));
    let all = BTreeSet::from([mine, bens, cleos, office.nobodys]);
    assert_eq!(listed(&house.ours, MessageFilter::default()).await, all);
    assert_eq!(listed(&house.theirs, MessageFilter::default()).await, BTreeSet::new());
    assert_eq!(query::get(&ana, mine).await.unwrap().owner, Some(office.people[0]));
    assert_eq!(query::get(&house.ours, office.nobodys).await.unwrap().owner, None);

    let text = replace::Replace { text: Some("Another".to_owned()), ..replace::Replace::default() };
    for other in [bens, cleos, office.nobodys] {
        assert_eq!(code(query::get(&ana, other).await), Code::NotFound);
        assert_eq!(code(timeline::timeline(&ana, other).await), Code::NotFound);
        assert_eq!(code(query::why(&ana, engine, other).await), Code::NotFound);
        assert_eq!(code(pdu::pdus(&ana, other).await), Code::NotFound);
        assert_eq!(code(pdu::content(&ana, other).await), Code::NotFound);
        assert_eq!(code(replace::replace(&ana, engine, other, &text).await), Code::NotFound);
        assert_eq!(code(cancel::cancel(&ana, engine, other).await), Code::NotFound);
        assert_eq!(code(held::release(&ana, other).await), Code::NotFound);
    }
    assert_eq!(timeline::timeline(&ana, mine).await.unwrap()[0].what, "accepted");
    assert!(query::why(&ana, engine, mine).await.unwrap().now.is_empty(), "routes are not hers to see");
    assert!(!pdu::pdus(&ana, mine).await.unwrap().is_empty());
    assert_eq!(replace::replace(&ana, engine, mine, &text).await.unwrap().text.as_deref(), Some("Another"));

    // Figures are of hers alone, and the tenant's books are not hers.
    let sums = query::sums(&ana).await.unwrap();
    let states: Vec<_> = sums.states.iter().map(|state| (state.name.as_str(), state.n)).collect();
    assert_eq!((states, sums.accepted, sums.balanced), (vec![("scheduled", 1)], None, None));
    assert_eq!(query::sums(&house.ours).await.unwrap().accepted, Some(4));
    let since = Timestamp::from_unix_ms(house.runtime.clock.now().unix_ms() - 60_000);
    let flow = query::flow_since(&ana, since).await.unwrap();
    assert_eq!(flow.iter().map(|one| (one.name.as_str(), one.n)).collect::<Vec<_>>(), [("accepted", 1)]);
    assert_eq!(code(replay::replay(&ana, &replay::Replay::default(), engine.queue()).await), Code::Forbidden);
    assert_eq!(cancel::cancel(&ana, engine, mine).await.unwrap().state, State::Cancelled);
    let flow = query::flow_since(&ana, since).await.unwrap();
    assert_eq!(
        flow.iter().map(|one| (one.name.as_str(), one.n)).collect::<Vec<_>>(),
        [("accepted", 1), ("cancelled", 1)]
    );
    assert_eq!(query::states_now(&ana).await.unwrap()[0].name, "cancelled");
}

#[tokio::test]
async fn a_team_sees_what_its_people_have_sent_page_by_page() {
    let office = Office::open(Reach::Team).await;
    let (ana, cleo) = (office.of(0).await, office.of(2).await);
    let [mine, bens, cleos] = office.sent;
    assert_eq!(listed(&ana, MessageFilter::default()).await, BTreeSet::from([mine, bens]));
    assert_eq!(listed(&cleo, MessageFilter::default()).await, BTreeSet::from([cleos]));
    let ben = office.of(1).await;
    let mut expected = vec![mine, bens];
    for n in 0..7 {
        let by = if n % 3 == 0 { &ben } else { &ana };
        let to = json!({ "to": if n % 2 == 0 { "+33612345678" } else { "+33699999999" } });
        let mut more = later(&office.house);
        more.as_object_mut().unwrap().extend(to.as_object().unwrap().clone());
        expected.push(sends(by, &office.engine, more).await);
        sends(&cleo, &office.engine, later(&office.house)).await;
    }
    expected.sort_unstable();
    expected.reverse();
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let filter = MessageFilter { after, limit: Some("2".to_owned()), ..MessageFilter::default() };
        let page = query::list(&ana, &filter).await.unwrap();
        found.extend(page.items.iter().map(|one| one.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found, expected);
    let odd = MessageFilter { to: Some("+33699999999".to_owned()), ..MessageFilter::default() };
    assert_eq!(listed(&ana, odd).await.len(), 3);
    let bens_alone = MessageFilter { owner: Some(office.people[1]), ..MessageFilter::default() };
    assert_eq!(listed(&ana, bens_alone).await.len(), 4);
    let cleos_alone = MessageFilter { owner: Some(office.people[2]), ..MessageFilter::default() };
    assert_eq!(listed(&ana, cleos_alone).await, BTreeSet::new());
    assert_eq!(query::get(&ana, bens).await.unwrap().id, bens);
    assert_eq!(query::sums(&ana).await.unwrap().states[0].n, 9);
}

#[tokio::test]
async fn everything_is_ones_own_where_one_steers_everything() {
    let office = Office::open(Reach::Own).await;
    let (ana, engine, house) = (office.of(0).await, &office.engine, &office.house);
    let [mine, bens, _] = office.sent;
    let all = Selection { all: true, ..Selection::default() };
    let state = async |id| query::get(&house.ours, id).await.unwrap();
    assert_eq!(steer(&ana, engine, Action::Hold, &all).await.unwrap().done, 1);
    assert!(state(mine).await.held_by.is_some() && state(bens).await.held_by.is_none());
    let every = Selection { ids: office.sent.to_vec(), ..Selection::default() };
    assert_eq!(steer(&house.ours, engine, Action::Hold, &every).await.unwrap().done, 2);
    assert_eq!(steer(&ana, engine, Action::Release, &all).await.unwrap().done, 1);
    assert!(state(mine).await.held_by.is_none() && state(bens).await.held_by.is_some());
    assert_eq!(steer(&ana, engine, Action::Cancel, &all).await.unwrap().done, 1);
    assert_eq!((state(mine).await.state, state(bens).await.state), (State::Cancelled, State::Scheduled));
}

#[tokio::test]
async fn dead_letters_are_ones_own_and_stay_so_when_they_are_sent_again() {
    let office = Office::open(Reach::Own).await;
    let (ana, engine, house) = (office.of(0).await, &office.engine, &office.house);
    let [mine, bens, _] = office.sent;
    let mut tx = house.runtime.db.write(Tenancy::Every).await.unwrap();
    let died = tx.execute(
        sql!(
            "update message set state = 'rejected', error = 'ESME_RINVDSTADR', wake_at = null, done_at = accepted_at \
             where tenant_id = $1"
        ),
        args![house.ours.tenant()],
    );
    assert_eq!(died.await.unwrap(), 4);
    tx.commit().await.unwrap();
    let filter = DeadFilter::default();
    let shown = dead_letter::list(&ana, &filter).await.unwrap().items;
    assert_eq!(shown.iter().map(|one| one.message.id).collect::<Vec<_>>(), [mine]);
    assert_eq!(dead_letter::reasons(&ana, &filter).await.unwrap()[0].n, 1);
    assert_eq!(dead_letter::reasons(&house.ours, &filter).await.unwrap()[0].n, 4);
    let file = String::from_utf8(dead_letter::export(&ana, &filter).await.unwrap()).unwrap();
    assert_eq!(file.lines().count(), 2, "{file}");
    let ids = |ids: &[MessageId]| redrive::Redrive { ids: ids.to_vec(), ..redrive::Redrive::default() };
    assert_eq!(code(redrive::redrive(&ana, engine, &ids(&[bens])).await), Code::NotFound);
    let fitting = redrive::Redrive { filter: Some(filter), ..redrive::Redrive::default() };
    let again = redrive::redrive(&ana, engine, &fitting).await.unwrap().redriven;
    assert_eq!(again.iter().map(|one| one.message).collect::<Vec<_>>(), [mine]);
    assert_eq!(query::get(&ana, again[0].new).await.unwrap().owner, Some(office.people[0]));
    let bens_again = redrive::redrive(&house.ours, engine, &ids(&[bens])).await.unwrap().redriven;
    let new = query::get(&house.ours, bens_again[0].new).await.unwrap();
    assert_eq!(new.owner, Some(office.people[1]), "it stays its sender's");
}

/// Small, and the same each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }
}

/// What an operation does with a message: it shows it, or does not; it goes as far as the message's state lets it, or not.
async fn goes(scope: &Scope, engine: &Engine, permission: Permission, id: MessageId) -> bool {
    let far = |code: Code| matches!(code, Code::NotCancellable | Code::Conflict | Code::InvalidValue);
    match permission {
        Permission::MessageView => query::get(scope, id).await.is_ok(),
        Permission::MessagePdu => pdu::pdus(scope, id).await.is_ok(),
        Permission::MessageCancel => {
            cancel::cancel(scope, engine, id).await.map_or_else(|error| far(error.code()), |_| true)
        }
        Permission::MessageReplace => {
            let nothing = replace::Replace::default();
            far(code(replace::replace(scope, engine, id, &nothing).await))
        }
        Permission::QueueRelease => far(code(held::release(scope, id).await)),
        other => unreachable!("{other:?} is not asked for one message"),
    }
}

#[tokio::test]
async fn the_explainer_says_of_messages_what_their_operations_do() {
    let house = House::build().await;
    let engine = house.engine_without_carrier().await;
    let mut chance = Chance(11);
    let mut people = Vec::new();
    for n in 0..8 {
        let reaches: Vec<_> = ABOUT_MESSAGES
            .into_iter()
            .filter_map(|one| {
                let reach = [None, Some(Reach::Own), Some(Reach::Team), Some(Reach::All)][chance.below(4)];
                reach.map(|reach| (one, reach))
            })
            .collect();
        role(&house, &format!("role-{n}"), &reaches).await;
        people.push(person(&house, &format!("p{n}"), &format!("role-{n}")).await);
    }
    for members in [&people[..3], &people[2..5]] {
        let (name, members) = (format!("from {}", members[0]), members.to_vec());
        team::create(&house.ours, NewTeam { name, members, ..NewTeam::default() }).await.unwrap();
    }
    let mut messages = vec![sends(&house.ours, &engine, later(&house)).await];
    let mut scopes = Vec::new();
    for id in &people {
        scopes.push(scope(&house, *id).await);
    }
    for scope in &scopes {
        messages.push(sends(scope, &engine, later(&house)).await);
    }
    let (mut allowed, mut refused) = (0, 0);
    for _ in 0..3_000 {
        let who = chance.below(people.len());
        let id = messages[chance.below(messages.len())];
        let told = async |permission: Permission| {
            let asked = explain::Question {
                who: Some(people[who].to_string()),
                permission: permission.as_str().to_owned(),
                record: Some(id.to_string()),
            };
            explain::explain(&house.ours, &asked).await.unwrap().allowed
        };
        let permission = [
            Permission::MessageView,
            Permission::MessagePdu,
            Permission::MessageCancel,
            Permission::MessageReplace,
            Permission::QueueRelease,
        ][chance.below(5)];
        // What is done about a message that one cannot see is refused as if it were not there.
        let seen = permission == Permission::QueueRelease || told(Permission::MessageView).await;
        let verdict = seen && told(permission).await;
        let went = goes(&scopes[who], &engine, permission, id).await;
        assert_eq!(verdict, went, "{permission:?} of {id} by {}", people[who]);
        allowed += usize::from(went);
        refused += usize::from(!went);
    }
    assert!(allowed > 500 && refused > 500, "{allowed} allowed, {refused} refused");
    let nowhere = explain::Question {
        permission: "message.view".to_owned(),
        who: Some(people[0].to_string()),
        record: Some(house.runtime.ids.next::<types::kind::Message>().to_string()),
    };
    assert_eq!(code(explain::explain(&house.ours, &nowhere).await), Code::NotFound);
}
