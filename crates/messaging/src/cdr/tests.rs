use std::path::Path;

use db::Tenancy;
use runtime::outbox::{self, Happened};
use serde_json::json;
use types::event::{MessageChange, PartChange};
use types::{MessageId, Permissions};

use super::writer::Writer;
use super::*;
use crate::tests::{House, patch};

const DAY_MS: i64 = 86_400_000;

/// A message with its parts that came to its end now, as the journal leaves it.
async fn ended(house: &House, scope: &Scope, parts: i64, state: &str) -> MessageId {
    let (id, now) = (house.runtime.ids.next::<types::kind::Message>(), house.runtime.clock.now());
    let mut tx = house.runtime.db.write(Tenancy::Every).await.unwrap();
    tx.execute(
        sql!(
            "insert into message (id, tenant_id, direction, state, sender, sender_kind, recipient, recipient_kind, text, \
             data_coding, parts, intent, lane, registered, attempts, maybe_twice, accepted_at, expires_at, updated_at, done_at) \
             values ($1, $2, 'out', $3, '=ACME', 1280, '33612345678', 257, 'Hello', 0, $4, 'transactional', 1, 0, 1, false, \
             $5, $5, $5, $5)"
        ),
        args![id, scope.tenant(), state, parts, now],
    )
    .await
    .unwrap();
    for part in 1..=parts {
        part_row(&mut tx, scope, id, part, 0, "sent", now, None).await;
    }
    let change = MessageChange {
        message: id,
        state: state.to_owned().into(),
        account: None,
        connection: None,
        error: None,
    };
    tell(house, scope, tx, vec![Event::MessageEnded(change)]).await;
    id
}

#[expect(clippy::too_many_arguments, reason = "a row of a table")]
async fn part_row(
    tx: &mut db::Tx,
    scope: &Scope,
    id: MessageId,
    part: i64,
    attempt: i64,
    state: &str,
    sent_at: Timestamp,
    done_at: Option<Timestamp>,
) {
    tx.execute(
        sql!(
            "insert into part (message_id, part, attempt, tenant_id, connection_id, provider_id, provider_key, state, sent_at, done_at) \
             values ($1, $2, $3, $4, 1, 'abc', 'abc', $5, $6, $7)"
        ),
        args![id, part, attempt, scope.tenant(), state, sent_at, done_at],
    )
    .await
    .unwrap();
}

async fn tell(house: &House, scope: &Scope, mut tx: db::Tx, events: Vec<Event>) {
    let happened = Happened {
        tenant: scope.tenant(),
        at: house.runtime.clock.now(),
        actor: "test".to_owned(),
        request_id: None,
        from: None,
        events,
    };
    let written = outbox::write(&mut tx, vec![happened]).await.unwrap();
    tx.commit().await.unwrap();
    written.tell(&house.runtime.live);
}

async fn switch_on(scope: &Scope, settings: serde_json::Value) {
    let on = CdrPatch { active: Some(true), settings: patch(settings), revision: None };
    assert!(change(scope, on).await.unwrap().active);
}

/// Rounds until all is read.
async fn follow(writer: &mut Writer) {
    while writer.round().await {}
}

/// Closes the open file by asking for it, as the API does.
async fn rotated(scope: &Scope, writer: &mut Writer) -> Option<CdrFile> {
    let mut asked = std::pin::pin!(rotate(scope));
    loop {
        tokio::select! {
            closed = &mut asked => return closed.unwrap(),
            () = tokio::time::sleep(std::time::Duration::from_millis(1)) => follow(writer).await,
        }
    }
}

fn rows_of(house: &House, scope: &Scope, file: &CdrFile) -> Vec<row::Row> {
    let path = file::find(&house.runtime.config, scope.tenant(), &file.name).unwrap();
    read::open(&path).unwrap().map(|row| row.unwrap()).collect()
}

fn all_files(house: &House) -> Vec<PathBuf> {
    verify::files_under(&house.runtime.config.cdr_dir()).unwrap()
}

#[tokio::test]
async fn each_part_is_a_row_and_tenants_are_apart() {
    let house = House::build().await;
    ended(&house, &house.ours, 1, "delivered").await;
    for scope in [&house.ours, &house.theirs] {
        switch_on(scope, json!({})).await;
    }
    let mut writer = Writer::new(&house.runtime);
    let long = ended(&house, &house.ours, 3, "delivered").await;
    ended(&house, &house.ours, 1, "rejected").await;
    ended(&house, &house.theirs, 2, "expired").await;
    let file = rotated(&house.ours, &mut writer).await.unwrap();
    assert_eq!((file.number, file.first_seq, file.last_seq, file.rows), (1, 1, 4, 4), "not what was before");
    assert_eq!(file.states, BTreeMap::from([("delivered".to_owned(), 3), ("rejected".to_owned(), 1)]));
    let rows = rows_of(&house, &house.ours, &file);
    assert_eq!(
        rows.iter().map(|row| (row.seq, row.part, row.parts)).collect::<Vec<_>>(),
        [(1, 1, 3), (2, 2, 3), (3, 3, 3), (4, 1, 1)]
    );
    let first = &rows[0];
    assert_eq!((first.message_id.as_str(), first.sender.as_str()), (long.to_string().as_str(), "=ACME"));
    assert_eq!((first.sender_ton, first.sender_npi, first.recipient_ton, first.octets), (5, 0, 1, 5));
    assert_eq!(first.provider_id.as_deref(), Some("abc"));
    let hello = "185f8db32271fe25f561a6fc938b2e264306ec304eda518007d1764826381969";
    assert_eq!(first.text_sha256.as_deref(), Some(hello));
    assert!(list(&house.theirs, i64::MAX, 10).await.unwrap().items.is_empty(), "theirs is open still");
    let theirs = rotated(&house.theirs, &mut writer).await.unwrap();
    assert_eq!((theirs.number, theirs.rows), (1, 2), "numbers are each tenant's own");
    assert_eq!(content(&house.theirs, file.id).await.unwrap_err().code(), Code::NotFound);
    assert!(rotated(&house.ours, &mut writer).await.is_none(), "there is nothing to close");
    let report = verify::files(&all_files(&house));
    assert!(report.ok && report.tenants.len() == 2 && report.rows == 6, "{report:?}");
    let report = verify::registered(&house.ours).await.unwrap();
    assert!(report.ok, "{report:?}");
    let nobody = house.scope(house.ours.tenant(), Permissions::NONE);
    for refused in [list(&nobody, 9, 9).await.unwrap_err(), rotate(&nobody).await.unwrap_err()] {
        assert_eq!(refused.code(), Code::Forbidden);
    }
}

#[tokio::test]
async fn files_are_closed_by_lines_bytes_and_age_and_when_settings_change() {
    let mut house = House::build().await;
    house.reconfigure(|config| config.cdr.lines_max = 10);
    switch_on(&house.ours, json!({ "compression": "none" })).await;
    let mut writer = Writer::new(&house.runtime);
    for _ in 0..8 {
        ended(&house, &house.ours, 3, "delivered").await;
    }
    follow(&mut writer).await;
    let files = list(&house.ours, i64::MAX, 10).await.unwrap().items;
    assert_eq!(
        files.iter().map(|file| (file.number, file.rows, file.reason.as_str())).collect::<Vec<_>>(),
        [(2, 12, "lines"), (1, 12, "lines")],
        "messages stay whole"
    );
    ended(&house, &house.ours, 1, "delivered").await;
    follow(&mut writer).await;
    house.runtime.clock.advance_ms(3_600_000);
    follow(&mut writer).await;
    assert_eq!(list(&house.ours, i64::MAX, 1).await.unwrap().items[0].reason, "age");
    ended(&house, &house.ours, 1, "delivered").await;
    follow(&mut writer).await;
    switch_on(&house.ours, json!({ "format": "jsonl" })).await;
    ended(&house, &house.ours, 1, "delivered").await;
    follow(&mut writer).await;
    writer.shut().await;
    let files = list(&house.ours, i64::MAX, 2).await.unwrap().items;
    assert_eq!((files[1].reason.as_str(), files[1].format.as_str()), ("settings", "csv"));
    assert_eq!((files[0].reason.as_str(), files[0].format.as_str()), ("shutdown", "jsonl"));
    let report = verify::files(&all_files(&house));
    assert!(report.ok && report.rows == 27, "{report:?}");
    house.reconfigure(|config| config.cdr.bytes_max = 1_024);
    // Ids begin anew with the runtime, and the clock stands.
    house.runtime.clock.advance_ms(1_000);
    let mut writer = Writer::new(&house.runtime);
    for _ in 0..4 {
        ended(&house, &house.ours, 1, "delivered").await;
    }
    follow(&mut writer).await;
    assert_eq!(list(&house.ours, i64::MAX, 1).await.unwrap().items[0].reason, "bytes");
}

#[tokio::test]
async fn a_writer_that_dies_leaves_neither_a_gap_nor_a_double() {
    let house = House::build().await;
    switch_on(&house.ours, json!({})).await;
    let mut dies = Writer::new(&house.runtime);
    for _ in 0..3 {
        ended(&house, &house.ours, 2, "delivered").await;
    }
    assert_eq!(rotated(&house.ours, &mut dies).await.unwrap().rows, 6);
    for _ in 0..3 {
        ended(&house, &house.ours, 2, "failed").await;
    }
    follow(&mut dies).await;
    assert_eq!(get(&house.ours).await.unwrap().open.unwrap().last_seq, 12);
    // Nothing is closed, nothing is told: the process is gone. Under its name stands what is not registered, as when the
    // database was restored from an older backup.
    drop(dies);
    let folder = file::folder(&house.runtime.config, house.ours.tenant());
    let stray = file::name(house.ours.tenant(), 2, house.ours.now(), Format::Csv, Compression::Gzip);
    std::fs::write(folder.join(&stray), "rows of nobody").unwrap();
    let mut next = Writer::new(&house.runtime);
    let file = rotated(&house.ours, &mut next).await.unwrap();
    assert_eq!((file.number, file.first_seq, file.last_seq), (2, 7, 12));
    let report = verify::files(&all_files(&house));
    assert!(report.ok && report.rows == 12, "{report:?}");
    assert!(verify::registered(&house.ours).await.unwrap().ok);
    assert!(folder.join(format!("{stray}{}", file::UNREGISTERED)).is_file());
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 3, "nothing else is left");
    // Registered and not yet named: the next start names it.
    let path = folder.join(&file.name);
    std::fs::rename(&path, folder.join(format!("{}{}", file.name, file::TMP))).unwrap();
    follow(&mut Writer::new(&house.runtime)).await;
    assert!(path.is_file());
}

#[tokio::test]
async fn a_receipt_after_the_end_is_a_further_row() {
    let house = House::build().await;
    switch_on(&house.ours, json!({})).await;
    let mut writer = Writer::new(&house.runtime);
    let id = ended(&house, &house.ours, 2, "expired").await;
    house.runtime.clock.advance_ms(1_000);
    let mut tx = house.runtime.db.write(Tenancy::Every).await.unwrap();
    let now = house.runtime.clock.now();
    tx.execute(
        sql!("update part set state = 'delivered', done_at = $3 where tenant_id = $1 and message_id = $2 and part = 2"),
        args![house.ours.tenant(), id, now],
    )
    .await
    .unwrap();
    // An answer after the end adds a part to what is known, and no row: numbers stay as they were given.
    part_row(&mut tx, &house.ours, id, 3, 0, "sent", now, None).await;
    let change = PartChange { message: id, part: 2, state: "delivered".into(), error: None };
    tell(&house, &house.ours, tx, vec![Event::MessageAmended(change)]).await;
    let file = rotated(&house.ours, &mut writer).await.unwrap();
    let rows = rows_of(&house, &house.ours, &file);
    let told: Vec<_> = rows
        .iter()
        .map(|row| (row.seq, row.part, row.revision, row.state.as_str(), row.part_state.as_deref()))
        .collect();
    assert_eq!(
        told,
        [
            (1, 1, 1, "expired", Some("sent")),
            (2, 2, 1, "expired", Some("delivered")),
            (3, 2, 2, "expired", Some("delivered"))
        ]
    );
}

#[tokio::test]
async fn rows_are_there_before_the_file_is_closed_and_have_its_numbers() {
    let house = House::build().await;
    assert_eq!(rows(&house.ours, None, 10).await.unwrap_err().code(), Code::Conflict);
    switch_on(&house.ours, json!({})).await;
    let mut writer = Writer::new(&house.runtime);
    for _ in 0..5 {
        ended(&house, &house.ours, 2, "delivered").await;
    }
    let first = rows(&house.ours, None, 3).await.unwrap();
    assert_eq!(first.items.len(), 4, "the rows of a message are not parted");
    let rest = rows(&house.ours, Some(&first.next), 100).await.unwrap();
    let live: Vec<_> = first.items.into_iter().chain(rest.items).collect();
    let now = rows(&house.ours, Some("now"), 10).await.unwrap();
    assert!(now.items.is_empty());
    let file = rotated(&house.ours, &mut writer).await.unwrap();
    assert_eq!(live, rows_of(&house, &house.ours, &file), "the same rows under the same numbers");
    ended(&house, &house.ours, 1, "delivered").await;
    follow(&mut writer).await;
    for after in [now.next.as_str(), "10"] {
        let found = rows(&house.ours, Some(after), 10).await.unwrap();
        assert_eq!(found.items.iter().map(|row| row.seq).collect::<Vec<_>>(), [11], "after {after}");
    }
    assert!(rows(&house.ours, Some("3"), 10).await.unwrap_err().code() == Code::InvalidCursor);
    assert!(rows(&house.ours, Some("x"), 10).await.unwrap_err().code() == Code::InvalidCursor);
}

#[tokio::test]
async fn what_is_not_written_yet_is_not_forgotten_until_the_bound() {
    let house = House::build().await;
    switch_on(&house.ours, json!({})).await;
    let written_until = house.ours.now();
    ended(&house, &house.ours, 1, "delivered").await;
    house.runtime.clock.advance_ms(3 * DAY_MS);
    let before = house.ours.now().plus_ms(-DAY_MS);
    assert_eq!(hold_back(&house.runtime, before).await.unwrap(), written_until);
    let far = before.plus_ms(30 * DAY_MS);
    assert_eq!(
        hold_back(&house.runtime, far).await.unwrap(),
        far.plus_ms(-7 * DAY_MS),
        "seven days are the bound"
    );
    // What was forgotten all the same is told of, not passed over in silence.
    let mut tx = house.runtime.db.write(Tenancy::Every).await.unwrap();
    tx.execute(
        sql!("delete from event_page where tenant_id = $1 and not audited"),
        args![house.ours.tenant()],
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    ended(&house, &house.ours, 1, "delivered").await;
    let mut writer = Writer::new(&house.runtime);
    let file = rotated(&house.ours, &mut writer).await.unwrap();
    assert_eq!((file.rows, file.lost), (1, 1));
    assert!(!verify::registered(&house.ours).await.unwrap().ok);
}

#[tokio::test]
async fn switching_off_closes_and_switching_on_begins_anew() {
    let house = House::build().await;
    switch_on(&house.ours, json!({})).await;
    let mut writer = Writer::new(&house.runtime);
    ended(&house, &house.ours, 1, "delivered").await;
    follow(&mut writer).await;
    let off = CdrPatch { active: Some(false), ..CdrPatch::default() };
    change(&house.ours, off.clone()).await.unwrap();
    follow(&mut writer).await;
    assert_eq!(list(&house.ours, i64::MAX, 10).await.unwrap().items[0].reason, "off");
    ended(&house, &house.ours, 1, "delivered").await;
    follow(&mut writer).await;
    switch_on(&house.ours, json!({})).await;
    // Off and on again before the writer saw it: nothing is passed over.
    ended(&house, &house.ours, 1, "delivered").await;
    change(&house.ours, off).await.unwrap();
    switch_on(&house.ours, json!({})).await;
    let file = rotated(&house.ours, &mut writer).await.unwrap();
    assert_eq!((file.number, file.first_seq, file.rows), (2, 2, 1));
    let outdated = CdrPatch { revision: Some(1), ..CdrPatch::default() };
    assert_eq!(change(&house.ours, outdated).await.unwrap_err().code(), Code::Conflict);
    let inside = json!({ "upload_url": "http://127.0.0.1/x" });
    let inside = CdrPatch { settings: patch(inside), ..CdrPatch::default() };
    assert_eq!(change(&house.ours, inside).await.unwrap_err().code(), Code::InvalidUrl);
}

#[tokio::test]
async fn old_files_are_archived_then_removed_and_their_numbers_stay() {
    let mut house = House::build().await;
    house.reconfigure(|config| config.cdr.archive_days = 1);
    switch_on(&house.ours, json!({})).await;
    let mut writer = Writer::new(&house.runtime);
    ended(&house, &house.ours, 1, "delivered").await;
    let file = rotated(&house.ours, &mut writer).await.unwrap();
    house.runtime.clock.advance_ms(2 * DAY_MS);
    keep::sweep(&house.runtime).await.unwrap();
    let (archived, path) = content(&house.ours, file.id).await.unwrap();
    assert_eq!(archived.state, "archived");
    assert!(path.starts_with(house.runtime.config.cdr_archive_dir()));
    assert!(verify::registered(&house.ours).await.unwrap().ok);
    assert_eq!(removed(&house, -2 * DAY_MS).await, 0, "it is younger");
    assert_eq!(removed(&house, 0).await, 1);
    assert_eq!(removed(&house, 0).await, 0);
    assert_eq!(content(&house.ours, file.id).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(get_file(&house.ours, file.id).await.unwrap().state, "removed");
    assert!(!path.exists());
    assert!(verify::registered(&house.ours).await.unwrap().ok, "what was removed on purpose is no fault");
}

/// What retention does to the first tenant's files from before so long ago.
async fn removed(house: &House, ago_ms: i64) -> u64 {
    let before = house.runtime.clock.now().plus_ms(ago_ms);
    let mut tx = house.runtime.db.write(Tenancy::Tenant(house.ours.tenant())).await.unwrap();
    let mut events = Vec::new();
    let gone = keep::remove(&house.runtime, &mut tx, house.ours.tenant(), before, &mut events);
    let gone = gone.await.unwrap();
    tx.commit().await.unwrap();
    gone
}

#[tokio::test]
async fn a_missing_and_a_changed_file_are_named() {
    let house = House::build().await;
    switch_on(&house.ours, json!({ "compression": "none" })).await;
    let mut writer = Writer::new(&house.runtime);
    let mut files = Vec::new();
    for _ in 0..3 {
        ended(&house, &house.ours, 2, "delivered").await;
        files.push(rotated(&house.ours, &mut writer).await.unwrap());
    }
    let path = |at: usize| file::find(&house.runtime.config, house.ours.tenant(), &files[at].name).unwrap();
    let doubled = path(0).with_file_name("copy.csv");
    std::fs::copy(path(0), &doubled).unwrap();
    std::fs::remove_file(path(1)).unwrap();
    std::fs::write(path(2), "other").unwrap();
    let report = verify::registered(&house.ours).await.unwrap();
    assert!(!report.ok && report.faults.len() == 2, "{report:?}");
    std::fs::remove_file(path(2)).unwrap();
    ended(&house, &house.ours, 1, "delivered").await;
    rotated(&house.ours, &mut writer).await.unwrap();
    let report = verify::files(&all_files(&house));
    let ours = &report.tenants[0];
    assert!(!report.ok);
    assert_eq!(ours.missing, [verify::Span { from: 3, to: 6 }]);
    assert_eq!((ours.doubled.as_slice(), ours.repeated), ([verify::Span { from: 1, to: 2 }].as_slice(), 2));
}

#[tokio::test]
async fn loading_twice_is_loading_once() {
    let house = House::build().await;
    switch_on(&house.ours, json!({ "format": "parquet", "compression": "zstd" })).await;
    let mut writer = Writer::new(&house.runtime);
    for _ in 0..30 {
        ended(&house, &house.ours, 2, "delivered").await;
    }
    rotated(&house.ours, &mut writer).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let url = |path: &Path| format!("sqlite:{}", path.display());
    let db = load::open(&url(&folder.path().join("records.db"))).await.unwrap();
    let files = all_files(&house);
    assert_eq!(load::into(&db, &files).await.unwrap(), load::Loaded { files: 1, rows: 60, new: 60 });
    assert_eq!(load::into(&db, &files).await.unwrap(), load::Loaded { files: 1, rows: 60, new: 0 });
    let own = house.runtime.config.database_url();
    assert_eq!(
        load::open(own.expose()).await.err().unwrap().code(),
        Code::Conflict,
        "not into a server's own"
    );
}

/// Rows a second that are written, and loaded, beside what inserting the messages themselves takes in the same run.
#[tokio::test]
#[ignore = "a measurement: cargo test -p messaging --release -- --ignored --nocapture rows_a_second"]
#[expect(clippy::print_stderr, reason = "a measurement tells its figures")]
async fn rows_a_second() {
    const BATCHES: i64 = 100;
    const BATCH: i64 = 500;
    let house = House::build().await;
    switch_on(&house.ours, json!({})).await;
    let began = std::time::Instant::now();
    for _ in 0..BATCHES {
        insert_many(&house, BATCH).await;
    }
    let inserted = began.elapsed().as_secs_f64();
    let mut writer = Writer::new(&house.runtime);
    let began = std::time::Instant::now();
    follow(&mut writer).await;
    let written = began.elapsed().as_secs_f64();
    rotated(&house.ours, &mut writer).await;
    let folder = tempfile::tempdir().unwrap();
    let db = load::open(&format!("sqlite:{}", folder.path().join("records.db").display())).await.unwrap();
    let began = std::time::Instant::now();
    let loaded = load::into(&db, &all_files(&house)).await.unwrap();
    let loading = began.elapsed().as_secs_f64();
    let rows = (BATCHES * BATCH) as f64;
    assert_eq!(loaded.new as i64, BATCHES * BATCH);
    let report = verify::files(&all_files(&house));
    assert!(report.ok);
    for (what, took) in
        [("inserted with part and events", inserted), ("written", written), ("loaded", loading)]
    {
        eprintln!("{what}: {:.0} rows/s, {:.2} of the time of inserting", rows / took, took / inserted);
    }
}

/// Messages with a part and three events each, as a batch of the journal leaves them.
async fn insert_many(house: &House, n: i64) {
    let (scope, now) = (&house.ours, house.runtime.clock.now());
    let ids: Vec<MessageId> = (0..n).map(|_| house.runtime.ids.next()).collect();
    let rows = db::Arg::json(&ids.iter().map(|id| [id.raw()]).collect::<Vec<_>>()).unwrap();
    let mut tx = house.runtime.db.write(Tenancy::Every).await.unwrap();
    tx.execute(
        sql!(
            "insert into message (id, tenant_id, direction, state, sender, sender_kind, recipient, recipient_kind, text, \
             data_coding, parts, intent, lane, registered, attempts, maybe_twice, accepted_at, expires_at, updated_at, done_at, why) \
             select cast(r.value ->> 0 as bigint), $2, 'out', 'delivered', 'ACME', 1280, '33612345678', 257, \
             'Your code is 123456. It is good for ten minutes.', 0, 1, 'transactional', 1, 1, 1, false, $3, $3, $3, $3, \
             '{\"c\":\"con_0000000000001\"}' from json_rows($1) r"
        ),
        vec![rows.clone(), scope.tenant().into(), now.into()],
    )
    .await
    .unwrap();
    tx.execute(
        sql!(
            "insert into part (message_id, part, attempt, tenant_id, connection_id, provider_id, provider_key, state, sent_at, done_at) \
             select cast(r.value ->> 0 as bigint), 1, 0, $2, 1, 'abc', 'abc', 'delivered', $3, $3 from json_rows($1) r"
        ),
        vec![rows, scope.tenant().into(), now.into()],
    )
    .await
    .unwrap();
    let change = |message: MessageId, state: &'static str| MessageChange {
        message,
        state: state.into(),
        account: None,
        connection: None,
        error: None,
    };
    let accepted = ids.iter().map(|id| Event::MessageAccepted(change(*id, "queued")));
    let sent = ids.iter().map(|id| Event::MessageSent(change(*id, "sent")));
    let ended = ids.iter().map(|id| Event::MessageEnded(change(*id, "delivered")));
    tell(house, scope, tx, accepted.chain(sent).chain(ended).collect()).await;
}
