//! Reviews: what they list, and what a decision does.

use identity::grant::{self, NewGrant};
use identity::review::{self, Decision, ReviewLine};
use identity::user::{self, UserChange};
use identity::{audit, key};
use runtime::Scope;
use types::{Code, Permission, ReviewId};
use web::Paging;

use crate::house::{House, code, new_key, new_user};

const DAY_MS: i64 = 86_400_000;

fn about(line: &ReviewLine, decision: &str) -> Decision {
    Decision { line: line.number, decision: decision.to_owned(), note: Some("looked at".to_owned()) }
}

async fn lines(scope: &Scope, id: ReviewId) -> Vec<ReviewLine> {
    review::get(scope, id).await.unwrap().all
}

fn named<'a>(lines: &'a [ReviewLine], subject: &str) -> &'a ReviewLine {
    lines.iter().find(|line| line.subject == subject).unwrap()
}

#[tokio::test]
async fn a_review_lists_what_is_held_and_carries_revocations_out() {
    let house = House::build().await;
    let admin = house.by_cookie(&house.enter_as_admin().await).await.unwrap();
    let sleeper = user::create(&admin, new_user("sleeper@example.com", "operator")).await.unwrap();
    let stays = user::create(&admin, new_user("stays@example.com", "viewer")).await.unwrap();
    let old = key::create(&admin, new_key(&[Permission::MessageSend])).await.unwrap();
    house.clock.advance_ms(100 * DAY_MS);
    let admin = house.by_cookie(&house.enter_as_admin().await).await.unwrap();
    let neighbour = house.neighbour().await;
    let wanted = NewGrant {
        user: stays.id,
        role: Some("support".to_owned()),
        permissions: None,
        reason: "holidays".to_owned(),
        ends_at: admin.now().plus_ms(DAY_MS),
    };
    let given = grant::create(&admin, wanted).await.unwrap();
    audit::list(&admin, &audit::Filter::default()).await.unwrap();
    let opened = review::open(&admin).await.unwrap();
    assert_eq!(code(review::open(&admin).await), Code::Conflict);
    let all = lines(&admin, opened.id).await;
    assert_eq!((all.len() as i64, opened.undecided), (opened.lines, opened.lines));
    let remarks = |subject: &str| named(&all, subject).remarks.join(" ");
    assert_eq!(remarks(&sleeper.id.to_string()), "never_used idle_rights");
    assert_eq!(remarks(&old.key.id.to_string()), "never_used no_end");
    assert_eq!(named(&all, &given.id.to_string()).held, "support");
    assert!(
        all.iter().any(|line| line.remarks.iter().any(|one| one == "ownerless")),
        "the machine's own key"
    );
    // Nobody else's people, and nothing for a neighbour.
    assert!(all.iter().all(|line| !line.name.contains("neighbour")));
    assert_eq!(code(review::get(&neighbour, opened.id).await), Code::NotFound);
    assert_eq!(code(review::csv(&neighbour, opened.id).await), Code::NotFound);
    assert_eq!(code(review::decide(&neighbour, opened.id, about(&all[0], "revoke")).await), Code::NotFound);
    assert_eq!(code(review::close(&neighbour, opened.id).await), Code::NotFound);
    for subject in [sleeper.id.to_string(), old.key.id.to_string(), given.id.to_string()] {
        review::decide(&admin, opened.id, about(named(&all, &subject), "revoke")).await.unwrap();
    }
    assert_eq!(user::get(&admin, sleeper.id).await.unwrap().status, "disabled");
    assert!(key::get(&admin, old.key.id).await.unwrap().revoked_at.is_some());
    assert!(!grant::get(&admin, given.id).await.unwrap().active);
    let again = review::decide(&admin, opened.id, about(named(&all, &sleeper.id.to_string()), "keep")).await;
    assert_eq!(code(again), Code::Conflict);
    let oneself = named(&all, &admin.actor().to_string());
    assert_eq!(code(review::decide(&admin, opened.id, about(oneself, "revoke")).await), Code::Conflict);
    let after = lines(&admin, opened.id).await;
    assert_eq!(named(&after, &admin.actor().to_string()).decision, None, "a refusal decides nothing");
    assert_eq!(code(review::close(&admin, opened.id).await), Code::Conflict);
    for line in after.iter().filter(|line| line.decision.is_none()) {
        review::decide(&admin, opened.id, about(line, "keep")).await.unwrap();
    }
    let closed = review::close(&admin, opened.id).await.unwrap();
    assert_eq!((closed.undecided, closed.revoked), (0, 3));
    assert_eq!(code(review::decide(&admin, opened.id, about(&all[0], "keep")).await), Code::Conflict);
    let csv = review::csv(&admin, opened.id).await.unwrap();
    assert_eq!(csv.lines().count() as i64, opened.lines + 1);
    assert!(csv.contains("sleeper@example.com") && csv.contains("\"revoke\""));
    assert!(house.trail().await.contains("review.decided"));
}

#[tokio::test]
async fn rights_of_the_reviewer_bound_what_a_review_takes_away() {
    let house = House::build().await;
    let admin = house.by_cookie(&house.enter_as_admin().await).await.unwrap();
    let other = user::create(&admin, new_user("other@example.com", "viewer")).await.unwrap();
    let opened = review::open(&admin).await.unwrap();
    let made =
        key::create(&admin, new_key(&[Permission::ReviewView, Permission::ReviewDecide])).await.unwrap();
    let reviewer = house.by_key(&made.secret.unwrap()).await.unwrap();
    let all = lines(&reviewer, opened.id).await;
    let line = named(&all, &other.id.to_string());
    assert_eq!(code(review::decide(&reviewer, opened.id, about(line, "revoke")).await), Code::Forbidden);
    assert_eq!(user::get(&admin, other.id).await.unwrap().status, "active");
    review::decide(&reviewer, opened.id, about(line, "keep")).await.unwrap();
    let made = key::create(&admin, new_key(&[Permission::ReviewView])).await.unwrap();
    let reader = house.by_key(&made.secret.unwrap()).await.unwrap();
    assert_eq!(code(review::decide(&reader, opened.id, about(line, "keep")).await), Code::Forbidden);
    assert_eq!(code(review::open(&reader).await), Code::Forbidden);
    let formula = UserChange { name: Some("=1+1".to_owned()), ..UserChange::default() };
    user::update(&admin, other.id, formula).await.unwrap();
}

#[tokio::test]
async fn a_review_is_opened_once_a_quarter_where_the_last_is_closed() {
    let house = House::build().await;
    let admin = house.by_cookie(&house.enter_as_admin().await).await.unwrap();
    review::open_due(&house.runtime).await.unwrap();
    assert!(review::list(&admin, &Paging::default()).await.unwrap().items.is_empty(), "too young");
    house.clock.advance_ms(100 * DAY_MS);
    review::open_due(&house.runtime).await.unwrap();
    review::open_due(&house.runtime).await.unwrap();
    let admin = house.by_cookie(&house.enter_as_admin().await).await.unwrap();
    let reviews = review::list(&admin, &Paging::default()).await.unwrap().items;
    assert_eq!(reviews.len(), 1);
    assert_eq!(reviews[0].opened_by, "system reviews");
    house.clock.advance_ms(100 * DAY_MS);
    review::open_due(&house.runtime).await.unwrap();
    let admin = house.by_cookie(&house.enter_as_admin().await).await.unwrap();
    assert_eq!(review::list(&admin, &Paging::default()).await.unwrap().items.len(), 1, "one is still open");
}
