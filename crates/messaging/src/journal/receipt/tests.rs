use super::*;

fn receipt(provider_id: &str, state: sms::MessageState) -> CarrierReceipt {
    CarrierReceipt {
        tenant: TenantId::from_raw(1),
        connection: ConnectionId::from_raw(1),
        phone: "33612345678".to_owned(),
        sender: "10000".to_owned(),
        provider_id: provider_id.to_owned(),
        state: state.number(),
        error: None,
    }
}

fn fit(message: i64, part: i64, parts: i64, open: bool) -> Match {
    Match {
        idx: 0,
        nth: 0,
        message_id: MessageId::from_raw(message),
        part,
        attempt: 0,
        tenant_id: TenantId::from_raw(1),
        state: "sent".to_owned(),
        account_id: None,
        connection_id: None,
        parts,
        attempts: 1,
        maybe_twice: false,
        registered: 1,
        sender: "10000".to_owned(),
        sender_kind: 0,
        recipient: "33612345678".to_owned(),
        recipient_kind: 0,
        options: None,
        accepted_at: Timestamp::from_unix_ms(0),
        expires_at: Timestamp::MAX,
        done_at: None,
        part_done_at: (!open).then_some(Timestamp::from_unix_ms(1)),
        sent_at: Timestamp::default(),
    }
}

fn names(found: Vec<Option<Found>>) -> Vec<Option<(i64, i64)>> {
    let name = |found: Found| match found {
        Found::Row(row) => (row.message_id.raw(), row.part),
        Found::Sent(message) => (message.id.raw(), 0),
    };
    found.into_iter().map(|found| found.map(name)).collect()
}

#[test]
fn receipts_under_one_name_are_for_the_messages_in_their_order() {
    use sms::MessageState::{Delivered, Enroute};
    let name = "201126101500:33612345678";
    let receipts = [Enroute, Delivered, Delivered, Delivered, Delivered].map(|state| receipt(name, state));
    // The first message is at its end; of the second both parts are out.
    let fits = || {
        let ended = Match { done_at: Some(Timestamp::from_unix_ms(1)), ..fit(1, 1, 1, true) };
        vec![fit(3, 1, 1, true), fit(2, 2, 2, true), fit(2, 1, 2, true), fit(2, 3, 3, false), ended]
    };
    let found = chosen(&receipts, vec![None; 5], (0..5).map(|_| fits()).collect());
    assert_eq!(names(found), [Some((2, 1)), Some((2, 1)), Some((2, 2)), Some((3, 1)), None]);
    // Alone under its name it is meant again, as under a carrier's id.
    let again = chosen(&receipts[..1], vec![None], vec![vec![fit(1, 1, 1, false)]]);
    assert_eq!(names(again), [Some((1, 1))]);
}

#[test]
fn under_a_carriers_id_the_likeliest_counts_and_memory_goes_first() {
    let receipts = [receipt("a", sms::MessageState::Delivered), receipt("b", sms::MessageState::Delivered)];
    let known = vec![None, Some(Outgoing::of_test(7))];
    let fits = vec![vec![fit(3, 1, 1, false), fit(2, 1, 1, true)], Vec::new()];
    assert_eq!(names(chosen(&receipts, known, fits)), [Some((2, 1)), Some((7, 0))]);
}
