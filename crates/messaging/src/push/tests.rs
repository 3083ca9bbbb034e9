use super::*;
use crate::tests::House;

const ACCOUNT: AccountId = AccountId::from_raw(77);

fn push(id: i64) -> Push {
    Push {
        id,
        tenant: TenantId::from_raw(1),
        account: ACCOUNT,
        message: MessageId::from_raw(id),
        kind: PushKind::Receipt { state: State::Delivered, error: None },
        sender: Address::international("33612345678".to_owned()),
        recipient: Address::short_code("12345".to_owned()),
        accepted_at: at(0),
        at: at(0),
        expires_at: at(1_000_000),
    }
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_unix_ms(ms)
}

fn pushes(in_memory: usize, page_rows: usize) -> Arc<Pushes> {
    let limits = Limits {
        total: line::Held::new(in_memory),
        line_max: in_memory,
        page_rows,
        retry_min_ms: 100,
        retry_max_ms: 300,
    };
    Arc::new(Pushes { lines: Mutex::default(), limits: Arc::new(limits) })
}

/// A receiver whose line has read the table, which held nothing.
fn receiver(pushes: &Arc<Pushes>) -> Receiver {
    let receiver = pushes.receive(ACCOUNT);
    assert!(matches!(receiver.take(1, at(0)), Taken::Page(0)));
    receiver.line.fill(Vec::new(), 10);
    receiver
}

fn ids(taken: Taken) -> Vec<i64> {
    match taken {
        Taken::Give(given) => given.iter().map(|waiting| waiting.push.id).collect(),
        Taken::Nothing(_) => Vec::new(),
        other => panic!("{other:?}"),
    }
}

fn given(taken: Taken) -> Vec<Waiting> {
    match taken {
        Taken::Give(given) => given,
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_a_session_nothing_is_held() {
    let pushes = pushes(10, 10);
    pushes.put(push(1));
    assert_eq!(pushes.waiting(), 0);
    let receiver = receiver(&pushes);
    pushes.put(push(2));
    assert_eq!(pushes.waiting(), 1);
    drop(receiver);
    assert_eq!((pushes.waiting(), pushes.lines.lock().unwrap().len()), (0, 0));
}

#[test]
fn what_comes_back_keeps_its_place() {
    let pushes = pushes(10, 10);
    let receiver = receiver(&pushes);
    (1..=4).for_each(|id| pushes.put(push(id)));
    let first = given(receiver.take(2, at(0)));
    receiver.give_back(first);
    assert_eq!(ids(receiver.take(9, at(0))), [1, 2, 3, 4]);
    assert_eq!(pushes.waiting(), 0);
}

#[test]
fn a_line_over_its_bound_reads_the_rest_from_the_table_once() {
    let pushes = pushes(3, 2);
    let receiver = receiver(&pushes);
    (1..=6).for_each(|id| pushes.put(push(id)));
    assert_eq!(pushes.waiting(), 3);
    assert_eq!(ids(receiver.take(9, at(0))), [1, 2, 3]);
    assert!(matches!(receiver.take(9, at(0)), Taken::Page(3)));
    assert!(matches!(receiver.take(9, at(0)), Taken::Nothing(None)), "one session reads, the others wait");
    pushes.put(push(7));
    receiver.line.fill(vec![push(4), push(5)], 2);
    // A full page: 7 may be in a later one, and is not given before 6.
    assert_eq!(ids(receiver.take(9, at(0))), [4, 5]);
    assert!(matches!(receiver.take(9, at(0)), Taken::Page(5)));
    pushes.put(push(8));
    receiver.line.fill(vec![push(6), push(7)], 3);
    assert_eq!(ids(receiver.take(9, at(0))), [6, 7, 8]);
    pushes.put(push(9));
    assert_eq!(ids(receiver.take(9, at(0))), [9]);
    assert!(matches!(receiver.take(9, at(0)), Taken::Nothing(None)));
}

#[test]
fn what_comes_while_the_table_is_read_is_given_once() {
    let pushes = pushes(10, 10);
    let receiver = pushes.receive(ACCOUNT);
    assert!(matches!(receiver.take(1, at(0)), Taken::Page(0)));
    pushes.put(push(2));
    receiver.line.fill(vec![push(1), push(2), push(3)], 10);
    assert_eq!(ids(receiver.take(9, at(0))), [1, 2, 3]);
    // It was committed before the page was read, and arrives after.
    pushes.put(push(3));
    assert!(matches!(receiver.take(9, at(0)), Taken::Nothing(None)));
}

#[test]
fn more_than_fits_while_the_table_is_read_is_read_later() {
    let pushes = pushes(2, 10);
    let receiver = pushes.receive(ACCOUNT);
    assert!(matches!(receiver.take(1, at(0)), Taken::Page(0)));
    (2..=5).for_each(|id| pushes.put(push(id)));
    receiver.line.fill(vec![push(1)], 10);
    assert_eq!(ids(receiver.take(9, at(0))), [1, 2, 3]);
    assert!(matches!(receiver.take(9, at(0)), Taken::Page(3)));
    receiver.line.fill_failed();
    assert!(matches!(receiver.take(9, at(0)), Taken::Page(3)), "after a failure somebody reads again");
}

#[test]
fn refused_for_now_comes_later_and_ever_later() {
    let pushes = pushes(10, 10);
    let receiver = receiver(&pushes);
    pushes.put(push(1));
    for (now, pause) in [(0, 100), (100, 200), (300, 300), (600, 300)] {
        let mut one = given(receiver.take(1, at(now)));
        receiver.retry(one.remove(0), at(now));
        assert!(matches!(receiver.take(1, at(now)), Taken::Nothing(Some(due)) if due == at(now + pause)));
    }
}

#[test]
fn expired_ones_are_not_given() {
    let pushes = pushes(10, 10);
    let receiver = receiver(&pushes);
    pushes.put(Push { expires_at: at(5), ..push(1) });
    pushes.put(push(2));
    assert!(matches!(receiver.take(9, at(5)), Taken::Expired(ids) if ids == [1]));
    assert_eq!(ids(receiver.take(9, at(5))), [2]);
}

#[tokio::test]
async fn sessions_take_turns() {
    let pushes = pushes(100, 10);
    let first = receiver(&pushes);
    let second = pushes.receive(ACCOUNT);
    (1..=10).for_each(|id| pushes.put(push(id)));
    assert_eq!(ids(first.take(9, at(0))), [1, 2, 3, 4, 5], "its share, for another waits too");
    second.filled().await;
    assert_eq!(ids(second.take(2, at(0))), [6, 7], "no more than its window");
    drop(second);
    first.filled().await;
    assert_eq!(ids(first.take(9, at(0))), [8, 9, 10]);
}

#[tokio::test]
async fn the_table_gives_back_what_was_put_there() {
    let house = House::build().await;
    let tenant = house.ours.tenant();
    let mut tx = house.runtime.db.write(Tenancy::Tenant(tenant)).await.unwrap();
    for (id, text, octets, coding) in
        [(1, Some("hi"), None, 0), (2, Some("é"), None, 8), (3, None, Some("00ff"), 4)]
    {
        tx.execute(
            sql!(
                "insert into message (id, tenant_id, direction, state, sender, sender_kind, recipient, recipient_kind, text, \
                 octets, data_coding, parts, intent, lane, registered, attempts, maybe_twice, accepted_at, expires_at, updated_at) \
                 values ($1, $2, 'in', 'received', '33612345678', 257, '12345', 768, $3, $4, $5, 1, 'transactional', 1, 0, 0, false, 7, 9, 7)"
            ),
            args![id, tenant, text.map(str::to_owned), octets.map(str::to_owned), coding],
        )
        .await
        .unwrap();
        for (push, kind, state) in [(id * 10, "message", "received"), (id * 10 + 1, "receipt", "failed")] {
            tx.execute(
                sql!(
                    "insert into push (id, tenant_id, account_id, message_id, kind, state, error, at, expires_at) \
                     values ($1, $2, $3, $4, $5, $6, $7, 8, 9)"
                ),
                args![push, tenant, ACCOUNT, id, kind, state, (kind == "receipt").then(|| "021".to_owned())],
            )
            .await
            .unwrap();
        }
    }
    tx.commit().await.unwrap();
    let page = stored::page(&house.runtime, ACCOUNT, 10, 4).await.unwrap();
    assert_eq!(page.iter().map(|push| push.id).collect::<Vec<_>>(), [11, 20, 21, 30]);
    assert_eq!(page[0].kind, PushKind::Receipt { state: State::Failed, error: Some("021".to_owned()) });
    assert_eq!((page[0].sender.text.as_str(), page[0].recipient.text.as_str()), ("12345", "33612345678"));
    assert_eq!(
        (page[1].sender.text.as_str(), page[1].sender.ton),
        ("33612345678", types::Ton::INTERNATIONAL)
    );
    assert_eq!(page[1].kind, PushKind::Message { data_coding: 8, body: vec![0, 0xe9] });
    assert_eq!(page[3].kind, PushKind::Message { data_coding: 4, body: vec![0, 0xff] });
    assert_eq!((page[0].accepted_at, page[0].at, page[0].expires_at), (at(7), at(8), at(9)));
    assert!(stored::page(&house.runtime, AccountId::from_raw(78), 0, 4).await.unwrap().is_empty());
}
