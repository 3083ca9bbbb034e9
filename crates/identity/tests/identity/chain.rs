//! The audit trail as a chain: what is done to it shows, at the first row that it was done to.

use db::{Tenancy, args, sql};
use futures::TryStreamExt as _;
use identity::audit::export::{self, Form};
use identity::audit::verify::{self, Done};
use identity::audit::{self, Filter, Report, follow, keep};
use identity::encryption::{self, reseal};
use identity::user;
use runtime::job::Outcome;
use runtime::{Scope, outbox};
use types::{Code, TenantId, Timestamp};

use crate::house::{House, code, new_user};

/// A house whose trail has some forty rows and a checkpoint every ten.
async fn house() -> House {
    let house = House::with(|config| config.audit.checkpoint_rows = 10).await;
    let cli = house.cli().await;
    for n in 0..36 {
        user::create(&cli, new_user(&format!("u{n}@example.com"), "viewer")).await.unwrap();
        if n % 9 == 8 {
            follow::catch_up(&house.runtime, cli.tenant()).await.unwrap();
        }
    }
    house
}

async fn exported(house: &House, filter: &Filter, form: Form) -> String {
    let pieces = export::begin(&house.cli().await, filter, form).await.unwrap();
    pieces.try_collect::<Vec<_>>().await.unwrap().concat()
}

fn verified(text: &str) -> Report {
    verify::file(text.as_bytes(), None).unwrap()
}

/// What is wrong first: what was done, to which row.
fn found(text: &str) -> (Done, Option<i64>) {
    let damage = verified(text).damage.unwrap_or_else(|| panic!("nothing was found in\n{text}"));
    (damage.what, damage.number)
}

fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

/// The place of a row's line in an export.
fn at(lines: &[&str], number: i64) -> usize {
    let mark = format!("\"number\":{number},");
    lines.iter().position(|line| line.starts_with("{\"row\":") && line.contains(&mark)).unwrap()
}

#[tokio::test]
async fn an_export_verifies_and_says_what_it_holds() {
    let house = house().await;
    let text = exported(&house, &Filter::default(), Form::JsonLines).await;
    let report = verified(&text);
    assert!(report.whole, "{report:?}");
    let standing = audit::standing(&house.cli().await).await.unwrap();
    assert_eq!((report.first, report.last, report.rows), (1, standing.last, standing.last.unsigned_abs()));
    assert_eq!((&report.hash, &report.public_key), (&standing.hash, &standing.public_key));
    assert_eq!(report.checkpoints, standing.checkpoints.len() as u64);
    assert!(report.checkpoints >= 2 && report.signed_until > 10 && !report.key_given);
    for key in [&standing.public_key, &standing.public_key_pem] {
        let report = verify::file(text.as_bytes(), Some(key)).unwrap();
        assert!(report.whole && report.key_given);
    }
    assert!(text.contains("data.exported"), "that it was taken away stands in it");
    // Another key than the one that signed.
    let other = "1Z8EcQGBn3MHpqVxVpx2r0ENkHkG3Qm0c5vJ2iS8y1s";
    let report = verify::file(text.as_bytes(), Some(other)).unwrap();
    assert_eq!(report.damage.unwrap().what, Done::Forged);
    assert_eq!(code(verify::file(text.as_bytes(), Some("no key"))), Code::InvalidValue);
}

#[tokio::test]
async fn each_flipped_bit_is_named() {
    let house = house().await;
    let text = exported(&house, &Filter::default(), Form::JsonLines).await;
    let rows = lines(&text);
    let mut start = 0;
    let mut checked = 0;
    for (index, line) in rows.iter().enumerate() {
        let number: Option<i64> = line
            .strip_prefix("{\"row\":")
            .and_then(|row| row.split_once("\"number\":")?.1.split_once(',')?.0.parse().ok());
        // Every bit of some lines of each kind, one bit of each octet of the others.
        let every_bit =
            index < 2 || index + 1 == rows.len() || line.starts_with("{\"checkpoint") || index == 20;
        for octet in 0..line.len() {
            for bit in (0..8).filter(|bit| every_bit || *bit == octet % 8) {
                let mut damaged = text.as_bytes().to_vec();
                damaged[start + octet] ^= 1 << bit;
                let report = verify::file(damaged.as_slice(), None).unwrap();
                let damage =
                    report.damage.unwrap_or_else(|| panic!("line {index} octet {octet} bit {bit}: {line}"));
                checked += 1;
                match number {
                    Some(number) => assert_eq!(
                        (damage.number, damage.line),
                        (Some(number), Some(index as u64 + 1)),
                        "octet {octet} bit {bit}: {damage:?}"
                    ),
                    // The newline of the line before joins two lines; else the line itself is named.
                    None => assert_eq!(damage.line, Some(index as u64 + 1), "{damage:?} in {line}"),
                }
            }
        }
        start += line.len();
    }
    assert!(checked > 20_000, "{checked}");
}

#[tokio::test]
async fn rows_that_are_taken_out_put_in_or_moved_are_named() {
    let house = house().await;
    let text = exported(&house, &Filter::default(), Form::JsonLines).await;
    let rows = lines(&text);
    let place = |number| at(&rows, number);
    let without = |numbers: &[i64]| {
        let gone: Vec<_> = numbers.iter().map(|number| place(*number)).collect();
        let left = rows.iter().enumerate().filter(|(at, _)| !gone.contains(at)).map(|(_, line)| *line);
        left.collect::<String>()
    };
    assert_eq!(found(&without(&[7])), (Done::Deleted, Some(7)));
    let damage = verified(&without(&[7, 8, 9])).damage.unwrap();
    assert_eq!((damage.what, damage.number, damage.until), (Done::Deleted, Some(7), Some(9)));
    assert_eq!(found(&without(&[1])), (Done::Deleted, Some(1)));

    let with = |at: usize, line: &str| {
        let mut changed = rows.clone();
        changed.insert(at, line);
        changed.concat()
    };
    assert_eq!(found(&with(place(12) + 1, rows[place(12)])), (Done::Inserted, Some(12)));
    assert_eq!(found(&with(place(12) + 1, rows[place(5)])), (Done::Inserted, Some(5)));
    let mut swapped = rows.clone();
    swapped.swap(place(13), place(14));
    assert_eq!(found(&swapped.concat()), (Done::Reordered, Some(14)));
    let mut moved = rows.clone();
    let row = moved.remove(place(3));
    moved.insert(place(8) - 1, row);
    assert_eq!(found(&moved.concat()), (Done::Reordered, Some(3)));

    let last = rows.len();
    let cut = |left: usize| rows[..left].concat();
    assert_eq!(found(&cut(last - 1)).0, Done::Truncated);
    assert_eq!(found(&cut(place(20))), (Done::Truncated, Some(20)));
    // The end put behind fewer rows.
    let headless = [&rows[..place(30)], &rows[last - 1..]].concat().concat();
    assert_eq!(found(&headless), (Done::Deleted, Some(30)));
    assert_eq!(found(&with(last, "{}\n")).0, Done::Inserted);
    let unsigned: String = rows.iter().filter(|line| !line.starts_with("{\"checkpoint")).copied().collect();
    assert_eq!(found(&unsigned).0, Done::Deleted);
    assert!(verified(&text).whole);
}

#[tokio::test]
async fn a_row_whose_hash_is_made_anew_is_named_by_the_next_or_by_a_signature() {
    let house = house().await;
    let text = exported(&house, &Filter::default(), Form::JsonLines).await;
    let rows: Vec<String> = lines(&text).into_iter().map(str::to_owned).collect();
    let refs: Vec<&str> = rows.iter().map(String::as_str).collect();
    let forge = |line: &str, previous: Option<(&str, &str)>| -> (String, String, String) {
        let (body, hash) = line
            .trim_end()
            .strip_prefix("{\"row\":")
            .unwrap()
            .strip_suffix("\"}")
            .unwrap()
            .rsplit_once(",\"hash\":\"")
            .unwrap();
        let mut body = body.replace("viewer", "Viewer");
        if let Some((old, new)) = previous {
            body = body.replace(old, new);
        }
        let fresh = runtime::secrets::sha256_hex(&body);
        (format!("{{\"row\":{body},\"hash\":\"{fresh}\"}}\n"), hash.to_owned(), fresh)
    };
    let place = at(&refs, 15);
    let mut one = rows.clone();
    let (forged, mut old, mut new) = forge(&rows[place], None);
    one[place] = forged;
    assert_eq!(found(&one.concat()), (Done::Changed, Some(15)));
    // And all that follow too: the next checkpoint tells.
    for line in &mut one[place + 1..] {
        if line.starts_with("{\"row\":") {
            let (forged, before, fresh) = forge(line, Some((&old, &new)));
            *line = forged;
            (old, new) = (before, fresh);
        }
    }
    let damage = verified(&one.concat()).damage.unwrap();
    assert_eq!(damage.what, Done::Changed);
    assert!(damage.number <= Some(15) && damage.until >= Some(15), "{damage:?}");
}

#[tokio::test]
async fn what_is_done_to_the_database_is_named() {
    let house = house().await;
    let cli = house.cli().await;
    let tenant = cli.tenant();
    let standing = audit::standing(&cli).await.unwrap();
    let first_signed = standing.checkpoints.last().unwrap().checkpoint.number;
    let check = async || verify::stored(&house.runtime.db, tenant).await.unwrap();
    assert!(check().await.whole, "{:?}", check().await);
    let run = async |text: &'static str, back: Option<&'static str>, wanted: (Done, Option<i64>)| {
        for (text, is_damage) in [(Some(text), true), (back, false)] {
            let Some(text) = text else { return };
            let mut tx = house.runtime.db.write(Tenancy::Every).await.unwrap();
            assert!(tx.execute(text, args![tenant]).await.unwrap() > 0, "{text}");
            tx.commit().await.unwrap();
            let damage = check().await.damage;
            match is_damage {
                true => assert_eq!(damage.map(|one| (one.what, one.number)), Some(wanted), "{text}"),
                false => assert_eq!(damage, None, "{text}"),
            }
        }
    };
    run(
        sql!("update audit_row set actor = 'usr_x ' || actor where tenant_id = $1 and number = 9"),
        Some(sql!("update audit_row set actor = substr(actor, 7) where tenant_id = $1 and number = 9")),
        (Done::Changed, Some(9)),
    )
    .await;
    run(
        sql!("update audit_row set folded = folded || 'x' where tenant_id = $1 and number = 4"),
        Some(sql!("update audit_row set folded = substr(folded, 1, length(folded) - 1) where tenant_id = $1 and number = 4")),
        (Done::Changed, Some(4)),
    )
    .await;
    run(
        sql!("update audit_chain set number = number + 1 where tenant_id = $1"),
        Some(sql!("update audit_chain set number = number - 1 where tenant_id = $1")),
        (Done::Truncated, Some(check().await.last + 1)),
    )
    .await;
    run(
        sql!("update audit_chain set first = 11 where tenant_id = $1"),
        Some(sql!("update audit_chain set first = 1 where tenant_id = $1")),
        (Done::Beheaded, Some(11)),
    )
    .await;
    run(
        sql!("update audit_checkpoint set body = replace(body, 'rows', 'Rows') where tenant_id = $1 and checkpoint = 1"),
        Some(sql!("update audit_checkpoint set body = replace(body, 'Rows', 'rows') where tenant_id = $1 and checkpoint = 1")),
        (Done::Forged, Some(first_signed)),
    )
    .await;
    run(sql!("delete from audit_row where tenant_id = $1 and number = 17"), None, (Done::Deleted, Some(17)))
        .await;
    let report = audit::check(&cli).await.unwrap();
    assert_eq!(report.damage.unwrap().number, Some(17));
    assert!(house.trail().await.contains("audit.damaged"), "what was found is an event");
}

#[tokio::test]
async fn search_finds_by_every_field() {
    let house = house().await;
    let cli = house.cli().await;
    let count = async |filter: Filter| {
        let filter = Filter { limit: Some("200".to_owned()), ..filter };
        audit::list(&cli, &filter).await.unwrap().items.len()
    };
    let all = count(Filter::default()).await;
    assert!(all > 36);
    let text = |text: &str| Filter { text: Some(text.to_owned()), ..Filter::default() };
    assert_eq!(count(text("U17@Example")).await, 1, "upper or lower case");
    assert_eq!(count(text("u17_example")).await, 0, "no letter stands for others");
    let day = "2026-09-21";
    let since = |day: &str| Filter { since: Some(day.to_owned()), ..Filter::default() };
    assert_eq!(count(since(day)).await, all);
    assert_eq!(count(since("2026-09-22")).await, 0);
    assert_eq!(
        count(Filter { until: Some(day.to_owned()), ..Filter::default() }).await,
        all,
        "the whole day"
    );
    let bad = Filter { since: Some("yesterday".to_owned()), ..Filter::default() };
    assert_eq!(code(audit::list(&cli, &bad).await), Code::InvalidFilter);
    let one = audit::list(&cli, &text("u17@example")).await.unwrap().items.remove(0);
    let subject = Filter { subject: one.subject.clone(), ..Filter::default() };
    assert_eq!(count(subject.clone()).await, 1);
    let selection = exported(&house, &subject, Form::JsonLines).await;
    let report = verified(&selection);
    assert!(report.whole && report.selection && report.rows == 1, "{report:?}");
    let emptied: String = lines(&selection).into_iter().filter(|line| !line.starts_with("{\"row")).collect();
    assert_eq!(found(&emptied).0, Done::Deleted);
    let table = exported(&house, &Filter::default(), Form::Csv).await;
    assert!(table.starts_with("number,at,actor,") && table.lines().count() > all);
}

#[tokio::test]
async fn what_is_kept_no_longer_is_cut_at_a_checkpoint_and_the_rest_verifies() {
    let house = house().await;
    let cli = house.cli().await;
    let signed = audit::standing(&cli).await.unwrap().checkpoints[0].checkpoint.number;
    house.clock.advance_ms(40 * 86_400_000);
    user::create(&cli, new_user("late@example.com", "viewer")).await.unwrap();
    follow::catch_up(&house.runtime, cli.tenant()).await.unwrap();
    let before = house.clock.now().plus_ms(-30 * 86_400_000);
    while forget(&cli, before).await > 0 {}
    let report = audit::check(&cli).await.unwrap();
    assert!(report.whole, "{report:?}");
    assert_eq!(report.first, signed + 1);
    let text = exported(&house, &Filter::default(), Form::JsonLines).await;
    let exported = verified(&text);
    assert!(exported.whole && exported.first == signed + 1, "{exported:?}");
    assert!(
        !text.contains("u3@example.com") && text.contains("late@example.com") && text.contains("audit.cut")
    );
    // Its beginning cut off once more, at a row behind it.
    let rows = lines(&text);
    let shorter: String = rows.iter().enumerate().filter(|(at, _)| *at != 2).map(|(_, line)| *line).collect();
    assert_eq!(found(&shorter), (Done::Deleted, Some(signed + 1)));
}

/// What retention does to a batch of the trail from before an instant.
async fn forget(scope: &Scope, before: Timestamp) -> u64 {
    let (runtime, tenant) = (scope.runtime(), scope.tenant());
    let mut events = Vec::new();
    let mut tx = runtime.db.write(Tenancy::Tenant(tenant)).await.unwrap();
    let gone = keep::forget(runtime, &mut tx, tenant, before, &mut events).await.unwrap();
    let written = outbox::write(&mut tx, vec![scope.happened(events)]).await.unwrap();
    tx.commit().await.unwrap();
    written.tell(&runtime.live);
    gone
}

#[tokio::test]
async fn a_day_ends_in_a_checkpoint_and_tenants_have_trails_of_their_own() {
    let house = House::build().await;
    let neighbour = house.neighbour().await;
    let cli = house.cli().await;
    while follow::round(&house.runtime).await.unwrap() > 0 {}
    follow::sign_the_day(&house.runtime).await.unwrap();
    let of = async |scope| audit::standing(scope).await.unwrap();
    let (ours, theirs) = (of(&cli).await, of(&neighbour).await);
    assert_eq!((ours.checkpoints.len(), theirs.checkpoints.len()), (1, 1));
    assert_ne!(ours.public_key, theirs.public_key);
    follow::sign_the_day(&house.runtime).await.unwrap();
    assert_eq!(of(&cli).await.checkpoints.len(), 1, "nothing new, nothing to sign");
    user::create(&cli, new_user("x@example.com", "viewer")).await.unwrap();
    house.clock.advance_ms(86_400_000);
    let cli = house.cli().await;
    of(&cli).await;
    follow::sign_the_day(&house.runtime).await.unwrap();
    let ours = of(&cli).await;
    assert_eq!((ours.checkpoints.len(), ours.checkpoints[0].checkpoint.reason.as_str()), (2, "day"));
    let theirs: TenantId = neighbour.tenant();
    assert!(verify::stored(&house.runtime.db, theirs).await.unwrap().whole);
    assert_eq!(audit::sign(&cli).await.unwrap().checkpoints.len(), 2, "it stands there already");
}

#[tokio::test]
async fn a_new_data_key_takes_the_signing_key_over() {
    let house = house().await;
    encryption::name_columns(&house.runtime, identity::SEALED.to_vec());
    let cli = house.cli().await;
    let before = audit::standing(&cli).await.unwrap();
    let turned = encryption::turn(&cli).await.unwrap();
    audit::sign(&cli).await.unwrap();
    for days in [0, 1] {
        house.clock.advance_ms(days * 86_400_000);
        let cli = house.cli().await;
        let outcome = reseal::handler()(cli.clone(), "null".to_owned(), 1).await;
        assert!(matches!(outcome, Outcome::Done), "{outcome:?}");
        let shown = encryption::show(&cli).await.unwrap();
        assert_eq!((shown.key.as_str(), shown.columns[0].current), (turned.key.as_str(), 1));
    }
    let cli = house.cli().await;
    assert!(encryption::show(&cli).await.unwrap().former.is_empty(), "the former key is gone");
    user::create(&cli, new_user("late@example.com", "viewer")).await.unwrap();
    let after = audit::sign(&cli).await.unwrap();
    assert_eq!(after.public_key, before.public_key);
    assert!(after.checkpoints.len() > before.checkpoints.len());
    assert!(audit::check(&cli).await.unwrap().whole);
}
